"""HTTP/1.1 read strictly under `make serve`: what two readers could read in two ways is refused.

uvicorn reads with h11, which takes a bare LF for the end of a line, joins folded headers, and goes
on with a connection that announced its body twice. Behind a proxy that reads otherwise, a second
request hides in the first. Here each of these is 400 and the end of the connection, and what sends
half a request is closed; the rest is as uvicorn does it.
"""

import asyncio
import re
from importlib.metadata import version
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from services.errors import SetupError

try:
    # A private name, and the one place that every line of h11 comes from: `check_strictness` says
    # so where another version of h11 has it no more, or takes its lines from elsewhere.
    from h11._receivebuffer import ReceiveBuffer
except ImportError:
    ReceiveBuffer = object  # type: ignore[assignment, misc]

# How long a client may take over the head of a request, and over all of it, in seconds.
HEAD_SECONDS = 60.0
REQUEST_SECONDS = 300.0

# For how long what a refused client still sends is read, so that it sees the refusal.
LINGER_SECONDS = 2.0

# Neither a line's end nor part of a line: a CR or LF alone, and NUL. Only the last byte of what
# has come may be a CR, whose LF is still under way.
_STRAY = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)|\0")

# What h11 takes and others do not: a length that is a list of alike items, a tab beside a coding.
_TWO_READINGS = re.compile(rb"(?i)content-length:[^,]*,|transfer-encoding:[^\t]*\t")

# The line before a chunk: a size that no reader's integer overflows, and what may follow it.
_CHUNK_LINE = re.compile(rb"[0-9A-Fa-f]{1,15}(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")

# h11 alone takes each; here each is refused in another place: in a line of the head, in the line
# before a chunk, in a trailer.
_CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
_LENIENCIES = (
    b"GET / HTTP/1.1\nHost: x\n\n",
    _CHUNKED + b"1 \r\nx\r\n0\r\n\r\n",
    _CHUNKED + b"0\r\nA: b\n\n",
)

# What says where a body ends may not come behind it (RFC 9110, 6.5.1).
_FRAMING = {b"content-length", b"transfer-encoding"}


