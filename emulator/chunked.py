"""HTTP/1.1 chunked bodies, decoded from whatever bytes have come so far.

Knows RFC 9112, section 7.1, and nothing of sockets. h11 reads the heads of our messages;
it spends ten microseconds on each chunk, which a stream of small events cannot afford.
"""

import re

TRAILER_LIMIT = 1024 * 1024
_SIZE_LINE_LIMIT = 4096

# chunk-size is 1*HEXDIG and nothing else; int() alone would take "+1", "0x1" and "1_0".
# Of 15 digits at most, which no reader's integer overflows. No blank stands before an extension,
# though RFC 9112, 7.1.1, would take one: llhttp and `make serve` refuse it, and where one reader
# refuses what another takes, a request hides.
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_FIELD = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*")


class MalformedBodyError(Exception):
    """The peer's body breaks the framing it announced."""


class ChunkedDecoder:
    """A chunked body in progress. `done` says that the last chunk and the trailers were read.

    `trailers` has lower-case names and is empty until then.
    """

    def __init__(self) -> None:
        self.done = False
        self.trailers: dict[str, str] = {}
        self._left = 0
        self._line_end_due = False
        self._last_chunk_seen = False

    def take(self, buffer: bytearray) -> bytes:
        """Consume what can be consumed of `buffer` and return the content bytes in it.

        Chunk borders are dropped: HTTP gives them no meaning, and joining what has come
        anyway makes one write of many. Raises `MalformedBodyError`.
        """
        pieces: list[bytes] = []
        if not self._last_chunk_seen:
            position, self._last_chunk_seen = self._take_chunks(bytes(buffer), pieces)
            del buffer[:position]
        if self._last_chunk_seen:
            self._take_trailers(buffer)
        return b"".join(pieces)

    def _take_chunks(self, data: bytes, pieces: list[bytes]) -> tuple[int, bool]:
        """How far `data` was read, and whether the last chunk was in it."""
        position, end = 0, len(data)
        while True:
            if self._left:
                piece = data[position : position + self._left]
                pieces.append(piece)
                position += len(piece)
                self._left -= len(piece)
                if self._left:
                    return position, False
                self._line_end_due = True
            if self._line_end_due:
                if end - position < 2:
                    return position, False
                if data[position : position + 2] != b"\r\n":
                    raise MalformedBodyError("a chunk is longer than its size")
                position += 2
                self._line_end_due = False
            size = _SIZE.match(data, position)
            if size is None:
                if b"\n" in data[position:] or end - position > _SIZE_LINE_LIMIT:
                    raise MalformedBodyError("a chunk size is not hexadecimal")
                return position, False
            position = size.end()
            self._left = int(size[1], 16)
            if self._left == 0:
                return position, True

    def _take_trailers(self, buffer: bytearray) -> None:
        if buffer.startswith(b"\r\n"):
            del buffer[:2]
            self.done = True
            return
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(buffer) > TRAILER_LIMIT:
                raise MalformedBodyError("the trailers are too large")
            return
        for line in buffer[:end].decode("latin-1").split("\r\n"):
            field = _FIELD.fullmatch(line)
            if field is None:
                raise MalformedBodyError("a trailer is not a header field")
            if field[1].lower() in ("content-length", "transfer-encoding"):
                raise MalformedBodyError("a trailer announces a body")  # RFC 9110, 6.5.1
            self.trailers[field[1].lower()] = field[2]
        del buffer[: end + 4]
        self.done = True
