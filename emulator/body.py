"""The body of one request: bytes as they come, trailers at the end. Knows nothing of heads."""

import contextlib
from typing import Protocol

from emulator.chunked import ChunkedDecoder


class Source(Protocol):
    """The connection that a body comes from."""

    buffer: bytearray

    async def fill(self) -> bool:
        """Wait for more bytes in `buffer`; False at the end."""

    def write(self, data: bytes) -> None:
        """Queue bytes for the peer."""


class TruncatedBodyError(Exception):
    """The peer went away before the end of the body it announced."""


class TooLargeError(Exception):
    """A body is over the limit its reader allows."""


class Body:
    """A request's body. `complete` says that it was read to its end; then `trailers` is known."""

    def __init__(self, connection: Source, length: int | None, *, invited: bool) -> None:
        self._connection = connection
        self._decoder = ChunkedDecoder() if length is None else None
        self._left = length or 0
        self._invited = invited
        self.complete = length == 0
        self.trailers: dict[str, str] = {}

    async def read(self) -> bytes:
        """The bytes that have come, at least one; b"" at the end.

        Safe to cancel. Raises `TruncatedBodyError`, `MalformedBodyError`.
        """
        if not self._invited:
            self._invited = True
            self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while (data := self._take(self._connection.buffer)) is None:
            if not await self._connection.fill():
                raise TruncatedBodyError
        return data

    async def read_all(self, limit: int) -> bytes:
        """The whole body. Raises `TooLargeError` over `limit` bytes, and what `read` raises."""
        if self._left > limit:
            raise TooLargeError
        pieces: list[bytes] = []
        size = 0
        while data := await self.read():
            size += len(data)
            if size > limit:
                raise TooLargeError
            pieces.append(data)
        return b"".join(pieces)

    async def skip(self, limit: int) -> None:
        """Drop a body of known length, if at most `limit` bytes are left of it."""
        if self._decoder is None and self._left <= limit:
            with contextlib.suppress(TruncatedBodyError):
                while await self.read():
                    pass

    def _take(self, buffer: bytearray) -> bytes | None:
        """What `buffer` holds of the body, b"" at its end, None when more must come first."""
        if self.complete:
            return b""
        if self._decoder is not None:
            data = self._decoder.take(buffer)
            self.complete = self._decoder.done
            self.trailers = self._decoder.trailers
        else:
            data = bytes(buffer[: self._left])
            del buffer[: len(data)]
            self._left -= len(data)
            self.complete = self._left == 0
        return data if data or self.complete else None