class StrictHttp(H11Protocol):
    """uvicorn's protocol for one connection, over a strict reader."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = _StrictConnection(
            h11.SERVER, self.config.h11_max_incomplete_event_size or 16 * 1024
        )
        self._is_refused = False
        self._late: asyncio.TimerHandle | None = None
        self._awaited: Any = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Read what came, unless the client was refused and has not yet noticed."""
        if not self._is_refused:
            super().data_received(data)

    def handle_events(self) -> None:
        """Act on what was read, and expect the rest in time."""
        super().handle_events()
        self._watch()

    def on_response_complete(self) -> None:
        """The next request may come, in its own time."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left."""
        self._expect(None, 0)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what came, where an answer is still possible, and end the connection."""
        self._is_refused = True
        self._expect(None, 0)
        if (cycle := self._find_cycle()) is not None and not cycle.response_complete:
            # The application reads a body that has no end: to it, the client has left.
            cycle.disconnected = True
            cycle.message_event.set()
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()
            return
        text = msg.encode("ascii")
        head = h11.Response(
            status_code=400,
            reason=b"Bad Request",
            headers=[
                ("content-type", "text/plain; charset=utf-8"),
                ("content-length", str(len(text))),
                ("connection", "close"),
            ],
        )
        for event in (head, h11.Data(data=text), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        # Closed at once, with bytes unread, the client would be told of a reset in place of this.
        self.transport.write_eof()
        self.transport.resume_reading()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _find_cycle(self) -> RequestResponseCycle | None:
        """The last request and its answer, None before the first."""
        return self.cycle

    def _watch(self) -> None:
        """Give what the client still owes its time, from when it began to be owed."""
        state = self.conn.their_state
        has_begun = self._find_cycle() is None or bool(self.conn.trailing_data[0])
        if self._is_refused or self.transport.is_closing():
            self._expect(None, 0)
        elif state is h11.IDLE and has_begun:
            self._expect(state, HEAD_SECONDS)
        elif state is h11.SEND_BODY:
            self._expect(state, REQUEST_SECONDS)
        else:
            self._expect(None, 0)

    def _expect(self, awaited: Any, seconds: float) -> None:
        if awaited is self._awaited and awaited is not None:
            return
        if self._late is not None:
            self._late.cancel()
            self._late = None
        self._awaited = awaited
        if awaited is not None:
            self._late = self.loop.call_later(seconds, self._close_late, seconds)

    def _close_late(self, seconds: float) -> None:
        cycle = self._find_cycle()
        if cycle is not None and cycle.response_started and not cycle.response_complete:
            # An answer is being read: the rest of the question holds nothing of its own.
            self._late = self.loop.call_later(seconds, self._close_late, seconds)
        else:
            self.transport.close()


def check_strictness() -> None:
    """Read what must be refused, before a stranger sends it.

    Raises `SetupError` where the installed h11 takes its lines from elsewhere than we think.
    """
    for wire in _LENIENCIES:
        try:
            judge = _StrictConnection(h11.SERVER, 16 * 1024)
            judge.receive_data(wire)
            while judge.next_event() not in (h11.NEED_DATA, h11.PAUSED):
                pass
        except h11.RemoteProtocolError:
            continue
        except (AttributeError, TypeError):
            pass
        raise SetupError(
            f"h11 {version('h11')} cannot be read strictly, and would take a request that hides "
            "in another. Install the h11 of requirements.txt."
        )


class _StrictConnection(h11.Connection):
    """h11, whose lines end with CR LF and whose requests announce one body."""

    def __init__(self, role: Any, max_incomplete_event_size: int) -> None:
        super().__init__(role, max_incomplete_event_size)
        # Every line of a head, of a chunk's size and of trailers is taken from here.
        self._receive_buffer = _StrictBuffer()

    def next_event(self) -> Any:
        """The next event. Raises `h11.RemoteProtocolError` for a request with two meanings."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            names = {name for name, _ in event.headers}
            if event.http_version not in (b"1.0", b"1.1"):
                raise h11.RemoteProtocolError("an unknown version of HTTP")
            if b"transfer-encoding" in names and (
                b"content-length" in names or event.http_version == b"1.0"
            ):
                raise h11.RemoteProtocolError("a body in chunks and with a length")
        if isinstance(event, h11.EndOfMessage) and {name for name, _ in event.headers} & _FRAMING:
            raise h11.RemoteProtocolError("a trailer that announces a body")
        return event


class _StrictBuffer(ReceiveBuffer):
    """What came and was not yet read. Its lines end with CR LF, and are not folded."""

    def maybe_extract_next_line(self) -> bytearray | None:
        """The line before a chunk, with its end; None when it has not come."""
        end = self._find(b"\r\n", self._next_line_search)
        if end is None:
            self._next_line_search = len(self._data)
            return None
        line = self._extract(end)
        if _CHUNK_LINE.fullmatch(line) is None:
            raise h11.LocalProtocolError("a chunk without a size")
        return line

    def maybe_extract_lines(self) -> list[bytearray] | None:
        """The lines up to the first empty one, without their ends; None when it has not come."""
        if self._data[:2] == b"\r\n":
            self._extract(2)
            return []
        end = self._find(b"\r\n\r\n", self._multiple_lines_search)
        if end is None:
            self._multiple_lines_search = len(self._data)
            return None
        lines = self._extract(end)[:-4].split(b"\r\n")
        if any(line.startswith((b" ", b"\t")) for line in lines):
            raise h11.LocalProtocolError("a folded header")
        if any(_TWO_READINGS.match(line) for line in lines):
            raise h11.LocalProtocolError("a list of lengths, or a tab beside a coding")
        return lines

    def _find(self, mark: bytes, searched: int) -> int | None:
        """Where the first `mark` ends. Raises for what no line may have, as soon as it has come."""
        start = max(0, searched - len(mark) + 1)
        found = self._data.find(mark, start)
        end = None if found < 0 else found + len(mark)
        if _STRAY.search(self._data, max(0, searched - 1), len(self._data) if end is None else end):
            raise h11.LocalProtocolError("a CR, LF or NUL within a line")
        return end
