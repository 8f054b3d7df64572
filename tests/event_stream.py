"""A reader of event streams that shares no code with the clients: the tests' own.

Follows the WHATWG HTML standard, section 9.2 "Server-sent events".
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINE_END = re.compile("\r\n|\r|\n")

# Python refuses to read a number of more digits, and no reader waits that long.
_DIGITS = 4300


class TooLongError(ValueError):
    """An unfinished line or event outgrew the parser's limit."""


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

        Raises `TooLongError` when an unfinished line or event outgrows `limit`; the parser is of
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
            raise TooLongError(f"A line or event grew over {self._limit} characters.")

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
