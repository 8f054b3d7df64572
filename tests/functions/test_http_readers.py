"""Our two readers of HTTP/1.1 and llhttp, which Node.js reads with: no bytes have two meanings.

Requests of the table are cut, joined and changed by seed. What one reader takes for a request, in
whichever place, no other takes for another; and what llhttp refuses, ours refuse, but for what has
one meaning all the same (`TOLERATED`).
"""

import random
from dataclasses import dataclass, field
from typing import Any

import h11
import httptools
import pytest

from emulator.body import TruncatedBodyError
from emulator.chunked import MalformedBodyError
from emulator.http1 import Connection
from functions._strict_http import _StrictConnection
from tests.http_table import AMBIGUOUS, NEXT, PLAIN

# A share with every test; `make fuzz TARGET=http` goes on.
EXAMPLES = 1500
WIRES = [*AMBIGUOUS.values(), *(wire for wire, _ in PLAIN.values())]
MARKS = [
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\n", b" ", b"\t", b"\0", b"\x0b", b":", b",", b";",
    b"0", b"5", b"a", b"f", b"+", b"-", b"_", b"0x", b"\xff", b"0\r\n\r\n", b"chunked", b"1.0",
    b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"X: y\r\n", b"\r\n ", NEXT,
]  # fmt: skip

# llhttp knows a list of methods and the shapes of targets, which are for an application to judge;
# one length said twice is one length (RFC 9112, 6.3); names in a chunk's extension are skipped.
TOLERATED = (
    "Invalid method", "after method", "char in url", "characters in url",
    "Duplicate Content-Length", "in chunk extensions",
)  # fmt: skip


@dataclass(slots=True)
class Outcome:
    """The requests that a reader took, and why it refused what stood behind them."""

    requests: list[tuple[bytes, bytes, bytes]] = field(default_factory=list)
    refused: str = ""


def make_wire(chance: random.Random) -> bytes:
    """One or two requests, a few of their bytes changed."""
    wire = bytearray(b"".join(chance.choices(WIRES, k=chance.choice([1, 1, 2]))) + NEXT)
    for _ in range(chance.choice([0, 1, 1, 2, 3])):
        at = chance.randrange(len(wire))
        until = at + chance.choice([0, 0, 1, 2, 4])
        wire[at:until] = chance.choice(MARKS) if chance.random() < 0.8 else b""
    return bytes(wire)


def read_with_h11(wire: bytes, judge: Any) -> Outcome:
    """What a connection of h11 reads while it answers each request at once."""
    found = Outcome()
    judge.receive_data(wire)
    try:
        while isinstance(event := judge.next_event(), h11.Request):
            body = b""
            while isinstance(part := judge.next_event(), h11.Data):
                body += part.data
            if not isinstance(part, h11.EndOfMessage):
                break
            found.requests.append((bytes(event.method), bytes(event.target), body))
            judge.send(h11.Response(status_code=204, headers=[]))
            judge.send(h11.EndOfMessage())
            if judge.our_state is not h11.DONE:
                break  # the client wants it closed
            judge.start_next_cycle()
    except h11.RemoteProtocolError as error:
        found.refused = str(error)
    return found


class _Reader:
    """A stream that has come whole and is still open."""

    def __init__(self, wire: bytes) -> None:
        self._wire = wire

    async def read(self, _size: int) -> bytes:
        wire, self._wire = self._wire, b""
        return wire


class _Writer:
    def get_extra_info(self, _name: str) -> None:
        return None

    def write(self, data: bytes) -> None:
        pass


async def read_with_emulator(wire: bytes) -> Outcome:
    """What the emulator reads."""
    found = Outcome()
    connection = Connection(_Reader(wire), _Writer())  # type: ignore[arg-type]
    try:
        while (request := await connection.request()) is not None:
            body = await request.body.read_all(1 << 64)
            found.requests.append((request.method.encode(), request.target.encode("latin-1"), body))
            if request.version != "1.1" or "close" in request.header("connection").lower():
                break
    except TruncatedBodyError:
        pass
    except (h11.RemoteProtocolError, MalformedBodyError) as error:
        found.refused = str(error)
    return found


class _Llhttp:
    """Its callbacks."""

    def __init__(self) -> None:
        self.found = Outcome()
        self.parser = httptools.HttpRequestParser(self)
        self._target = self._body = b""

    def on_message_begin(self) -> None:
        self._target = self._body = b""

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.found.requests.append((self.parser.get_method(), self._target, self._body))


def read_with_llhttp(wire: bytes) -> Outcome:
    """What Node.js reads."""
    reader = _Llhttp()
    try:
        reader.parser.feed_data(wire)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
        reader.found.refused = str(error) or "refused"
    return reader.found


def check_agreement(mine: Outcome, theirs: Outcome, *, strict: bool = True) -> None:
    """Fail where two readers take the same bytes for different requests.

    `strict` has the reader of `theirs` refuse all that is to be refused.
    """
    pairs = zip(mine.requests, theirs.requests, strict=False)
    assert all(one == other for one, other in pairs)
    more = len(mine.requests) - len(theirs.requests)
    if strict and not mine.refused and not theirs.refused:
        assert more == 0
    if strict and theirs.refused and not any(known in theirs.refused for known in TOLERATED):
        assert more <= 0


def check_wire(wire: bytes, judge: Any) -> int:
    """Compare all readers on `wire`, ours under make serve being `judge`. How many it took."""
    ours, emulated = read_with_h11(wire, judge), drive(read_with_emulator(wire))
    llhttp = read_with_llhttp(wire)
    check_agreement(ours, llhttp)
    check_agreement(emulated, llhttp)
    check_agreement(ours, emulated, strict=False)
    check_agreement(ours, read_with_h11(wire, h11.Connection(h11.SERVER)), strict=False)
    return len(ours.requests)


def test_what_one_reader_takes_for_a_request_no_other_takes_for_another() -> None:
    """Over so many changed requests, of which enough are taken."""
    taken = 0
    for seed in range(EXAMPLES):
        wire = make_wire(random.Random(seed))
        try:
            taken += check_wire(wire, _StrictConnection(h11.SERVER, 16 * 1024))
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {wire!r}") from error
    assert taken > EXAMPLES // 10


@pytest.mark.parametrize("name", ["LF LF after a trailer", "a folded coding", "bare LF everywhere"])
def test_a_difference_is_seen(name: str) -> None:
    """Of h11 alone, which takes these for requests."""
    with pytest.raises(AssertionError):
        check_wire(AMBIGUOUS[name] + NEXT, h11.Connection(h11.SERVER))


def drive(coroutine: Any) -> Any:
    """Run what waits for nothing to its end."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return ended.value
    raise AssertionError("it waits for something")
