"""One request to an application's web server, and its response as it comes. Plain HTTP/1.1."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

import h11

from emulator.body import Body, TruncatedBodyError
from emulator.chunked import MalformedBodyError

_READ = 256 * 1024
_HEAD_LIMIT = 64 * 1024

# Kept until they have ended: a task that is referred to by nothing may be collected.
_leaving: set[asyncio.Task[None]] = set()


class UpstreamError(Exception):
    """The server hung up, or answered no HTTP."""


class Upstream:
    """A connection of its own for one request."""

    def __init__(self, port: int) -> None:
        self.buffer = bytearray()
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._body: Body | None = None

    async def fill(self) -> bool:
        """Wait for more bytes; False at the end."""
        assert self._reader is not None
        try:
            data = await self._reader.read(_READ)
        except ConnectionError:
            return False
        self.buffer += data
        return bool(data)

    def write(self, data: bytes) -> None:
        """Queue bytes for the server."""
        assert self._writer is not None
        self._writer.write(data)

    async def send(
        self, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes
    ) -> None:
        """Send a whole request. Raises `UpstreamError`."""
        lines = [f"{method} {target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers]
        if body or method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(body)}")
        try:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
            self.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
            await self._writer.drain()
        except ConnectionError as error:
            raise UpstreamError from error

    async def read_head(self, method: str) -> tuple[int, list[tuple[str, str]]]:
        """The response's status and headers. Raises `UpstreamError`."""
        judge = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_LIMIT)
        judge.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        judge.send(h11.EndOfMessage())
        while (end := self.buffer.find(b"\r\n\r\n")) < 0:
            if len(self.buffer) > _HEAD_LIMIT or not await self.fill():
                raise UpstreamError("no head")
        judge.receive_data(bytes(self.buffer[: end + 4]))
        del self.buffer[: end + 4]
        try:
            event = judge.next_event()
        except h11.RemoteProtocolError as error:
            raise UpstreamError("no HTTP") from error
        if not isinstance(event, h11.Response):
            raise UpstreamError("no response")
        names = dict(event.headers)
        length = None if b"transfer-encoding" in names else int(names.get(b"content-length", b"0"))
        if method == "HEAD" or event.status_code in (204, 304):
            length = 0
        self._body = Body(self, length, invited=True)
        return event.status_code, [
            (name.decode("ascii"), value.decode("latin-1"))
            for name, value in event.headers.raw_items()
        ]

    async def read(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes. Raises `UpstreamError` when the server hangs up in it."""
        assert self._body is not None
        try:
            while data := await self._body.read():
                yield data
        except (TruncatedBodyError, MalformedBodyError) as error:
            raise UpstreamError("cut") from error

    def leave(self, done: Callable[[], None], *, told: bool) -> None:
        """Hang up and call `done`; an application that is not `told` writes to its end first."""

        async def read_rest() -> None:
            try:
                if self._body is not None and not told:
                    async for _ in self.read():
                        pass
            except UpstreamError:
                return
            finally:
                if self._writer is not None:
                    self._writer.close()
                done()

        task = asyncio.create_task(read_rest())
        _leaving.add(task)
        task.add_done_callback(_leaving.discard)
