"""The server side of HTTP/1.1, with a hand on every byte.

h11 judges heads; bodies are passed on as they come. A reply can be cut, reset or left
unfinished, which servers made for production rightly refuse to do. Knows nothing of Lambda.
"""

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus

import h11

from emulator.body import Body

HEAD_LIMIT = 64 * 1024
_READ = 256 * 1024
_SKIP = 256 * 1024
_LINGER_SECONDS = 2.0
_LINGER_BYTES = 64 * 1024 * 1024

# What no line of a head may have: a CR or LF alone, and NUL; and the start of a folded line.
# The last byte that has come may be a CR, whose LF is still under way.
_STRAY = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)|\0|\r\n[ \t]")
# What h11 takes and others do not: a length that is a list of alike items, a tab beside a coding.
_TWO_READINGS = re.compile(rb"(?i)\n(?:content-length:[^,\r]*,|transfer-encoding:[^\t\r]*\t)")

Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came: `target` undecoded, header names as they were written."""

    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]
    body: Body
    client: str
    port: int

    @property
    def path(self) -> str:
        """The path of the target, still percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What follows the question mark, as sent; "" without one."""
        return self.target.partition("?")[2]

    def header(self, name: str) -> str:
        """The values of a header joined with ", "; "" when it was not sent."""
        wanted = name.lower()
        return ", ".join(value for key, value in self.headers if key.lower() == wanted)


class Reply:
    """The answer to one request, and the ways to spoil it."""

    def __init__(self, connection: "Connection", request: Request) -> None:
        self.request = request
        self._connection = connection
        self._chunked = False
        self._bodiless = False
        self.status = 0
        self.sent = 0
        self.finished = False
        self.keep_alive = request.version == "1.1" and (
            "close" not in request.header("connection").lower()
        )

    async def start(self, status: int, headers: Headers, *, length: int | None = None) -> None:
        """Write the status line and the headers. Without `length` the body is chunked.

        Raises `ValueError` for a header that could end its own line, `ConnectionError` when
        the client has gone.
        """
        lines = [f"HTTP/1.1 {status} {phrase(status)}"]
        for name, value in headers:
            if any(mark in name + value for mark in "\r\n\0"):
                raise ValueError(f"header {name!r} would break the head")
            lines.append(f"{name}: {value}")
        self._bodiless = self.request.method == "HEAD" or status in (204, 304)
        # RFC 9112, 6.1: no Transfer-Encoding with 204, none for a client of HTTP/1.0.
        if length is not None and status != 204:
            lines.append(f"Content-Length: {length}")
        elif length is None and status not in (204, 304):
            self._chunked = self.request.version == "1.1"
            self.keep_alive = self.keep_alive and self._chunked
            if self._chunked:
                lines.append("Transfer-Encoding: chunked")
        if not self.request.body.complete:
            self.keep_alive = False
        lines.append(f"Connection: {'keep-alive' if self.keep_alive else 'close'}")
        self.status = status
        self._connection.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")
        await self._connection.drain()

    async def write(self, data: bytes) -> None:
        """Send a piece of the body now. Raises `ConnectionError` when the client has gone."""
        if not data or self._bodiless:
            return
        self.sent += len(data)
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._connection.write(data)
        await self._connection.drain()

    async def finish(self) -> None:
        """End the body properly."""
        if self._chunked and not self._bodiless:
            self._connection.write(b"0\r\n\r\n")
            await self._connection.drain()
        self.finished = True

    async def send(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """Answer in one go. A small unread body does not cost the connection."""
        await self.request.body.skip(_SKIP)
        await self.start(status, headers, length=len(body))
        await self.write(body)
        await self.finish()

    async def cut(self, *, reset: bool = False) -> None:
        """Stop in mid-answer: what was written still arrives, then FIN, or RST with `reset`."""
        self.keep_alive = False
        await self._connection.cut(reset=reset)

    def abort(self) -> None:
        """Drop the connection at once, with whatever was not sent."""
        self.keep_alive = False
        self._connection.abort()

    async def wait_closed(self) -> None:
        """Wait until the client closes its side. Safe to cancel."""
        while await self._connection.fill():
            if len(self._connection.buffer) > HEAD_LIMIT:
                return


Handler = Callable[[Request, Reply], Awaitable[None]]


class Connection:
    """One client's connection: requests out of it, bytes into it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.buffer = bytearray()
        self._reader = reader
        self._writer = writer
        self._client = str((writer.get_extra_info("peername") or ("127.0.0.1",))[0])
        self._port = int((writer.get_extra_info("sockname") or ("", 0))[1])

    async def fill(self) -> bool:
        """Wait for more bytes; False at the end of the stream or after a reset."""
        try:
            data = await self._reader.read(_READ)
        except ConnectionError:
            return False
        self.buffer += data
        return bool(data)

    def write(self, data: bytes) -> None:
        """Queue bytes for the client."""
        self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the client has taken enough. Raises `ConnectionError` when it has gone."""
        if self._writer.transport.is_closing():
            raise ConnectionResetError("the client has gone")
        await self._writer.drain()

    async def request(self) -> Request | None:
        """The next request, or None when the client has said all.

        Raises `h11.RemoteProtocolError` with the status to answer.
        """
        head = await self._take_head()
        if head is None:
            return None
        judge = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)
        judge.receive_data(head)
        event = judge.next_event()
        if not isinstance(event, h11.Request):
            raise h11.RemoteProtocolError("no request", error_status_hint=400)
        names = dict(event.headers)
        if event.http_version not in (b"1.0", b"1.1"):
            raise h11.RemoteProtocolError("an unknown version of HTTP", error_status_hint=400)
        if b"transfer-encoding" in names and (
            b"content-length" in names or event.http_version == b"1.0"
        ):
            raise h11.RemoteProtocolError("a body announced twice", error_status_hint=400)
        length = None if b"transfer-encoding" in names else int(names.get(b"content-length", b"0"))
        return Request(
            method=event.method.decode("ascii"),
            target=event.target.decode("latin-1"),
            version=event.http_version.decode("ascii"),
            headers=tuple(
                (name.decode("ascii"), value.decode("latin-1"))
                for name, value in event.headers.raw_items()
            ),
            body=Body(self, length, invited=names.get(b"expect", b"").lower() != b"100-continue"),
            client=self._client,
            port=self._port,
        )

    async def _take_head(self) -> bytes | None:
        """The bytes of the next head. h11 would take a bare LF for a line's end, and unfold."""
        searched = 0
        while True:
            while self.buffer.startswith(b"\r\n"):
                del self.buffer[:2]  # RFC 9112, 2.2: what some clients send behind a body
            end = self.buffer.find(b"\r\n\r\n", max(0, searched - 3))
            stop = len(self.buffer) if end < 0 else end + 4
            if _STRAY.search(self.buffer, max(0, searched - 2), stop):
                raise h11.RemoteProtocolError("a line is ended otherwise", error_status_hint=400)
            if end >= 0:
                head = bytes(self.buffer[:stop])
                if _TWO_READINGS.search(head):
                    why = "a list of lengths, or a tab beside a coding"
                    raise h11.RemoteProtocolError(why, error_status_hint=400)
                del self.buffer[:stop]
                return head
            if stop > HEAD_LIMIT:
                raise h11.RemoteProtocolError("head too large", error_status_hint=431)
            searched = stop
            if not await self.fill():
                return None

    async def cut(self, *, reset: bool) -> None:
        """Let what was written leave, then close; with `reset` by RST instead of FIN."""
        # A client that does not read must not hold its own cut back for ever.
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                self._writer.transport.set_write_buffer_limits(high=0)
                await self._writer.drain()
        if reset:
            sock: socket.socket = self._writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()
        else:
            self._writer.close()

    def abort(self) -> None:
        """Close at once, dropping what was not sent."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close so that a client which is still sending can read the answer it was given."""
        if self._writer.transport.is_closing():
            return
        with contextlib.suppress(OSError, TimeoutError):
            self._writer.write_eof()
            async with asyncio.timeout(_LINGER_SECONDS):
                dropped = 0
                while dropped < _LINGER_BYTES and await self.fill():
                    dropped += len(self.buffer)
                    self.buffer.clear()
        self._writer.close()


def phrase(status: int) -> str:
    """The reason phrase of a status; "" for one that HTTP does not name."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
