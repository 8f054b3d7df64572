"""A server that says what a test tells it to, byte by byte, and remembers what it was asked.

Real sockets, one thread a connection; each request gets the next answer of the script, the last
one again and again.
"""

import json
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

RUN = "0123456789abcdef0123456789abcdef"
PATIENCE = 60.0


def frame(seq: int, event: dict[str, Any], run: str = RUN) -> bytes:
    """A stored event as the contract frames it."""
    return b"id: %b-%d\ndata: %b\n\n" % (run.encode(), seq, json.dumps(event).encode())


def loose(event: dict[str, Any]) -> bytes:
    """An event that is not stored."""
    return b"data: %b\n\n" % json.dumps(event).encode()


def status(seq: int, description: str = "Thinking") -> bytes:
    """A status."""
    said = {"step": seq, "description": description, "status": "executing", "timestamp": 1}
    return frame(seq, {"type": "status", "status": said})


def token(seq: int, text: str, run: str = RUN) -> bytes:
    """A token."""
    return frame(seq, {"type": "token", "text": text}, run)


def final(seq: int, answer: str = "One two three.") -> bytes:
    """A final."""
    result = {"answer": answer, "success": True, "finishReason": "stop", "runId": RUN}
    return frame(seq, {"type": "final", "result": result})


WHOLE = [status(1), token(2, "One "), token(3, "two "), token(4, "three."), final(5)]
"""A run of five events."""


End = Literal["close", "reset", "hold", "nothing"]


@dataclass(frozen=True)
class Answer:
    """What is sent. An `Event` in the body is waited for; `hold` keeps the line open after it."""

    body: Sequence[bytes | threading.Event] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    end: End = "close"

    def head(self) -> bytes:
        """The status line and the headers."""
        named = {"Content-Type": "text/event-stream", "X-Run-Id": RUN} | self.headers
        lines = [f"HTTP/1.1 {self.status} So", *(f"{n}: {v}" for n, v in named.items() if v)]
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode()


def refusal(status: int, code: str = "", **headers: str) -> Answer:
    """An error object with its status."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    passes = code in ("overloaded", "rate_limited")
    body = {"type": "error", "error": "No.", "code": code, "retryable": passes} if code else {}
    said = json.dumps(body).encode()
    return Answer([said], status, {"Content-Type": "application/json", "X-Run-Id": "", **named})


@dataclass
class Exchange:
    """A request. `left` is set when the client closed before the server did."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    left: threading.Event = field(default_factory=threading.Event)

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


class ScriptedServer:
    """See the module."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.asked: list[Exchange] = []
        self._answers = list(answers)
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._closing = threading.Event()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def lines(self) -> list[str]:
        """What was asked, a line a request."""
        return [f"{asked.method} {asked.target}" for asked in self.asked]

    def close(self) -> None:
        """End every connection and thread."""
        self._closing.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for line in self._open:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._socket.accept()
            except OSError:
                return
            self._open.append(line)
            thread = threading.Thread(target=self._serve, args=(line,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, line: socket.socket) -> None:
        with line, suppress(OSError):
            asked = _read(line)
            if asked is None:
                return
            with self._lock:
                self.asked.append(asked)
                answer = self._answers[min(len(self.asked), len(self._answers)) - 1]
            try:
                self._say(line, asked, answer)
            except OSError:
                asked.left.set()

    def _say(self, line: socket.socket, asked: Exchange, answer: Answer) -> None:
        if answer.end == "nothing":
            return
        line.sendall(answer.head())
        for part in answer.body:
            if isinstance(part, bytes):
                line.sendall(part)
            elif not part.wait(PATIENCE):
                return
        if answer.end == "reset":
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if answer.end == "hold":
            with suppress(OSError):
                line.recv(1)
            if not self._closing.is_set():
                asked.left.set()


def _read(line: socket.socket) -> Exchange | None:
    file = line.makefile("rb")
    first = file.readline().decode("latin-1").split()
    if len(first) != 3:
        return None
    headers: dict[str, str] = {}
    while (header := file.readline().strip()) != b"":
        name, _, value = header.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    body = file.read(int(headers.get("content-length", "0")))
    file.close()
    return Exchange(first[0], first[1], headers, body)


@contextmanager
def run_script(*answers: Answer) -> Iterator[ScriptedServer]:
    """A server for as long as the block lasts."""
    server = ScriptedServer(answers)
    try:
        yield server
    finally:
        server.close()
