"""Clouds to test against, and small clients that hide nothing.

A cloud runs in a thread of its own, with real servers, real sockets and real processes.
"""

import asyncio
import contextlib
import http.client
import json
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from emulator.cloud import open_cloud
from emulator.deployment import Cloud, Plan
from emulator.faults import Fault
from emulator.function import Options

FUNCTIONS = Path(__file__).parent / "functions"
TEMPLATE = FUNCTIONS / "template.yaml"
PATIENCE = 60.0  # seconds; only a test that fails waits so long


@dataclass
class RunningCloud:
    """A cloud in its thread."""

    cloud: Cloud
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event
    lines: list[str] = field(default_factory=list)

    def url(self, front: str) -> str:
        """Where a front listens, without a slash at the end."""
        return self.cloud.urls[front]

    def break_with(self, *faults: Fault) -> None:
        """Put faults in force for the next requests."""
        self.loop.call_soon_threadsafe(self.cloud.faults.add, faults)

    def call(self, work: Any, *arguments: Any) -> None:
        """Run something on the cloud's own loop and wait until it is done."""
        done = threading.Event()

        def run() -> None:
            work(*arguments)
            done.set()

        self.loop.call_soon_threadsafe(run)
        assert done.wait(PATIENCE)

    def log_lines(self, text: str) -> list[str]:
        """The log lines that contain `text`."""
        return [line for line in list(self.lines) if text in line]


@contextlib.contextmanager
def run_cloud(
    template: Path = TEMPLATE, *, concurrency: int | None = 64, **more: Any
) -> Iterator[RunningCloud]:
    """A cloud on free ports; without `concurrency` it is the classic one."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("RIVERRUN_")}
    environ |= more.pop("environ", {})
    options = Options(concurrency=concurrency, environ=environ)
    options = replace(options, **more.pop("options", {}))
    plan = Plan(template=template, port=0, options=options, **more)
    started: list[RunningCloud | BaseException] = []
    ready = threading.Event()
    lines: list[str] = []

    async def live() -> None:
        stop = asyncio.Event()
        async with open_cloud(plan, lambda name, line: lines.append(f"{name} {line}")) as cloud:
            started.append(RunningCloud(cloud, asyncio.get_running_loop(), stop, lines))
            ready.set()
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            started.append(error)
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(PATIENCE)
    first = started[0]
    if isinstance(first, BaseException):
        thread.join()
        raise first
    try:
        yield first
    finally:
        first.loop.call_soon_threadsafe(first.stop.set)
        thread.join(PATIENCE)
        assert not thread.is_alive()
        if len(started) > 1 and isinstance(started[1], BaseException):
            raise started[1]


@dataclass
class Got:
    """An answer as it came."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    whole: bool = True

    def header(self, name: str) -> str:
        """The values of a header, joined with ", "."""
        return ", ".join(v for k, v in self.headers if k.lower() == name.lower())

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def ask(
    url: str,
    do: dict[str, Any] | None = None,
    *,
    method: str = "GET",
    headers: Sequence[tuple[str, str]] = (),
    body: bytes | None = None,
) -> Got:
    """One request on one connection. `do` is the tiny runtime's order. `whole` tells a cut."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if do is not None:
        target += f"{'&' if '?' in target else '?'}do={quote(json.dumps(do))}"
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
    try:
        own_host = any(name.lower() == "host" for name, _ in headers)
        connection.putrequest(method, target, skip_host=own_host)
        for name, value in headers:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        received = b""
        whole = True
        try:
            while data := answer.read1(65536):
                received += data
        except http.client.IncompleteRead as error:
            received, whole = received + error.partial, False
        except ConnectionResetError:
            whole = False
        if answer.length:  # fewer bytes than Content-Length said
            whole = False
        return Got(answer.status, answer.getheaders(), received, whole)
    finally:
        connection.close()


def ask_until(url: str, do: dict[str, Any] | None, is_so: Callable[[Got], bool]) -> Got:
    """The first answer that is so, or the tenth: a busy machine may use up a function's second."""
    for _ in range(9):
        if is_so(got := ask(url, do)):
            return got
    return ask(url, do)


class Gate:
    """The function asks before each frame but the first; the test says when."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self._peer: socket.socket | None = None
        self.port = int(self._listener.getsockname()[1])

    def meet(self) -> socket.socket:
        """Wait until the function has come."""
        if self._peer is None:
            self._peer, _ = self._listener.accept()
            self._peer.settimeout(PATIENCE)
        return self._peer

    def open(self) -> None:
        """Let the function write its next frame."""
        peer = self.meet()
        assert peer.recv(1) == b"?"
        peer.sendall(b"!")

    def close(self) -> None:
        """Forget the function."""
        self._listener.close()
        if self._peer:
            self._peer.close()


def raw(url: str, target: str, *lines: str) -> socket.socket:
    """A connection on which one GET has been sent; the answer's bytes are the test's to read."""
    parts = urlsplit(url)
    sock = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=PATIENCE)
    head = [f"GET {target} HTTP/1.1", f"Host: {parts.netloc}", *lines, "", ""]
    sock.sendall("\r\n".join(head).encode())
    return sock


def read_until(sock: socket.socket, end: bytes) -> bytes:
    """Everything up to and including `end`; what has come when the peer closes first."""
    received = b""
    while end not in received:
        data = sock.recv(65536)
        if not data:
            break
        received += data
    return received


def reset(sock: socket.socket) -> None:
    """Close with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def process_state(pid: int) -> str:
    """One letter of /proc: T stopped, Z zombie, "" gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return text.rpartition(")")[2].split()[0]


PYTHON = sys.executable
