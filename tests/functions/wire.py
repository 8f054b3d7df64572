"""Readers on raw sockets, thousands at a time: they see every byte, and can leave in any way."""

import asyncio
import json
import re
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from tests.event_stream import EventStreamParser

Leave = Literal["fin", "rst", "half"]


class CutError(Exception):
    """The response was not there, or ended before its end."""


class CutOffError(CutError):
    """The body was cut, and not by its reader."""


@dataclass(slots=True)
class SeenEvent:
    """An event as it came: its id ("" for none) and its data."""

    id: str
    data: bytes

    @property
    def seq(self) -> int:
        """Its number, 0 for none."""
        return int(self.id.rpartition("-")[2]) if self.id else 0

    @property
    def event(self) -> dict[str, Any]:
        """Its data."""
        event: dict[str, Any] = json.loads(self.data)
        return event


def post(data: Mapping[str, Any], **headers: str) -> bytes:
    """A POST to the endpoint."""
    body = json.dumps(data).encode()
    return _head("POST", "/api/chat", {"Content-Type": "application/json", **headers}, body)


def get(target: str, **headers: str) -> bytes:
    """A GET."""
    return _head("GET", target, headers, b"")


def _head(method: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass
class Response:
    """One request and the events of its response. Use as a context; leaves when it ends.

    `budget` is how many bytes of the body it will look at before it leaves (None: all).
    """

    port: int
    request: bytes
    budget: int | None = None
    leave: Leave = "fin"
    status: int = 0
    retry_after: float = 0.0
    run: str = ""
    ended: bool = False
    body: bytearray = field(default_factory=bytearray)
    _last: str = ""
    _parser: EventStreamParser = field(default_factory=EventStreamParser)

    async def __aenter__(self) -> Self:
        """Ask, and read the head. Raises `CutError`."""
        try:
            self._reader, self._writer = await asyncio.open_connection(
                "127.0.0.1", self.port, limit=1 << 20
            )
        except OSError as error:
            raise CutError(str(error)) from error
        try:
            self._writer.write(self.request)
            head = await self._reader.readuntil(b"\r\n\r\n")
        except (OSError, asyncio.IncompleteReadError) as error:
            self._close()
            raise CutError(str(error)) from error
        except BaseException:
            self._close()
            raise
        self.status = int(head.split()[1])
        found = re.search(rb"x-run-id: (\w+)", head)
        self.run = found[1].decode() if found else ""
        wait = re.search(rb"retry-after: (\d+)", head)
        self.retry_after = float(wait[1]) if wait else 0.0
        self.ended = self.status == 204
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Leave, in the way that was chosen."""
        try:
            if not self.ended and self.leave == "half":
                with suppress(OSError):
                    self._writer.write_eof()
                    await asyncio.sleep(0.01)
        finally:
            self._close()

    async def events(self) -> list[SeenEvent]:
        """The events of the next chunk; an empty list when the body has ended.

        Raises `CutError` when it was cut, or when the budget is spent: then what had come is in
        `body`, the last event perhaps in part.
        """
        while not self.ended:
            try:
                size = int(await self._reader.readuntil(b"\r\n"), 16)
                data = await self._reader.readexactly(size + 2)
            except (OSError, ValueError, asyncio.IncompleteReadError) as error:
                raise CutOffError(str(error)) from error
            if size == 0:
                self.ended = True
                return []
            data = data[:-2]
            if self.budget is not None:
                data = data[: max(0, self.budget - len(self.body))]
            self.body += data
            found = [self._make_event(one.id, one.data) for one in self._parser.feed(data)]
            if found:
                return found
            if self.budget is not None and len(self.body) >= self.budget:
                raise CutError("left")
        return []

    def _make_event(self, id: str, data: str) -> SeenEvent:
        # To a parser, an event without an id has the one of the event before.
        own = id if id != self._last else ""
        self._last = id
        return SeenEvent(own, data.encode())

    def _close(self) -> None:
        sock = self._writer.get_extra_info("socket")
        if self.leave == "rst" and not self.ended and sock is not None:
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()
            return
        self._writer.close()
