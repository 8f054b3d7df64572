"""The client's parser: the corpus in any cuts, and against others that it shares no code with."""

import base64
import json
import random
import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx2
import pytest
from httpx2._sse import _SSEParser as Httpx2Parser
from hypothesis import given
from hypothesis import strategies as st

from riverrun_client.sse import EventStreamParser, TooLargeError
from tests.event_stream import EventStreamParser as ServerParser
from tests.event_stream import TooLongError

CORPUS = Path(__file__).parents[2] / "corpus" / "event_stream.json"
VECTORS: list[dict[str, Any]] = json.loads(CORPUS.read_text(encoding="utf-8"))

Parsed = tuple[list[dict[str, str]], str, int | None]

PIECES = [
    b"data", b"data:", b"data: ", b"event:", b"id:", b"retry:", b":", b" ", b"\n", b"\n\n", b"\r",
    b"\r\n", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xc2\x85", b"\x0b", b"\x0c", b"\x00", b"1", b"x",
    b"\xf0\x9f\x97\xbc", b"\xf0\x9f", b"\xff", b"__proto__", b"id: r-1\ndata: {}\n\n", b": ping\n",
]  # fmt: skip


def parse(*chunks: bytes) -> Parsed:
    """What the client makes of a stream in these cuts."""
    parser = EventStreamParser()
    frames = [frame for chunk in chunks for frame in parser.feed(chunk)]
    shown = [{"data": one.data, "event": one.event, "id": one.id} for one in frames]
    return shown, parser.last_event_id, parser.retry


def server_parsed(*chunks: bytes) -> Parsed:
    """What the server's own parser makes of it."""
    parser = ServerParser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    shown = [{"data": one.data, "event": one.event, "id": one.id} for one in events]
    return shown, parser.last_event_id, parser.retry


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_a_vector_means_the_same_in_any_cuts(vector: dict[str, Any]) -> None:
    """Whole, byte by byte, in threes, and cut in two at every byte."""
    stream = base64.b64decode(vector["base64"]) if "base64" in vector else vector["text"].encode()
    expected = vector["events"], vector["lastEventId"], vector["retry"]
    assert parse(stream) == expected
    for size in (1, 2, 3):
        cuts = [stream[start : start + size] for start in range(0, len(stream), size)]
        assert parse(*cuts) == expected, f"in pieces of {size}"
        assert parse(*(part for cut in cuts for part in (b"", cut))) == expected
    for cut in range(len(stream) + 1):
        assert parse(stream[:cut], stream[cut:]) == expected, f"cut at {cut}"


def cut(stream: bytes, at: list[int]) -> list[bytes]:
    """`stream` in pieces."""
    marks = sorted({0, len(stream), *(mark for mark in at if mark < len(stream))})
    return [stream[start:end] for start, end in pairwise(marks)]


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=4), max_size=30).map(b"".join),
       st.lists(st.integers(0, 120), max_size=8))  # fmt: skip
def test_it_agrees_with_the_servers_parser(stream: bytes, at: list[int]) -> None:
    """Neither imports the other; they follow the same standard."""
    assert parse(*cut(stream, at)) == server_parsed(stream)


@pytest.mark.soak
def test_it_agrees_with_the_servers_parser_for_long() -> None:
    """The same, 100,000 times, without shrinking."""
    chance = random.Random(1)
    for _ in range(100_000):
        stream = b"".join(chance.choices(PIECES, k=chance.randrange(25)))
        at = [chance.randrange(120) for _ in range(4)]
        assert parse(*cut(stream, at)) == server_parsed(stream), stream


def httpx_sse_parsed(stream: bytes) -> list[dict[str, str]]:
    """What httpx-sse 0.4 makes of a stream, read by its own decoders."""
    with patch.dict(sys.modules, {"httpx": httpx2}):  # it takes one for the other
        from httpx_sse._decoders import SSEDecoder, SSELineDecoder

    lines, decoder = SSELineDecoder(), SSEDecoder()
    found = lines.decode(stream.decode()) if stream else []
    events = [event for line in [*found, *lines.flush()] if (event := decoder.decode(line))]
    return [{"data": one.data, "event": one.event or "message", "id": one.id} for one in events]


