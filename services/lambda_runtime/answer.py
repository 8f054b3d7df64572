"""What carries one response out of an exchange: the protocol, and the answer that streams.

The other one, which collects, is in `buffered`.
"""

from typing import Protocol

from . import wire
from .event_stream import EventStreamPosition
from .head import Head, to_prelude
from .writer import StreamWriter


class Answer(Protocol):
    """Carries one response out."""

    @property
    def last_sent_at(self) -> float:
        """When a frame was last sent, on the loop's clock."""

    @property
    def is_committed(self) -> bool:
        """Whether a response that was started can no longer be replaced by another."""

    def start(self, head: Head) -> None:
        """Check that `head` can be carried. Raises `wire.PreludeTooLargeError`."""

    def follow_events(self) -> None:
        """The body is an event stream."""

    def is_between_events(self) -> bool:
        """Whether a line may be added that the application did not send."""

    def begin(self, *, empty: bool, first: bytes = b"") -> bool:
        """Send the head and the `first` frame; `empty` when no body will follow.

        True means `drain` before the next frame.
        """

    def add(self, frame: bytes) -> bool:
        """Take a frame; True means `drain` before the next one."""

    async def drain(self) -> None:
        """Wait until there is room."""

    def end(self, frame: bytes, failure: wire.Failure | None = None) -> None:
        """The response is over with this last frame, which may be empty, or it is broken."""


class StreamedAnswer:
    """Carries a response out as prelude and chunks."""

    __slots__ = ("_head", "_multi_value", "_prelude", "_writer", "add", "drain")

    is_committed = True

    def __init__(self, writer: StreamWriter, *, multi_value: bool) -> None:
        self._writer = writer
        self._multi_value = multi_value
        self._head: Head | None = None
        self._prelude = b""
        # Bound once: a hundred thousand frames pass through them.
        self.add = writer.add
        self.drain = writer.drain

    def follow_events(self) -> None:
        """The body is an event stream: keep track of where in it the frames end."""
        self._writer.position = EventStreamPosition()

    def is_between_events(self) -> bool:
        """Whether a line may be added that the application did not send."""
        return self._writer.is_between_events()

    @property
    def last_sent_at(self) -> float:
        """When a frame was last sent, on the loop's clock."""
        return self._writer.last_sent_at

    def start(self, head: Head) -> None:
        """Write the prelude, but do not send it yet: the body may turn out empty."""
        self._prelude = to_prelude(head, empty=False, multi_value=self._multi_value)
        self._head = head

    def begin(self, *, empty: bool, first: bytes = b"") -> bool:
        """Send the prelude and the `first` frame, in one write and a chunk each."""
        if empty and self._head is not None:
            self._prelude = to_prelude(self._head, empty=True, multi_value=self._multi_value)
        return self._writer.begin(self._prelude, first)

    def end(self, frame: bytes, failure: wire.Failure | None = None) -> None:
        """Send what is left and the end of the body."""
        self._writer.end(frame, failure)
