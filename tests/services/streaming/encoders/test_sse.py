"""The event stream, both ways, against the standard's own rules.

`tests/corpus/event_stream.json` has the vectors; JavaScript reads the same ones.
"""

import base64
import json
import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.streaming.encoders import sse
from services.streaming.encoders.sse import FieldError
from tests.event_stream import EventStreamParser, ServerSentEvent, TooLongError

CORPUS = Path(__file__).parents[3] / "corpus" / "event_stream.json"
VECTORS: list[dict[str, Any]] = json.loads(CORPUS.read_text(encoding="utf-8"))
BY_NAME = {vector["name"]: vector for vector in VECTORS}

any_text = st.text(max_size=60)
line_ends = st.sampled_from(
    ["\n", "\r", "\r\n", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1e"]
)
awkward = st.lists(
    st.one_of(
        line_ends, st.sampled_from([":", " ", "\0", "\ufeff", "data: x", "id", "👩‍👩‍👧"]), any_text
    ),
    max_size=8,
).map("".join)
one_line = st.text(
    alphabet=st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=20
)

Parsed = tuple[list[dict[str, str]], str, int | None]


def bytes_of(vector: dict[str, Any]) -> bytes:
    """The stream of a vector."""
    if "base64" in vector:
        return base64.b64decode(vector["base64"])
    return str(vector["text"]).encode()


def expectation(vector: dict[str, Any]) -> Parsed:
    """What a vector says comes of its stream."""
    return vector["events"], vector["lastEventId"], vector["retry"]


def parse(*chunks: bytes) -> Parsed:
    """What the parser makes of a stream in these cuts."""
    parser = EventStreamParser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    shown = [{"data": event.data, "event": event.event, "id": event.id} for event in events]
    return shown, parser.last_event_id, parser.retry


def normal(text: str) -> str:
    """`text` as the standard lets it through: three line ends become one."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize("vector", VECTORS, ids=list(BY_NAME))
def test_a_vector_means_the_same_in_any_cuts(vector: dict[str, Any]) -> None:
    """Whole, byte by byte, in threes, with nothing between, and cut in two at every byte."""
    stream = bytes_of(vector)
    expected = expectation(vector)
    assert parse(stream) == expected
    for size in (1, 2, 3):
        cuts = [stream[start : start + size] for start in range(0, len(stream), size)]
        assert parse(*cuts) == expected, f"in pieces of {size}"
        assert parse(*(part for cut in cuts for part in (b"", cut))) == expected
    for cut in range(len(stream) + 1):
        assert parse(stream[:cut], stream[cut:]) == expected, f"cut at {cut}"


def test_the_corpus_is_large_and_its_names_are_unique() -> None:
    """A vector that is dropped by accident is missed."""
    assert len(VECTORS) == len(BY_NAME) >= 110


def test_every_format_test_of_the_web_platform_has_a_vector() -> None:
    """Its tests named `format-*` (but for the two on media types), each in our own words."""
    covered = {name for vector in VECTORS for name in vector.get("covers", ())}
    fields = (
        "data event event-empty id id-2 id-3 id-null parsing retry retry-bogus retry-empty unknown"
    )
    others = "bom bom-2 comments data-before-final-empty-line leading-space newlines"
    assert covered == {
        *(f"format-field-{name}" for name in fields.split()),
        *(f"format-{name}" for name in others.split()),
        "format-null-character",
        "format-utf-8",
    }


def test_an_event_is_out_before_the_byte_after_its_blank_line() -> None:
    """A CR ends its line at once, though an LF may follow it."""
    for ending in (b"\n\n", b"\r\r", b"\r\n\r", b"\n\r"):
        assert [event.data for event in EventStreamParser().feed(b"data: a" + ending)] == ["a"]


def test_feeding_needs_no_reading() -> None:
    """What a chunk sets is set even when the events are not looked at."""
    parser = EventStreamParser()
    parser.feed(b"retry: 5\nid: 7\n\n")
    assert (parser.retry, parser.last_event_id) == (5, "7")


@given(
    blocks=st.lists(
        st.tuples(
            awkward,
            st.none() | one_line,
            st.none() | one_line,
            st.none() | st.integers(0, 10**9),
        ),
        max_size=5,
    ),
    cuts=st.lists(st.integers(0, 400), max_size=6),
)
@example(blocks=[("\r\n\r", None, None, 0)], cuts=[])
def test_what_is_encoded_is_parsed_again(
    blocks: list[tuple[str, str | None, str | None, int | None]], cuts: list[int]
) -> None:
    """Any data, type, id and retry come back, whatever is put before or behind them."""
    stream = b""
    expected: list[ServerSentEvent] = []
    last = ""
    for data, event, id_, retry in blocks:
        stream += sse.encode(data, id=id_, event=event, retry=retry) + sse.PING
        last = id_ if id_ is not None else last
        expected.append(ServerSentEvent(normal(data), event or "message", last))
    at = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    parser = EventStreamParser()
    pieces = [stream[start:end] for start, end in pairwise(at)]
    assert [event for piece in pieces for event in parser.feed(piece)] == expected
    assert parser.last_event_id == last


@given(awkward, one_line)
def test_no_value_adds_a_line(data: str, id_: str) -> None:
    """A block holds the lines it was asked for, each with its field's name, and one blank one."""
    block = sse.encode(data, id=id_, event="e", retry=1).decode()
    lines = block.split("\n")
    assert "\r" not in block
    assert lines[-2:] == ["", ""]
    assert [line.partition(": ")[0] for line in lines[:3]] == ["retry", "event", "id"]
    assert all(line.startswith("data: ") for line in lines[3:-2])
    assert len(lines) - 5 == normal(data).count("\n") + 1


@pytest.mark.parametrize(
    "bad", ["\n", "\r", "\r\n", "\0", "a\nb", "a\ndata: b", "\ud83d", "ok\udc00"]
)
def test_a_field_that_would_change_its_meaning_is_refused(bad: str) -> None:
    """Refused with the contract's error, never repaired: two ids must not become equal."""
    for field in ("id", "event"):
        with pytest.raises(FieldError, match=f"^{field} must be") as refused:
            sse.encode("data", **{field: bad})  # type: ignore[arg-type]  # by name, on purpose
        assert refused.value.code == "internal"


@pytest.mark.parametrize("bad", [-1, True, 1.5, float("nan"), "3000", "1\ndata: x", [1]])
def test_a_retry_that_is_no_whole_number_is_refused(bad: Any) -> None:
    """Whatever its type, the refusal has the same one."""
    with pytest.raises(FieldError, match="retry"):
        sse.encode("data", retry=bad)


def test_half_a_surrogate_pair_in_data_becomes_the_replacement_character() -> None:
    """As the Encoding standard has it; two halves that meet become their character."""
    assert sse.encode("a\ud83db") == "data: a\ufffdb\n\n".encode()
    assert sse.encode("\ud83d\ude00") == "data: 😀\n\n".encode()


def test_the_bytes_of_a_block() -> None:
    """The space after `data:` is there, and so is every field, in this order."""
    block = sse.encode("a\nb", id="r-1", event="add", retry=3000)
    assert block == b"retry: 3000\nevent: add\nid: r-1\ndata: a\ndata: b\n\n"
    assert sse.encode("") == b"data: \n\n"
    assert sse.PING == b": ping\n"


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=4))
def test_any_bytes_mean_the_same_in_any_cuts(stream: bytes, cuts: list[int]) -> None:
    """Noise is no reason to fail, nor to depend on how it arrived."""
    at = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    assert parse(*(stream[a:b] for a, b in pairwise(at))) == parse(stream)
    assert parse(*(bytes([byte]) for byte in stream)) == parse(stream)