def httpx2_parsed(stream: bytes) -> list[dict[str, str]]:
    """What httpx2's own reader, which descends from it, makes of a stream."""
    parser = Httpx2Parser()
    events = [*parser.decode(stream.decode()), *parser.flush()]
    return [{"data": one.data, "event": one.event, "id": one.id} for one in events]


# httpx-sse and httpx2 differ from the standard, and from us, in these ways:
#   a byte order mark at the start is kept, so the first field is lost;
#   a block without data is dispatched when it holds an event, an id or a retry;
#   after an id, httpx-sse also dispatches every further blank line (a ping's, for one);
#   a retry may be any text that Python's int() reads;
#   an event that the end of the stream cuts off is dispatched by neither, but a CR held back for
#   a possible LF is only seen at the end.
# So the streams they are asked about have data in each block, no mark, and whole blocks.
TEXT = st.text(
    alphabet=st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=12
).filter(lambda text: not text.startswith("\ufeff"))
LINES = st.lists(
    st.one_of(
        st.builds("data: {}".format, TEXT),
        st.builds("data:{}".format, TEXT),
        st.just("data"),
        st.builds("id: {}".format, TEXT),
        st.builds("event: {}".format, TEXT),
        st.builds(": {}".format, TEXT),
        st.builds("x{}".format, TEXT),
    ),
    max_size=5,
)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@given(st.lists(st.tuples(LINES, ENDS), max_size=5))
def test_it_agrees_with_httpx_where_that_follows_the_standard(
    blocks: list[tuple[list[str], str]],
) -> None:
    """Blocks that carry data, with any fields, comments and line ends."""
    stream = "".join(
        "".join(line + end for line in (*lines, "data: .", "")) for lines, end in blocks
    ).encode()
    assert parse(stream)[0] == httpx_sse_parsed(stream) == httpx2_parsed(stream)


@pytest.mark.parametrize(
    ("stream", "ours"),
    [
        (b"\xef\xbb\xbfdata: a\n\n", ["a"]),
        (b"id: 1\n\n", []),
        (b"event: x\n\n", []),
        (b"id: 1\ndata: a\n\n: ping\n\n", ["a"]),
        (b"retry: 5\n\n", []),
    ],
)
def test_the_differences_are_still_there(stream: bytes, ours: list[str]) -> None:
    """When httpx-sse mends one, the strategy above may be widened."""
    assert [event["data"] for event in parse(stream)[0]] == ours
    assert [event["data"] for event in httpx_sse_parsed(stream)] != ours


def test_an_event_knows_whether_its_id_is_its_own() -> None:
    """The last id stays for the events after it, which may have none."""
    parser = EventStreamParser()
    frames = list(parser.feed(b"id: 1\ndata: a\n\ndata: b\n\nid: 2\n\ndata: c\n\n"))
    assert [(frame.id, frame.own) for frame in frames] == [("1", True), ("1", False), ("2", False)]


def test_an_event_is_out_before_the_byte_after_its_blank_line() -> None:
    """A CR ends its line at once, though an LF may follow it."""
    for ending in (b"\n\n", b"\r\r", b"\r\n\r", b"\n\r"):
        assert [frame.data for frame in EventStreamParser().feed(b"data: a" + ending)] == ["a"]


@pytest.mark.parametrize("piece", [b"x" * 60, b"data: xxxxxxxxxxxxxxxxxxxx\n"])
def test_what_is_held_is_bounded_and_what_came_before_is_not_lost(piece: bytes) -> None:
    """One line without an end, and one event without an end; the server agrees."""
    ours, theirs = EventStreamParser(limit=100), ServerParser(limit=100)
    seen: list[str] = []
    with pytest.raises(TooLargeError):
        seen.extend(frame.data for frame in ours.feed(b"data: a\n\ndata: b\n\n" + piece * 10))
    assert seen == ["a", "b"]
    with pytest.raises(TooLongError):
        theirs.feed(piece * 10)


def test_it_never_splits_lines_as_python_does() -> None:
    """`str.splitlines` would cut at U+2028, U+0085, VT, FF and the separators."""
    source = Path(str(EventStreamParser.__init__.__code__.co_filename)).read_text(encoding="utf-8")
    assert not re.search(r"\.splitlines\(", source)
