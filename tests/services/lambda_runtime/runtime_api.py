"""A Runtime API for tests, with a script: answer, wait, cut at a byte, refuse, reset.

It spells every name of the protocol itself, so that the runtime and its tests cannot share a
typing error, and it reads requests with h11, so that what it accepts is HTTP and not a habit.
"""

import asyncio
import itertools
import json
import socket
import struct
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import h11

from tests.connections import accept_connections

NUL8 = b"\x00" * 8
RESPONSE_OK = b'{"status":"OK"}\n'


@dataclass
class Call:
    """One request the runtime sent, as far as it came."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    connection: int
    body: bytearray = field(default_factory=bytearray)
    pieces: list[bytes] = field(default_factory=list)
    trailers: dict[str, str] = field(default_factory=dict)
    raw: bytearray = field(default_factory=bytearray)
    reads: list[bytes] = field(default_factory=list)
    complete: bool = False

    def header(self, name: str) -> str | None:
        """The only value under a name; repeated headers fail the test."""
        found = [value for key, value in self.headers if key == name.lower()]
        assert len(found) < 2, f"{name} was sent {len(found)} times"
        return found[0] if found else None

    @property
    def prelude(self) -> dict[str, Any]:
        """The JSON in front of the delimiter."""
        head, delimiter, _ = bytes(self.body).partition(NUL8)
        assert delimiter, f"no delimiter in {bytes(self.body)!r}"
        prelude: dict[str, Any] = json.loads(head)
        return prelude

    @property
    def content(self) -> bytes:
        """What comes after the delimiter."""
        return bytes(self.body).partition(NUL8)[2]

    @property
    def json(self) -> Any:
        """The whole body as JSON."""
        return json.loads(self.body)


@dataclass
class Step:
    """What to do with one request: by default answer 202 when it is complete.

    `after` acts when so many of its bytes have been read, instead of at its end. `reset`
    breaks the connection with RST, `close` with FIN; otherwise the status is sent. `hold`
    waits before acting; `unread` waits before reading on, which makes a slow reader.
    `cut` sends only so many bytes of the answer and resets.
    """

    status: int = 202
    body: bytes = RESPONSE_OK
    after: int | None = None
    reset: bool = False
    close: bool = False
    hold: asyncio.Event | None = None
    unread: asyncio.Event | None = None
    cut: int | None = None


@dataclass
class Invocation:
    """One answer to GET /next. `raw` replaces it byte for byte."""

    payload: bytes
    headers: list[tuple[str, str]]
    raw: bytes | None = None


class RuntimeAPI:
    """The server's side, and the record of what it got."""

    def __init__(self) -> None:
        self.host = ""
        self.calls: list[Call] = []
        self.waiting: asyncio.Queue[Invocation | Step] = asyncio.Queue()
        self.steps: dict[str, deque[Step]] = {}
        self.connections = 0
        self.open_connections = 0
        self.writers: list[asyncio.StreamWriter] = []
        self.news = asyncio.Condition()
        self.polls = 0
        self.idle = 0

    def script(self, outcome: str, *steps: Step) -> None:
        """The next requests whose path ends so are treated so; the rest as usual."""
        self.steps.setdefault(outcome, deque()).extend(steps)

    async def call(self, outcome: str, number: int = 0, *, complete: bool = True) -> Call:
        """Wait for the n-th request whose path ends so, and for its end."""

        def find_call() -> Call | None:
            calls = [call for call in self.calls if call.path.endswith(outcome)]
            if len(calls) > number and (calls[number].complete or not complete):
                return calls[number]
            return None

        async with asyncio.timeout(60), self.news:
            await self.news.wait_for(find_call)
        call = find_call()
        assert call is not None
        return call

    async def until(self, condition: Any) -> None:
        """Wait until something about the record is true."""
        async with asyncio.timeout(60), self.news:
            await self.news.wait_for(condition)

    async def wait_polls(self, times: int) -> None:
        """Wait until GET /next has come so many times: all before it is over."""
        await self.until(lambda: self.polls >= times)

    async def _tell(self) -> None:
        async with self.news:
            self.news.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = Conversation(self, self.connections, reader, writer)
        self.connections += 1
        self.open_connections += 1
        self.writers.append(writer)
        await self.tell()
        try:
            while await conversation.one_call():
                pass
        except (ConnectionError, h11.RemoteProtocolError):
            pass
        finally:
            self.open_connections -= 1
            writer.close()
            await self.tell()

    async def tell(self) -> None:
        """Wake the tests that wait for the record."""
        async with self.news:
            self.news.notify_all()

    def step_for(self, path: str) -> Step:
        """What the script says about a request."""
        for outcome, steps in self.steps.items():
            if path.endswith(outcome) and steps:
                return steps.popleft()
        return Step()

    async def next_invocation(self, reader: asyncio.StreamReader) -> Invocation | Step | None:
        """The next invocation, unless the runtime hangs up first."""
        self.idle += 1
        await self.tell()
        get = asyncio.ensure_future(self.waiting.get())
        gone = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({get, gone}, return_when=asyncio.FIRST_COMPLETED)
            return get.result() if get.done() else None
        finally:
            self.idle -= 1
            get.cancel()
            gone.cancel()
            await asyncio.gather(get, gone, return_exceptions=True)


