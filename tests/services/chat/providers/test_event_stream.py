"""Server-sent events come out the same however their bytes were cut, and are bounded."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chat.providers import event_stream
from services.chat.providers.event_stream import EventStreamDecoder, OversizeError, ServerEvent


def decode(*chunks: bytes) -> list[ServerEvent]:
    """All events of a body that came in these chunks."""
    decoder = EventStreamDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return [*events, *decoder.finish()]


def cut(body: bytes, places: list[int]) -> list[bytes]:
    """`body` in pieces, cut at these places."""
    ends = sorted({place % (len(body) + 1) for place in places} | {0, len(body)})
    return [body[start:end] for start, end in pairwise(ends)]


texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=12)
data = st.lists(texts, min_size=1, max_size=3)
noise = st.sampled_from([": ping", "id: 7", "retry: 3000", "unknown", "unknown: x", "event"])


@given(
    st.lists(st.tuples(st.sampled_from(["", "error", "ping"]), data, st.lists(noise, max_size=2))),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.lists(st.integers(0, 10_000), max_size=8),
)
def test_events_come_out_as_they_went_in(
    events: list[tuple[str, list[str], list[str]]], end: str, mark: bool, places: list[int]
) -> None:
    """With any line end, any noise between, a byte order mark or none, in any pieces."""
    lines: list[str] = []
    for name, values, between in events:
        lines += between
        lines += [f"event: {name}"] if name else []
        lines += [f"data: {value}" for value in values]
        lines.append("")
    body = ("\ufeff" if mark else "").encode() + "".join(line + end for line in lines).encode()
    expected = [(name.encode(), "\n".join(values).encode()) for name, values, _ in events]
    assert decode(*cut(body, places)) == expected


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"data", [b""]),
        (b"data\n\ndata:\n\n", [b"", b""]),
        (b"data:  two\n\n", [b" two"]),
        (b"event: ping\n\ndata: a\n\n", [b"a"]),
        (b"id: 1\ndata: a\n: note\n\n: note\n\n", [b"a"]),
        (b"data: last", [b"last"]),
        (b"\n\n\n", []),
        (b"\xef\xbb\xbf", []),
        (b"", []),
    ],
)
def test_what_the_standard_says_of_odd_ones(body: bytes, events: list[bytes]) -> None:
    """Except for the last event, which counts without its empty line."""
    assert [data for _, data in decode(body)] == events
    assert [data for _, data in decode(*(body[at : at + 1] for at in range(len(body))))] == events


def test_a_line_or_a_body_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its parts are."""
    monkeypatch.setattr(event_stream, "MAX_LINE", 100)
    monkeypatch.setattr(event_stream, "MAX_STREAM", 1000)
    with pytest.raises(OversizeError, match="line"):
        decode(*[b"x" * 30] * 5)
    with pytest.raises(OversizeError, match="body"):
        decode(*[b": ping\n\n"] * 200)


def test_a_long_line_in_small_chunks_is_not_copied_for_each() -> None:
    """A line just under the limit, sixteen bytes at a time: its time is that of its bytes."""
    line = b"data: " + b"x" * (event_stream.MAX_LINE - 64)
    chunks = [line[at : at + 16] for at in range(0, len(line), 16)]
    assert decode(*chunks, b"\n\n") == [(b"", line[6:])]
