"""A server that speaks the wire contract and does exactly what a test tells it, faults included.

It serves the page from `netlify/site` and hands each request of the page to a function of the
test, which writes the answer piece by piece and may wait, break off or misbehave at any byte. It
is written against the contract alone and shares no code with the product.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SITE = Path(__file__).resolve().parents[2] / "netlify" / "site"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
PATIENCE = 15.0

Answer = Callable[["Exchange"], None]


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One request of the page, as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(slots=True)
class Exchange:
    """One request and the answer being written to it."""

    asked: PageRequest
    server: "Wire"
    handler: BaseHTTPRequestHandler

    def open(self, run: str = "run", *, status: int = 200, **headers: str) -> None:
        """Send the head of an event stream."""
        self.handler.send_response(status)
        self.handler.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.handler.send_header("Cache-Control", "no-cache, no-transform")
        self.handler.send_header("X-Run-Id", run)
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()

    def send(self, seq: int, event: Mapping[str, Any], *, run: str = "run") -> None:
        """Send one event with its id; the first carries a short reconnection time."""
        retry = "retry: 20\n" if seq == 1 else ""
        data = json.dumps(event, ensure_ascii=False)
        self.raw(f"{retry}id: {run}-{seq}\ndata: {data}\n\n".encode())

    def raw(self, data: bytes) -> None:
        """Send bytes, and nothing else."""
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def reply(self, status: int, body: dict[str, Any] | None = None, **headers: str) -> None:
        """Send a complete JSON response."""
        data = b"" if body is None else json.dumps(body).encode()
        self.handler.send_response(status)
        if body is not None:
            self.handler.send_header("Content-Type", "application/json")
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        if status != 204:
            self.handler.send_header("Content-Length", str(len(data)))
        self.handler.end_headers()
        self.raw(data)

    def wait(self, gate: str) -> None:
        """Go on when the test opens `gate`."""
        if not self.server.gate(gate).wait(PATIENCE):
            raise TimeoutError(f"nothing opened the gate {gate!r}")


@dataclass(slots=True)
class Wire:
    """The running server: where it is, what it was asked, and the gates its answers wait at."""

    url: str
    asked: list[PageRequest] = field(default_factory=list)
    deletion_status: int = 204
    _gates: dict[str, threading.Event] = field(default_factory=dict)

    def gate(self, name: str) -> threading.Event:
        """The event an answer waits for, made when first named."""
        return self._gates.setdefault(name, threading.Event())

    def questions(self) -> list[PageRequest]:
        """The requests that ask something new."""
        return [
            asked for asked in self.asked if (asked.method, asked.path) == ("POST", "/api/chat")
        ]

    def resumes(self) -> list[str]:
        """The cursor of each request that reads on."""
        gets = [asked.path for asked in self.asked if asked.method == "GET"]
        found = (re.fullmatch(r"/api/chat/runs/(.+)/events\?after=(\d+)&resume=1", p) for p in gets)
        return [f"{one[1]}-{one[2]}" for one in found if one]

    def deletions(self) -> list[str]:
        """The path of each request to delete."""
        return [asked.path for asked in self.asked if asked.method == "DELETE"]

    def stops(self) -> list[str]:
        """The path of each request to stop."""
        return [asked.path for asked in self.asked if asked.path.endswith("/stop")]


def delete(exchange: Exchange) -> None:
    """Answer a request to delete."""
    exchange.reply(exchange.server.deletion_status)
    exchange.server.gate("deleted").set()


@contextmanager
def serve(answer: Answer, site: Path = SITE, *, samples: Sequence[object] = ()) -> Iterator[Wire]:
    """Serve the page and answer its requests with `answer`, on a port the system chooses."""
    known_replies: dict[str, dict[str, Any]] = {
        "/api/sources/samples": {"samples": list(samples)},
        "/api/health": {"status": "ok", "host": "web-function"},
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path in known_replies:
                asked = PageRequest("GET", self.path, {}, {})
                Exchange(asked, wire, self).reply(200, known_replies[self.path])
            elif self.path.startswith("/api/"):
                self._exchange({})
            else:
                self._file()

        do_DELETE = do_GET  # noqa: N815 - the standard library's name

        def do_POST(self) -> None:
            size = int(self.headers.get("Content-Length", "0"))
            self._exchange(json.loads(self.rfile.read(size) or b"{}"))

        def _exchange(self, body: dict[str, Any]) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = PageRequest(self.command, self.path, headers, body)
            wire.asked.append(asked)
            with suppress(ConnectionError):  # the page may leave
                {"DELETE": delete}.get(self.command, answer)(Exchange(asked, wire, self))

        def _file(self) -> None:
            path = site / (self.path.lstrip("/").split("?")[0] or "index.html")
            known = path.is_file() and path.resolve().is_relative_to(site)
            data = path.read_bytes() if known else b"not here"
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", TYPES.get(path.suffix, "text/plain"))
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        wire = Wire(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield wire
        finally:
            for gate in list(wire._gates.values()):
                gate.set()
            server.shutdown()
            thread.join()


def status(step: int, state: str, description: str = "", **more: Any) -> dict[str, Any]:
    """A `status` event."""
    inner = {"step": step, "description": description, "status": state, "timestamp": 1000 * step}
    return {"type": "status", "status": inner | more}


def token(text: str) -> dict[str, Any]:
    """A `token` event."""
    return {"type": "token", "text": text}


def sources(*titles: str) -> dict[str, Any]:
    """A `sources` event with a passage for each title."""
    return {"type": "sources", "sources": [source(title) for title in titles]}


def source(title: str, **more: Any) -> dict[str, Any]:
    """One source."""
    made = {"id": title, "title": title, "uri": f"guides/{title}.md", "score": 0.71}
    return made | {"snippet": f"The passage of {title}."} | more


def final(answer: str, **more: Any) -> dict[str, Any]:
    """A `final` event."""
    result = {"answer": answer, "success": True, "finishReason": "stop", "sessionId": "session-1"}
    return {"type": "final", "result": result | more}


def failure(message: str, code: str = "provider_error", **more: Any) -> dict[str, Any]:
    """An `error` event."""
    return {"type": "error", "error": message, "code": code, "retryable": True, **more}
