"""Server-Sent Events, both ways: `encode` writes a block, `EventStreamParser` reads a stream.

Follows the WHATWG HTML standard, section 9.2 "Server-sent events", and is stricter where the
standard leaves a writer room to hurt a reader: lines end in LF only, a field that would add a
line is refused, never repaired. Knows nothing of what the data means.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ...errors import RiverrunError
from ..event_json import clean

CONTENT_TYPE = "text/event-stream"

# One LF, not two: a comment followed by a blank line makes clients that have seen an id
# dispatch an empty event, and some of them fail on it.
PING = b": ping\n"

_LINE_END = re.compile("\r\n|\r|\n")

# Python refuses to read a number of more digits, and no reader waits that long.
_DIGITS = 4300


class FieldError(RiverrunError, ValueError):
    """A value that cannot be written into an event stream without changing its meaning."""

    code = "internal"


def encode(
    data: str, *, id: str | None = None, event: str | None = None, retry: int | None = None
) -> bytes:
    """One block of an event stream, blank line included.

    `data` may hold any text: each CR LF, CR or LF in it becomes a line of its own, as a parser
    will give back joined by LF. Half a surrogate pair becomes U+FFFD. `retry` is in
    milliseconds.

    Raises `FieldError` when `id` or `event` holds CR, LF, NUL or half a surrogate pair, or
    `retry` is not a whole number from 0 up.
    """
    block = ""
    if retry is not None:
        if type(retry) is not int or retry < 0:
            raise FieldError(f"retry is a whole number of milliseconds, not {retry!r}.")
        block += f"retry: {retry}\n"
    if event is not None:
        block += f"event: {_check_one_line('event', event)}\n"
    if id is not None:
        block += f"id: {_check_one_line('id', id)}\n"
    for line in _lines(data):
        block += f"data: {line}\n"
    return (block + "\n").encode()


def encode_comment(text: str) -> bytes:
    """A comment. It ends in one LF and no blank line, so it never dispatches anything."""
    return "".join(f": {line}\n" for line in _lines(text)).encode()


def _lines(text: str) -> list[str]:
    # Not str.splitlines: U+2028, U+0085, VT and FF are text here, not line ends.
    return clean(text).replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _check_one_line(name: str, value: str) -> str:
    # "If the field value does not contain U+0000 NULL, then set the last event ID buffer":
    # an id with NUL would silently not be an id, so the three are refused alike.
    if any(character in value for character in "\r\n\0"):
        raise FieldError(f"{name} must be one line without NUL.")
    if clean(value) is not value:
        raise FieldError(f"{name} must be valid Unicode.")
    return value


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """A dispatched event: its data, its type, and the last event id at that moment."""

    data: str
    event: str = "message"
    id: str = ""


class EventStreamParser:
    """An incremental parser: bytes in, in any cuts; events out.

    `last_event_id` and `retry` (milliseconds, or None) hold what the stream has set so far.
    `limit` bounds what is held for one unfinished line and one unfinished event, each, in
    characters. What is unfinished when the stream ends is lost, as the standard wants it.
    """

    def __init__(self, *, limit: int = 16 * 1024 * 1024) -> None:
        self.last_event_id = ""
        self.retry: int | None = None
        self._limit = limit
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._at_start = True
        self._after_cr = False
        self._line: list[str] = []
        self._line_size = 0
        self._data: list[str] = []
        self._data_size = 0
        self._event = ""
        self._id = ""

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """The events that `chunk` completes.

        Raises `FieldError` when an unfinished line or event outgrows `limit`; the parser is of
        no use after that.
        """
        text = self._decoder.decode(chunk)
        if self._at_start and text:
            # "One leading U+FEFF BYTE ORDER MARK character must be ignored if any are present."
            text = text.removeprefix("\ufeff")
            self._at_start = False
        return list(self._events(text))

    def _events(self, text: str) -> Iterator[ServerSentEvent]:
        start = 0
        if self._after_cr and text:
            # The second half of a CRLF that was cut: its line has ended already.
            self._after_cr = False
            start = 1 if text[0] == "\n" else 0
        for found in _LINE_END.finditer(text, start):
            line = self._end_line(text[start : found.start()])
            start = found.end()
            if line:
                self._field(line)
            elif (event := self._dispatch()) is not None:
                yield event
        if text:
            # A CR ends its line at once: to wait for an LF would be to delay the event.
            self._after_cr = text.endswith("\r")
        self._hold(text[start:])

    def _end_line(self, rest: str) -> str:
        if self._line:
            self._line.append(rest)
            rest = "".join(self._line)
            self._line.clear()
            self._line_size = 0
        return rest

    def _hold(self, piece: str) -> None:
        if piece:
            self._line.append(piece)
            self._line_size += len(piece)
            self._check(self._line_size)

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise FieldError(f"A line or event grew over {self._limit} characters.")

    def _field(self, line: str) -> None:
        if line.startswith(":"):
            return
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
            self._data_size += len(value) + 1
            self._check(self._data_size)
        elif name == "event":
            self._event = value
        elif name == "id":
            if "\0" not in value:
                self._id = value
        elif name == "retry" and value.isascii() and value.isdigit() and len(value) < _DIGITS:
            self.retry = int(value)

    def _dispatch(self) -> ServerSentEvent | None:
        # "Set the last event ID string of the event source to the value of the last event ID
        # buffer": a block with only an id is a checkpoint, though it dispatches nothing.
        self.last_event_id = self._id
        data, event = self._data, self._event
        self._data, self._event, self._data_size = [], "", 0
        if not data:
            return None
        return ServerSentEvent("\n".join(data), event or "message", self.last_event_id)