fields = st.sampled_from(["data", "event", "id", "retry", "", "da", "Data", " data", "data\0", "x"])
values = st.sampled_from(
    ["", " ", " a", "a", "a:b", " 12", "12", "-1", "\0", "\ufeff", "é", "\u2028"]
)
stream_lines = st.tuples(fields, st.sampled_from([":", ""]), values).map("".join)


@given(st.lists(st.tuples(stream_lines, st.sampled_from(["\n", "\r", "\r\n"])), max_size=20))
def test_the_parser_agrees_with_the_standard_read_literally(lines: list[tuple[str, str]]) -> None:
    """A second parser, the standard's own steps one by one, finds the same in random streams."""
    text = "".join(line + end for line, end in lines)
    assert parse(text.encode()) == literally(text)


def literally(text: str) -> Parsed:
    """Section 9.2.6 of the HTML standard, "Interpreting an event stream", word by word."""
    text = text.removeprefix("\ufeff")
    data = event = last_id = id_buffer = ""
    retry: int | None = None
    events: list[dict[str, str]] = []
    *lines, _unfinished = re.split("\r\n|\r|\n", text)
    for line in lines:
        if not line:
            last_id = id_buffer
            if data:
                shown = data.removesuffix("\n")
                events.append({"data": shown, "event": event or "message", "id": last_id})
            data = event = ""
            continue
        found = re.fullmatch("([^:]*)(?::( ?)(.*))?", line, re.DOTALL)
        assert found is not None
        name, value = found[1], found[3] or ""
        if name == "event":
            event = value
        elif name == "data":
            data += value + "\n"
        elif name == "id" and "\0" not in value:
            id_buffer = value
        elif name == "retry" and re.fullmatch("[0-9]+", value):
            retry = int(value)
    return events, last_id, retry


