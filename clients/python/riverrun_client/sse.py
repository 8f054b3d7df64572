"""Read an event stream: bytes in, in any cuts; events out.

Follows the WHATWG HTML standard, section 9.2 "Server-sent events", to the letter. Knows nothing
of what the data means.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

CONTENT_TYPE = "text/event-stream"

# Not str.splitlines: U+2028, U+0085, VT and FF are text here, not line ends.
_LINE_END = re.compile("\r\n|\r|\n")

# Python refuses to read a number of more digits, and no reader waits that long.
_DIGITS = 4300


class TooLargeError(ValueError):
    """A line or an event outgrew the limit."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A dispatched event: its data, its type, and the last event id at that moment.

    `own` says whether the block itself set that id, or an earlier one did.
    """

    data: str
    event: str = "message"
    id: str = ""
    own: bool = False


class EventStreamParser:
    """An incremental parser.

    `last_event_id` and `retry` (milliseconds, or None) hold what the stream has set so far.
    `limit` bounds what is held for one unfinished line and one unfinished event, each, in
    characters. What is unfinished when the stream ends is lost, as the standard wants it.
    """

    def __init__(self, *, limit: int = 4 * 1024 * 1024) -> None:
        self.last_event_id = ""
        self.retry: int | None = None
        self._limit = limit
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._started = False
        self._cr = False
        self._runner: list[str] = []
        self._held = 0
        self._data: list[str] = []
        self._size = 0
        self._event = ""
        self._id = ""
        self._own = False

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """The events that `chunk` completes, each made when it is asked for: read them all.

        Raises `TooLargeError` behind the events before it; the parser is of no use after that.
        """
        text = self._decoder.decode(chunk)
        if not text:
            return
        if not self._started:
            # "One leading U+FEFF BYTE ORDER MARK character must be ignored if any are present."
            self._started = True
            text = text.removeprefix("\ufeff")
        start = 1 if self._cr and text.startswith("\n") else 0
        # A CR ends its line at once: to wait for an LF would be to delay the event.
        self._cr = text.endswith("\r") if text else self._cr
        for end in _LINE_END.finditer(text, start):
            line = self._complete_line(text[start : end.start()])
            start = end.end()
            if line:
                self._take_field(line)
            elif (frame := self._dispatch()) is not None:
                yield frame
        self._hold(text[start:])

    def _complete_line(self, rest: str) -> str:
        if self._runner:
            rest = "".join((*self._runner, rest))
            self._runner.clear()
            self._held = 0
        return rest

    def _hold(self, piece: str) -> None:
        if piece:
            self._runner.append(piece)
            self._held += len(piece)
            self._check_size(self._held)

    def _check_size(self, size: int) -> None:
        if size > self._limit:
            raise TooLargeError(f"A line or an event grew over {self._limit:,} characters.")

    def _take_field(self, line: str) -> None:
        # A comment is a line whose field name is empty, and no field is called that.
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
            self._size += len(value) + 1
            self._check_size(self._size)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id, self._own = value, True
        elif name == "retry" and value.isascii() and value.isdigit() and len(value) < _DIGITS:
            self.retry = int(value)

    def _dispatch(self) -> Frame | None:
        # The buffer becomes the last event id though the block dispatches nothing.
        self.last_event_id = self._id
        data, event, own = self._data, self._event, self._own
        self._data, self._event, self._own, self._size = [], "", False, 0
        if not data:
            return None
        return Frame("\n".join(data), event or "message", self.last_event_id, own)