class Conversation:
    """One connection, from the server's side."""

    def __init__(
        self,
        api: RuntimeAPI,
        number: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._api = api
        self._number = number
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER)
        self._call: Call | None = None
        self._step = Step()
        self._head = b""

    async def one_call(self) -> bool:
        """Read one request and treat it as the script says. False ends the connection."""
        self._forget()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                if not await self._read_more():
                    return False
            elif isinstance(event, h11.ConnectionClosed):
                return False
            elif isinstance(event, h11.Request):
                await self._begin(event)
            elif isinstance(event, h11.Data) and self._call is not None:
                self._call.body += event.data
                self._call.pieces.append(bytes(event.data))
                await self._api.tell()
            elif isinstance(event, h11.EndOfMessage) and self._call is not None:
                self._call.trailers = {k.decode(): v.decode() for k, v in event.headers}
                self._call.complete = True
                await self._api.tell()
                return await self._respond(self._call)

    def _forget(self) -> None:
        self._call, self._head = None, b""

    async def _read_more(self) -> bool:
        size = 65536
        if self._call is not None and self._step.after is not None:
            size = min(size, self._step.after - len(self._call.raw))
            if size <= 0:
                await self._api.tell()
                await self._act(self._step)
                return False
        data = await self._reader.read(size)
        if self._call is None:
            self._head += data
        else:
            self._call.raw += data
            self._call.reads.append(data)
        self._http.receive_data(data)
        return True

    async def _begin(self, request: h11.Request) -> None:
        headers = [(name.decode(), value.decode("latin-1")) for name, value in request.headers]
        path = request.target.decode()
        call = Call(request.method.decode(), path, headers, self._number)
        call.raw += self._head
        call.reads.append(self._head)
        self._call, self._step = call, self._api.step_for(path)
        self._api.calls.append(call)
        self._api.polls += path.endswith("/invocation/next")
        await self._api.tell()
        if self._step.unread is not None:
            await self._step.unread.wait()

    async def _respond(self, call: Call) -> bool:
        step = self._step
        if call.method == "GET" and call.path.endswith("/invocation/next"):
            answer = await self._api.next_invocation(self._reader)
            if answer is None:
                return False
            if isinstance(answer, Invocation):
                return await self._deliver(answer)
            step = answer
        await self._act(step)
        return self._carry_on(step)

    async def _deliver(self, invocation: Invocation) -> bool:
        raw = invocation.raw
        self._writer.write(raw or _answer(200, invocation.payload, invocation.headers))
        await self._writer.drain()
        return self._carry_on(Step()) and (raw is None or raw.startswith(b"HTTP/1.1 200"))

    def _carry_on(self, step: Step) -> bool:
        if step.reset or step.close or step.cut is not None:
            return False
        self._http.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
        self._http.send(h11.EndOfMessage())
        self._http.start_next_cycle()
        return True

    async def _act(self, step: Step) -> None:
        if step.hold is not None:
            await step.hold.wait()
        if step.reset:
            abort(self._writer)
        elif step.close:
            self._writer.close()
        else:
            self._writer.write(_answer(step.status, step.body, [])[: step.cut])
            await self._writer.drain()
            if step.cut is not None:
                abort(self._writer)


def abort(writer: asyncio.StreamWriter) -> None:
    """Break the connection with RST."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


_ids = itertools.count()


def invocation(
    payload: Any,
    *,
    request_id: str | None = None,
    seconds: float = 30.0,
    more: Sequence[tuple[str, str]] = (),
    without: Sequence[str] = (),
) -> Invocation:
    """An invocation as Lambda words it."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    headers = [
        ("Content-Type", "application/json"),
        ("Lambda-Runtime-Aws-Request-Id", request_id or f"0000-{next(_ids)}"),
        ("Lambda-Runtime-Deadline-Ms", str(int((time.time() + seconds) * 1000))),
        ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:123456789012:function:f"),
        ("Lambda-Runtime-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"),
    ]
    headers = [pair for pair in headers if pair[0] not in without]
    return Invocation(body, [*headers, *more])


def _answer(status: int, body: bytes, headers: Sequence[tuple[str, str]]) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in headers)]
    if not headers:
        lines.append("Content-Type: application/json")
    lines += ["Date: Sun, 22 Nov 2026 18:00:00 GMT", f"Content-Length: {len(body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


@asynccontextmanager
async def runtime_api() -> AsyncGenerator[RuntimeAPI]:
    """A Runtime API on a port of its own."""
    api = RuntimeAPI()
    async with accept_connections(api._serve) as port:
        api.host = f"127.0.0.1:{port}"
        yield api
