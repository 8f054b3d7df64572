"""A streamed answer on its connection: head, prelude, chunks, end.

It decides when bytes leave. The prelude leaves with the first frame, if that is there by then. A
body frame after a pause leaves at once; frames that follow it closely are joined, up to 64 KiB or
the end of the loop's turn, and leave in one write and one chunk (Lambda promises no chunk fidelity
anyway). It knows nothing of ASGI or of HTTP statuses.
"""

import asyncio
from collections.abc import Generator
from types import coroutine

from . import wire
from .connection import Connection
from .event_stream import EVENT_ENDS, EventStreamPosition

JOIN_UP_TO = 64 * 1024
PAUSE = 0.001  # seconds of silence after which a frame does not wait for company


@coroutine
def yield_to_loop() -> Generator[None]:
    """Let every other task on the loop run once."""
    yield


class StreamWriter:
    """Writes one answer. Its owner calls `end`, or closes the connection.

    Bytes in memory: one joined chunk, what the kernel would not take of the one before, and
    the frame being added; `add` tells its caller when to `drain`, which is the backpressure.
    """

    __slots__ = (
        "_connection",
        "_head",
        "_last",
        "_loop",
        "_pending",
        "_scheduled",
        "_size",
        "_tracked",
        "has_ended",
        "position",
    )

    def __init__(self, connection: Connection, head: bytes) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._head = head
        self._pending: list[bytes] = []
        self._size = 0
        self._last = float("-inf")
        self._scheduled = False
        self.has_ended = False
        self.position: EventStreamPosition | None = None
        self._tracked = 0  # how many of the pending frames it has been fed with

    @property
    def has_begun(self) -> bool:
        """Whether any byte of the answer has left."""
        return not self._head

    @property
    def last_sent_at(self) -> float:
        """When bytes last left, on the loop's clock."""
        return self._last

    def begin(self, prelude: bytes = b"", first: bytes = b"") -> bool:
        """Send the head, the prelude and a `first` frame in one write; True means `drain`."""
        head, self._head = self._head, b""
        data = head + wire.frame_chunk(prelude)
        if first:
            self._last = self._loop.time()
            if self.position is not None:
                self.position.feed(first)
            data += wire.frame_chunk(first)
        self._connection.write(data)
        return self._connection.is_blocked

    def add(self, frame: bytes) -> bool:
        """Take a frame that is not empty; True means `drain` before adding more."""
        pending = self._pending
        if not pending and not self._scheduled:
            now = self._loop.time()
            if now - self._last > PAUSE:
                self._last = now
                if self.position is not None:
                    self.position.feed(frame)
                self._connection.write(wire.frame_chunk(frame))
                return self._connection.is_blocked
            self._scheduled = True
            self._loop.call_soon(self._flush_turn)
        pending.append(frame)
        self._size += len(frame)
        if self._size < JOIN_UP_TO:
            return False
        self.flush()
        return True

    def is_between_events(self) -> bool:
        """Whether everything taken so far ends between two events of an event stream."""
        if self.position is None:
            return False
        self._track(self._pending)
        return self.position.is_between_events

    def _track(self, pending: list[bytes]) -> None:
        if self.position is not None and len(pending) > self._tracked:
            # One that ends an event says all: a burst costs no more than its last frame.
            whole = pending[-1].endswith(EVENT_ENDS)
            for frame in pending[-1:] if whole else pending[self._tracked :]:
                self.position.feed(frame)
            self._tracked = len(pending)

    async def drain(self) -> None:
        """Wait for a slow reader; with a fast one, still let the other streams have a turn."""
        if self._connection.is_blocked:
            await self._connection.drain()
        else:
            await yield_to_loop()

    def flush(self) -> None:
        """Send what has been joined, now."""
        if self._pending:
            self._connection.write(self._take())

    def end(self, frame: bytes = b"", failure: wire.Failure | None = None) -> None:
        """Send what is left, a last `frame` and the end in one write; `failure` fills trailers."""
        self.has_ended = True
        last = wire.last_chunk(failure)
        if frame:
            self._pending.append(frame)
            self._size += len(frame)
        self._connection.write(self._take(last) if self._pending else last)

    def _take(self, last: bytes = b"") -> bytes:
        pending, self._pending = self._pending, []
        if self.position is not None:
            self._track(pending)
            self._tracked = 0
        size, self._size = self._size, 0
        self._last = self._loop.time()
        return b"".join((b"%x\r\n" % size, *pending, wire.CRLF, last))

    def _flush_turn(self) -> None:
        self._scheduled = False
        self.flush()
