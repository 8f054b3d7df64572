"""Decode the body of a streamed answer: server-sent events, and what services send instead.

Events are read as the HTML standard says: comments, unknown fields and events without data are
passed over, whatever their order. Bounded: a service that never ends cannot fill the memory.
Knows nothing of models.
"""

from collections.abc import Iterator

MAX_LINE = 1 << 20
MAX_STREAM = 64 << 20
"""Bytes. A token of an answer takes about 300, a whole answer some hundred thousand."""

_BOM = b"\xef\xbb\xbf"

ServerEvent = tuple[bytes, bytes]
"""The type of an event, empty if it has none, and its data."""


class OversizeError(Exception):
    """A body, or one line of it, is longer than any answer."""


class EventStreamDecoder:
    """Turns chunks of bytes into events. `feed` every chunk, then `finish`."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._has_begun = False
        self._skips_newline = False
        self._type = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """Return the events that are complete with `chunk`."""
        self._size += len(chunk)
        if self._size > MAX_STREAM:
            raise OversizeError(f"the body is longer than {MAX_STREAM} bytes")
        if self._rest:
            # Added to in place: a long line in small chunks is not copied once for each.
            self._rest += chunk
            if b"\n" not in chunk and b"\r" not in chunk and self._has_begun:
                self._check_line()
                return []
            chunk = bytes(self._rest)
            self._rest.clear()
        if not self._has_begun:
            if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
                self._rest = bytearray(chunk)
                return []
            chunk = chunk.removeprefix(_BOM)
            self._has_begun = True
        if self._skips_newline and chunk:
            # The line ended with the CR of the last chunk; this is the LF that belongs to it.
            chunk = chunk.removeprefix(b"\n")
            self._skips_newline = False
        if not (self._data or self._type) and (data := _read_single(chunk)):
            return [(b"", data)]
        lines = chunk.splitlines(keepends=True)
        if lines and lines[-1][-1:] not in (b"\n", b"\r"):
            self._rest = bytearray(lines.pop())
            self._check_line()
        elif lines and lines[-1][-1:] == b"\r":
            self._skips_newline = True
        return list(self._read_lines(lines))

    def finish(self) -> list[ServerEvent]:
        """Return the last event, where the service forgot the empty line behind it."""
        lines = [bytes(self._rest), b"\n"] if self._rest else [b"\n"]
        self._rest = bytearray()
        return list(self._read_lines(lines))

    def _check_line(self) -> None:
        if len(self._rest) > MAX_LINE:
            raise OversizeError(f"a line is longer than {MAX_LINE} bytes")

    def _read_lines(self, lines: list[bytes]) -> Iterator[ServerEvent]:
        for line in lines:
            text = line.rstrip(b"\r\n")
            if text.startswith(b"data:"):
                self._data.append(text[6:] if text[5:6] == b" " else text[5:])
            elif not text:
                if self._data:
                    yield self._type, b"\n".join(self._data)
                    self._data = []
                self._type = b""
            elif text.startswith(b"event:"):
                self._type = text[6:].strip()
            elif text == b"data":
                self._data.append(b"")


def _read_single(chunk: bytes) -> bytes:
    """Return the data of a chunk that is one event of one line, as nearly each is; else b""."""
    if chunk[:5] != b"data:" or chunk[-2:] != b"\n\n":
        return b""
    data = chunk[6 if chunk[5:6] == b" " else 5 : -2]
    return b"" if b"\n" in data or b"\r" in data else data