def test_an_endless_line_is_refused_at_the_limit() -> None:
    """In one chunk or in crumbs, a line holds no more than it may."""
    with pytest.raises(TooLongError, match="over 100"):
        EventStreamParser(limit=100).feed(b"x" * 101)
    parser = EventStreamParser(limit=100)
    for _ in range(100):
        parser.feed(b"x")
    with pytest.raises(TooLongError):
        parser.feed(b"x")


def test_an_endless_event_is_refused_at_the_limit() -> None:
    """Lines of data that never end in a blank one add up, with the LF each of them costs."""
    parser = EventStreamParser(limit=100)
    for _ in range(10):
        parser.feed(b"data: 123456789\n")
    with pytest.raises(TooLongError):
        parser.feed(b"data:\n")


def test_an_event_as_large_as_the_limit_is_read_in_any_cuts() -> None:
    """What is held is counted once, not once as a line and once as data."""
    stream = b"data: " + b"x" * 90 + b"\n\n"
    assert EventStreamParser(limit=100).feed(stream)[0].data == "x" * 90
    parser = EventStreamParser(limit=100)
    events = [event for byte in stream for event in parser.feed(bytes([byte]))]
    assert [event.data for event in events] == ["x" * 90]


def test_a_day_of_heartbeats_holds_nothing() -> None:
    """Comments in crumbs, without an event between them, never reach the limit."""
    parser = EventStreamParser(limit=100)
    for _ in range(1000):
        for byte in sse.PING:
            parser.feed(bytes([byte]))
    assert [event.data for event in parser.feed(b"data: a\n\n")] == ["a"]


def test_a_number_that_python_will_not_read_is_no_retry() -> None:
    """Ten thousand digits are legal in the standard and an error in `int`."""
    parser = EventStreamParser()
    parser.feed(b"retry: 7\nretry: " + b"9" * 10_000 + b"\n")
    assert parser.retry == 7


# What httpx-sse 0.4.3 makes of the vectors that it reads otherwise than the standard. A client
# with that library is served well because the encoder avoids all of them.
HTTPX_DIVERGES = frozenset({
    "one byte order mark is dropped",
    "a heartbeat and a blank line after an id makes no event",
    "a type without data is no event and does not last",
    "a block of only an id is a checkpoint",
    "a checkpoint is the id of what follows",
    "retry is digits",
    "the last retry wins",
    "retry is in base ten",
    "retry may be nought",
    "a retry that is not digits is passed over",
    "an empty retry is passed over",
    "digits of other scripts are no digits",
    "a type, an id and a retry without data are remembered as the standard says",
    "a block of only a type keeps the id",
})  # fmt: skip


@pytest.fixture
def httpx_decoder(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The decoder of httpx-sse, which takes httpx2 for the httpx it asks for."""
    monkeypatch.setitem(sys.modules, "httpx", httpx2)
    from httpx_sse._decoders import SSEDecoder

    return SSEDecoder()


@pytest.mark.parametrize("vector", VECTORS, ids=list(BY_NAME))
def test_httpx_sse_differs_only_where_it_is_known_to(
    vector: dict[str, Any], httpx_decoder: Any
) -> None:
    """The divergences of a popular client are written down, and end here if it mends them."""
    *lines, _unfinished = re.split("\r\n|\r|\n", bytes_of(vector).decode("utf-8", "replace"))
    shown = [
        {"data": event.data, "event": event.event or "message", "id": event.id}
        for line in lines
        if (event := httpx_decoder.decode(line)) is not None
    ]
    assert (shown != vector["events"]) == (vector["name"] in HTTPX_DIVERGES)
