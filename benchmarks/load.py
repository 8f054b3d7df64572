"""The client's side of the figures: one contender, one question, one stopwatch.

Bodies are not decoded: an event holds one `w`, and what the framing adds holds none.
"""

import json
import select
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from benchmarks import processes
from benchmarks.contenders import Contender
from benchmarks.peers import EVENTS
from benchmarks.servers import free_port, wait_for
from services.settings import ROOT

END = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Target:
    """A contender that runs: its front's port and its process group."""

    contender: Contender
    port: int
    group: int


@dataclass(frozen=True, slots=True)
class Flow:
    """One long answer: things per second, and processor seconds of the contender for each."""

    rate: float
    cpu: float


@contextmanager
def start_contenders(
    contenders: Sequence[Contender], *, concurrency: int = 0
) -> Iterator[dict[Contender, Target]]:
    """Start every contender that is here, all behind one emulator or by themselves."""
    app = [one for one in contenders if not one.missing]
    with ExitStack() as stack:
        found = stack.enter_context(_front([c for c in app if not c.direct], concurrency))
        for one in app:
            if one.direct:
                found[one] = stack.enter_context(_alone(one))
        yield found


@contextmanager
def _front(contenders: Sequence[Contender], concurrency: int) -> Iterator[dict[Contender, Target]]:
    names = [one.name for one in contenders]
    front = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.front", str(concurrency), *names],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert front.stdin is not None
    assert front.stdout is not None
    try:
        ports: dict[str, list[int]] = json.loads(front.stdout.readline())
        yield {one: Target(one, *ports[one.name]) for one in contenders}
    finally:
        front.stdin.close()
        front.stdout.close()
        front.wait(timeout=10)


@contextmanager
def _alone(contender: Contender) -> Iterator[Target]:
    port = free_port()
    command = [part.replace("{port}", str(port)) for part in contender.command]
    child = processes.spawn(command, dict(contender.environ))
    try:
        wait_for(port, child)
        yield Target(contender, port, child.pid)
    finally:
        processes.end(child.pid)
        child.wait()


def ask(target: Target, path: str) -> socket.socket:
    """Send a question on a connection of its own."""
    connection = connect(target.port)
    connection.sendall(request(path, target.contender.question))
    return connection


def connect(port: int) -> socket.socket:
    """A connection to a front, not used yet."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=120)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def request(path: str, question: bytes | None = None) -> bytes:
    """A GET, or the POST of `question` to the chat endpoint."""
    common = b"HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nConnection: close\r\n"
    if question is None:
        return b"GET %b %b\r\n" % (path.encode(), common)
    return b"POST /api/chat %bContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        common,
        len(question),
        question,
    )


def events(target: Target) -> Flow:
    """Small events through one stream."""
    count = EVENTS if target.contender.question is not None else target.contender.limit
    return _flow(target, f"/events?count={count}", count)


def chunks(target: Target, count: int) -> Flow:
    """Chunks of 64 KiB through one stream; the rate is in MB/s, the cost per MB."""
    size = count * 65536
    flow = _flow(target, f"/chunks?count={count}", count, size=size)
    megabytes = size / 1e6 / count
    return Flow(flow.rate * megabytes, flow.cpu / megabytes)


def _flow(target: Target, path: str, count: int, *, size: int = 0) -> Flow:
    cpu = processes.cpu_seconds(target.group)
    started = time.perf_counter()
    seen = received = 0
    tail = b""
    with ask(target, path) as connection:
        while data := connection.recv(1 << 20):
            received += len(data)
            seen += 0 if size else data.count(b"w")
            tail = (tail + data)[-5:]
    seconds = time.perf_counter() - started
    _check(target, tail, whole=received >= size if size else seen >= count)
    return Flow(count / seconds, (processes.cpu_seconds(target.group) - cpu) / count)


def _check(target: Target, tail: bytes, *, whole: bool) -> None:
    buffered = "buffered" in target.contender.name
    if not whole or (tail != END and not buffered):
        raise RuntimeError(f"{target.contender.name}: the answer was cut; it ended {tail!r}")


def first_byte(target: Target, times: int) -> float:
    """Milliseconds from sending a question to the first byte of its first event, the median."""
    taken = []
    for _ in range(times):
        with connect(target.port) as connection:
            started = time.perf_counter()
            connection.sendall(request("/events?count=1", target.contender.question))
            data = b""
            while b"data: " not in data:
                piece = connection.recv(65536)
                if not piece:
                    raise RuntimeError(f"{target.contender.name}: no first event in {data!r}")
                data += piece
            taken.append(time.perf_counter() - started)
            while connection.recv(65536):
                pass
    return statistics.median(taken) * 1000


def measure_lags(target: Target, count: int, seconds: float) -> list[float]:
    """Microseconds from each yield in the handler to its bytes at the client."""
    lags = []
    rest = b""
    with ask(target, f"/paced?count={count}&seconds={seconds}") as connection:
        while data := connection.recv(65536):
            now = time.monotonic_ns()
            *lines, rest = (rest + data).split(b"\n")
            lags += [
                (now - int(line.split()[2])) / 1000 for line in lines if line.startswith(b"data: ")
            ]
    if len(lags) != count:
        raise RuntimeError(f"{target.contender.name}: {len(lags)} of {count} paced events")
    return lags


def growth(target: Target, count: int) -> float:
    """MB of memory that `count` chunks of 64 KiB to a slow reader add at their peak."""
    chunks(target, 64)  # the buffers any stream takes
    before = processes.memory(target.group)
    processes.forget_peak(target.group)
    received = 0
    size = count * 65536
    pause = size // 4
    with ask(target, f"/chunks?count={count}") as connection:
        while data := connection.recv(1 << 18):
            received += len(data)
            if received > pause:
                select.select([], [], [], 0.4)  # long enough to fill every buffer there is
                pause += size // 4
    if received < size:
        raise RuntimeError(f"{target.contender.name}: {received} of {size} bytes")
    return (processes.peak(target.group) - before) / 1e6
