"""A scripted HTTP server for fakes: every call is kept, and answered step by step.

A `Reply` is a refusal, or the steps of a streamed body: bytes are sent as one chunk, a number
waits so many seconds, an event waits until the test sets it. It knows nothing of any model's
protocol.
"""

import json
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from fakes.hosts import REFUSAL, is_for_programs

Step = bytes | float | threading.Event | Literal["cut", "hang", "end"]
"""``cut`` resets the connection, ``hang`` says nothing more until the client leaves, ``end``
closes the connection without the last chunk."""

# A fake is never left behind by a test that failed, in seconds.
LONGEST = 60.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer with an HTTP status and no stream. A body of bytes is sent as it is."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stream:
    """A streamed body: its content type, other headers, and its steps."""

    content_type: str
    steps: Sequence[Step]
    headers: Mapping[str, str] = field(default_factory=dict)


Reply = Refusal | Stream


@dataclass(eq=False)
class Call:
    """One request, and what became of it.

    `over` is set when its connection is done with; `left` says that the client went before the
    end, and `left_at` when (`time.monotonic`).
    """

    path: str
    headers: dict[str, str]
    body: Any
    over: threading.Event = field(default_factory=threading.Event)
    left: bool = False
    left_at: float = 0.0


class LeftError(ConnectionError):
    """The client has closed its connection."""


@dataclass(eq=False)
class Fake:
    """A running fake. `answer` makes the reply to a call; `calls` are all of them, in order."""

    port: int
    answer: Callable[[Call], Reply]
    calls: list[Call] = field(default_factory=list)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    handed: int = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def play(self, *replies: Reply) -> None:
        """Answer the next calls with these, and every further one with the last."""
        left = list(replies)
        lock = threading.Lock()

        def answer(_call: Call) -> Reply:
            with lock:
                return left.pop(0) if len(left) > 1 else left[0]

        self.play_by(answer)

    def play_by(self, answer: Callable[[Call], Reply]) -> None:
        """Answer the next calls so, and forget those that were."""
        self.calls.clear()
        self.arrived, self.handed = threading.Semaphore(0), 0
        self.answer = answer

    def call(self) -> Call:
        """The next call that this has not handed out yet; waits for it."""
        assert self.arrived.acquire(timeout=LONGEST), "no call came"
        self.handed += 1
        return self.calls[self.handed - 1]


@contextmanager
def run_server(answer: Callable[[Call], Reply], port: int = 0) -> Iterator[Fake]:
    """A fake for as long as the block lasts; port 0 takes a free one."""
    with _Server(("127.0.0.1", port), _Handler) as server:
        server.fake = Fake(server.server_address[1], answer)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server.fake
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    fake: Fake

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that leave are what a fake is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # With Nagle's algorithm a kept connection would add 40 ms to every first token.
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        """Keep the call and play its reply."""
        hosts, said = self.headers.get_all("Host", []), self.headers
        if not is_for_programs(hosts, said["Origin"], said["Sec-Fetch-Site"]):
            self.close_connection = True
            self._refuse(Refusal(403, REFUSAL.encode(), {"Content-Type": "text/plain"}))
            return
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(self.path, headers, json.loads(raw) if raw else None)
        fake = self.server.fake
        reply = fake.answer(call)
        fake.calls.append(call)
        fake.arrived.release()
        try:
            self._refuse(reply) if isinstance(reply, Refusal) else self._stream(reply)
        except (LeftError, BrokenPipeError, ConnectionResetError):
            call.left, call.left_at = True, time.monotonic()
            self.close_connection = True
        finally:
            call.over.set()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""

    def _refuse(self, refusal: Refusal) -> None:
        exact = isinstance(refusal.body, bytes)
        body = refusal.body if exact else json.dumps(refusal.body).encode()
        self.send_response(refusal.status)
        for name, value in refusal.headers.items():
            self.send_header(name, value)
        if "Content-Type" not in refusal.headers:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, stream: Stream) -> None:
        steps = list(stream.steps)
        while steps and not isinstance(steps[0], bytes) and steps[0] != "end":
            # What happens before the first byte happens before the head, as at a busy service.
            if self._undergo(steps.pop(0)):
                return
        self.send_response(200)
        self.send_header("Content-Type", stream.content_type)
        self.send_header("Transfer-Encoding", "chunked")
        for name, value in stream.headers.items():
            self.send_header(name, value)
        self.end_headers()
        for step in steps:
            if isinstance(step, bytes):
                self._wait_or_leave(0)
                self.wfile.write(b"%x\r\n%b\r\n" % (len(step), step))
            elif self._undergo(step):
                return
        self.wfile.write(b"0\r\n\r\n")

    def _undergo(self, step: Step) -> bool:
        """Do what a step says; True when the connection is over with it."""
        if isinstance(step, threading.Event):
            until = time.monotonic() + LONGEST
            while not step.wait(0.005) and time.monotonic() < until:
                self._wait_or_leave(0)
        elif step == "hang":
            self._wait_or_leave(LONGEST)
        elif isinstance(step, float | int):
            self._wait_or_leave(step)
        else:
            if step == "cut":
                # Lingering for zero seconds makes the close a reset.
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            return True
        return False

    def _wait_or_leave(self, seconds: float) -> None:
        """Wait, unless the client leaves: then raise `LeftError` at once."""
        readable, _, _ = select.select([self.connection], [], [], seconds)
        if readable and not self.connection.recv(1, socket.MSG_PEEK):
            raise LeftError
