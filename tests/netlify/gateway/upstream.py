"""Functions that say what a test wants, behind a real socket, and remember what they were asked."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.netlify.wire import PATIENCE

Answer = Callable[["Answering"], None]


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """One request, byte for byte: `target` undecoded, header names as they were written."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The one header of that name, None without one."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) <= 1, f"{name} came {len(found)} times"
        return found[0] if found else None

    @property
    def names(self) -> set[str]:
        """The names of its headers, in lower case."""
        return {name.lower() for name, _ in self.headers}


@dataclass(slots=True)
class Upstream:
    """The running server. `left` is set when a reader went away in mid-answer."""

    url: str
    asked: list[UpstreamRequest] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)
    came: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class Answering:
    """An answer being written."""

    asked: UpstreamRequest
    upstream: Upstream
    handler: BaseHTTPRequestHandler

    def head(self, status: int, *headers: tuple[str, str]) -> None:
        """The status line and headers, as they are given and nothing more."""
        lines = [f"HTTP/1.1 {status} Any", *(f"{name}: {value}" for name, value in headers)]
        self.write("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def chunk(self, data: bytes) -> None:
        """One chunk of a chunked body; b"" is its end."""
        self.write(b"%x\r\n%b\r\n" % (len(data), data))

    def write(self, data: bytes) -> None:
        """Bytes."""
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def whole(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        """A complete answer; JSON unless the headers say otherwise."""
        named = {name.lower() for name, _ in headers}
        kind = [] if "content-type" in named else [("Content-Type", "application/json")]
        self.head(status, ("Content-Length", str(len(body))), *kind, *headers)
        self.write(body)

    def wait(self) -> None:
        """Go on when the test says so."""
        assert self.upstream.go_on.wait(PATIENCE)


@contextmanager
def functions(answer: Answer) -> Iterator[Upstream]:
    """Serve with `answer` until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.close_connection = True
            self.raw_requestline = self.rfile.readline()
            if not self.raw_requestline or not self.parse_request():
                return
            size = int(self.headers.get("Content-Length", "0"))
            if self.headers.get("Transfer-Encoding"):
                raise AssertionError("the gateway knows how long a question is")
            body = self.rfile.read(size)
            asked = UpstreamRequest(self.command, self.path, list(self.headers.items()), body)
            upstream.asked.append(asked)
            upstream.came.set()
            try:
                answer(Answering(asked, upstream, self))
            except ConnectionError:
                upstream.left.set()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        upstream = Upstream(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield upstream
        finally:
            upstream.go_on.set()
            server.shutdown()
            with suppress(RuntimeError):
                thread.join()
