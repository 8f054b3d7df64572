"""What the Runtime API answers: a strict, bounded reader of HTTP/1.1 responses.

It eats bytes in any slices and gives a `Reply`; it knows no socket. Strict, because the
runtime speaks to one server only and a guess about where a message ends would put one
invocation's bytes into another.
"""

import re
from typing import NamedTuple

from .errors import LambdaRuntimeError

HEAD_LIMIT = 64 * 1024
BODY_LIMIT = 16 * 1024 * 1024  # a payload is at most 6 MiB + 100 bytes

# RFC 9112 section 4: status-line = HTTP-version SP status-code SP [ reason-phrase ]
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\x00-\x08\x0a-\x1f\x7f]*)?")
# RFC 9110 section 5.6.2 (tchar), and 5.5: no CR, LF or NUL in a value.
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00\r\n]*?)[ \t]*")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00\r\n]*)?")


class ProtocolError(LambdaRuntimeError):
    """What came back is not an HTTP/1.1 response, or is larger than one may be."""


class Reply(NamedTuple):
    """One response: header names are lower-case, values latin-1 text.

    `reusable` says whether the connection may carry another request.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    reusable: bool


class ReplyReader:
    """Reads responses off one connection, one after the other.

    `feed` gives the finished `Reply`, or None while it is incomplete; bytes beyond it make the
    connection unusable, since they were not asked for. `end` is for the peer's close.
    Both raise `ProtocolError`.
    """

    __slots__ = ("_body", "_buffer", "_headers", "_left", "_reusable", "_state", "_status")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._reset()

    @property
    def has_started(self) -> bool:
        """Whether any byte of an answer has come."""
        return bool(self._buffer) or self._state != "head"

    def feed(self, data: bytes) -> Reply | None:
        """Take what the socket gave."""
        self._buffer += data
        while True:
            state = self._state
            if state == "head":
                reply, more = self._read_head()
            elif state == "length":
                reply, more = self._read_length()
            elif state == "close":
                self._take(len(self._buffer))
                return None
            else:
                reply, more = self._read_chunked()
            if reply is not None or not more:
                return reply

    def end(self) -> Reply | None:
        """The peer closed: complete a body that its close delimits, or say what is missing."""
        if self._state == "close":
            return self._finish()
        if self.has_started:
            raise ProtocolError("The Runtime API closed the connection in the middle of an answer.")
        return None

    def _reset(self) -> None:
        self._state = "head"
        self._status = 0
        self._left = 0
        self._reusable = True
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    def _read_head(self) -> tuple[Reply | None, bool]:
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n")
        if end < 0 or end > HEAD_LIMIT:
            if len(buffer) > HEAD_LIMIT:
                raise ProtocolError(f"The Runtime API sent a head of over {HEAD_LIMIT} bytes.")
            return None, False
        lines = bytes(buffer[:end]).split(b"\r\n")
        del buffer[: end + 4]
        line = _STATUS.fullmatch(lines[0])
        if line is None:
            raise ProtocolError("The Runtime API sent something that is not an HTTP/1.1 response.")
        self._status = int(line[2])
        if 100 <= self._status < 200:  # interim: the answer is still to come
            return None, True
        self._headers, lengths, codings = _read_headers(lines[1:])
        self._reusable = line[1] == b"1" and not _says_close(self._headers)
        return self._frame(lengths, codings)

    def _frame(self, lengths: set[str], codings: list[str]) -> tuple[Reply | None, bool]:
        """RFC 9112 section 6.3: how long the body is. Anything ambiguous is refused."""
        if self._status in {204, 304}:
            return self._finish(), False
        if codings:
            if lengths or [coding.lower() for coding in codings] != ["chunked"]:
                raise ProtocolError("The Runtime API framed its answer in two ways at once.")
            self._state = "size"
        elif lengths:
            text = next(iter(lengths))
            if len(lengths) > 1 or not (text.isascii() and text.isdigit() and len(text) < 16):
                raise ProtocolError("The Runtime API sent a Content-Length that is no length.")
            self._left = int(text)
            self._state = "length"
            if self._left > BODY_LIMIT:
                raise ProtocolError(f"The Runtime API sent a body of over {BODY_LIMIT} bytes.")
        else:
            self._state = "close"
            self._reusable = False
        return None, True

    def _read_length(self) -> tuple[Reply | None, bool]:
        self._left -= self._take(self._left)
        return (self._finish() if self._left == 0 else None), False

    def _read_chunked(self) -> tuple[Reply | None, bool]:
        if self._state == "data":
            self._left -= self._take(self._left)
            if self._left:
                return None, False
            self._state = "gap"
        line = self._line()
        if line is None:
            return None, False
        if self._state == "gap":
            if line:
                raise ProtocolError("The Runtime API sent a chunk longer than it said.")
            self._state = "size"
        elif self._state == "size":
            size = _SIZE.fullmatch(line)
            if size is None:
                raise ProtocolError("The Runtime API sent a chunk size that is no size.")
            self._left = int(size[1], 16)
            self._state = "data" if self._left else "trailers"
        elif not line:
            return self._finish(), False
        elif _HEADER.fullmatch(line) is None:
            raise ProtocolError("The Runtime API sent a trailer that is no header.")
        return None, True

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > HEAD_LIMIT:
                raise ProtocolError(f"The Runtime API sent a line of over {HEAD_LIMIT} bytes.")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _take(self, size: int) -> int:
        taken = self._buffer[:size]
        del self._buffer[:size]
        self._body += taken
        if len(self._body) > BODY_LIMIT:
            raise ProtocolError(f"The Runtime API sent a body of over {BODY_LIMIT} bytes.")
        return len(taken)

    def _finish(self) -> Reply:
        reusable = self._reusable and not self._buffer
        reply = Reply(self._status, self._headers, bytes(self._body), reusable)
        self._reset()
        return reply


def _read_headers(lines: list[bytes]) -> tuple[dict[str, str], set[str], list[str]]:
    """The headers, every Content-Length, every transfer coding."""
    headers: dict[str, str] = {}
    lengths: set[str] = set()
    codings: list[str] = []
    for line in lines:
        field = _HEADER.fullmatch(line)
        if field is None:
            raise ProtocolError("The Runtime API sent a line that is no header.")
        name, value = field[1].decode("ascii").lower(), field[2].decode("latin-1")
        if name == "content-length":
            lengths.add(value)
        elif name == "transfer-encoding":
            codings.append(value)
        headers[name] = value
    return headers, lengths, codings


def _says_close(headers: dict[str, str]) -> bool:
    tokens = headers.get("connection", "").lower().split(",")
    return "close" in (token.strip() for token in tokens)
