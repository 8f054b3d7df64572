"""Run `python -m functions`, or the emulator, and speak HTTP to it over real sockets."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.settings import ROOT
from tests.event_stream import EventStreamParser

READY = re.compile(r" *Riverrun is on http://(?:localhost|\[[^\]]+\]|[^:/]+):(\d+)")


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without its own settings, and with `environ`."""
    ours = ("RIVERRUN_", "PORT", "HOST")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, **environ}


def start(
    environ: Mapping[str, str], module: str = "functions", *options: str, folder: Path = ROOT
) -> subprocess.Popen[str]:
    """The command, begun in `folder`."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *options],
        cwd=folder,
        env=clean(environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def link_functions(folder: Path) -> Path:
    """Link the functions into `folder`, and return theirs there.

    Not the README's, which a test writes there: one who saved it here would lose what is in it.
    """
    functions = folder / "functions"
    functions.mkdir()
    for module in (ROOT / "functions").glob("*.py"):
        if module.name != "echo.py":
            (functions / module.name).symlink_to(module)
    return functions


@dataclass(slots=True)
class Reply:
    """A whole HTTP response."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The one header of that name, None if there is none."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) <= 1, f"{name} was sent {len(found)} times: {found}"
        return found[0] if found else None

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def events(self) -> list[dict[str, Any]]:
        """The events of the body."""
        return [json.loads(event.data) for event in EventStreamParser().feed(self.body)]

    def ids(self) -> list[str]:
        """Their ids."""
        return [event.id for event in EventStreamParser().feed(self.body)]


@dataclass(slots=True)
class Server:
    """A running server. `errors` has the lines it wrote to stderr so far."""

    process: subprocess.Popen[str]
    port: int
    errors: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self,
        target: str = "/api/chat",
        data: Any = None,
        *,
        method: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """A whole request and its whole response. `data` is posted as JSON, bytes as they are."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            named = dict(headers or {})
            body = data if isinstance(data, bytes) or data is None else json.dumps(data).encode()
            if body is not None:
                named = {"Content-Type": "application/json"} | named
            verb = method or ("GET" if body is None else "POST")
            connection.request(verb, target, body, named)
            response = connection.getresponse()
            return Reply(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def stream(self, query: str, base: str = "/api/chat", **data: Any) -> Reply:
        """The whole stream of a question."""
        return self.ask(base, {"query": query, "streaming": True, **data})

    @contextmanager
    def open_stream(self, query: str, **data: Any) -> Iterator["StreamReader"]:
        """A stream that is read line by line, and left when the block ends."""
        asked = json.dumps({"query": query, "streaming": True, **data}).encode()
        with self.raw(
            b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(asked), asked)
        ) as wire:
            yield StreamReader(wire)

    @contextmanager
    def raw(self, request: bytes) -> Iterator[socket.socket]:
        """A connection over which `request` was sent, byte for byte."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as wire:
            wire.sendall(request)
            yield wire


class StreamReader:
    """The head and the lines of a chunked response, as they come."""

    def __init__(self, wire: socket.socket) -> None:
        self._file = wire.makefile("rb")
        self.head = b""
        while not self.head.endswith(b"\r\n\r\n"):
            self.head += self._file.readline()

    @property
    def run(self) -> str:
        """The run's id."""
        found = re.search(rb"x-run-id: (\w+)", self.head)
        assert found is not None
        return found[1].decode()

    def event(self) -> dict[str, Any] | None:
        """The next event; None when the response has ended."""
        while line := self._file.readline():
            if line.startswith(b"data: "):
                event: dict[str, Any] = json.loads(line[6:])
                return event
            if line == b"0\r\n":
                return None
        raise ConnectionResetError("the response was cut")

    def until(self, kind: str) -> dict[str, Any]:
        """The next event of that type."""
        while (event := self.event()) is not None:
            if event["type"] == kind:
                return event
        raise AssertionError(f"no {kind} came")


@contextmanager
def run_server(
    environ: Mapping[str, str], module: str = "functions", *options: str, folder: Path = ROOT
) -> Iterator[Server]:
    """A server for as long as the block lasts."""
    with start(environ, module, *options, folder=folder) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        found = next(filter(None, map(READY.match, process.stdout)), None)
        if found is None:
            process.kill()
            raise AssertionError(f"the server did not start: {process.stderr.read()}")
        server = Server(process, int(found[1]))
        # Read as they come, so that neither pipe fills up and stops the server.
        readers = [
            threading.Thread(target=server.errors.extend, args=(process.stderr,)),
            threading.Thread(target=list, args=(process.stdout,)),
        ]
        for reader in readers:
            reader.start()
        try:
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)  # a busy machine takes its time to end a whole cloud
            finally:
                process.kill()
                for reader in readers:
                    reader.join()
