"""The user's own three event types, byte for byte."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runs import Entry
from services.streaming.encoders import RunInfo, native
from services.streaming.encoders.sse import FieldError
from services.streaming.event_json import clean, payload
from services.streaming.events import Token
from tests.event_stream import EventStreamParser, ServerSentEvent
from tests.services.streaming.encoders.golden import CASES, NAMES, RUN, RUN_INFO, SILENCE, entry_of


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_a_frame_has_the_bytes_of_the_corpus(case: dict[str, Any]) -> None:
    """And says what its event says, to any parser."""
    frame = native.encoder(RUN_INFO)(entry_of(case))
    assert frame == case["native"].encode()
    (event,) = EventStreamParser().feed(frame)
    assert (event.id, event.event) == (f"{RUN}-{case['seq']}", "message")
    assert json.loads(event.data) == case["event"]


def test_a_whole_run_is_one_stream_that_any_parser_reads() -> None:
    """With a heartbeat between any two events, byte by byte."""
    encode = native.encoder(RUN_INFO)
    stream = native.SILENCE.join(encode(entry_of(case)) for case in CASES)
    parser = EventStreamParser()
    events = [event for byte in stream for event in parser.feed(bytes([byte]))]
    assert [json.loads(event.data) for event in events] == [case["event"] for case in CASES]
    assert (parser.retry, parser.last_event_id) == (3000, f"{RUN}-{len(CASES)}")


def test_only_the_first_block_asks_for_a_reconnection_time() -> None:
    """Inside it: a block of its own breaks clients that parse every block as JSON."""
    encode = native.encoder(RUN_INFO)
    frames = [encode(entry_of(case)) for case in CASES]
    assert [b"retry:" in frame for frame in frames] == [True] + [False] * (len(CASES) - 1)
    assert frames[0].startswith(b"retry: 3000\nid: ")


def test_silence_is_one_comment_line_that_dispatches_nothing() -> None:
    """One LF, not two: some clients that have seen an id fail on a blank line."""
    assert SILENCE["native"].encode() == native.SILENCE == b": ping\n"


def test_what_could_not_be_kept_has_no_id() -> None:
    """A reader that comes back goes on from what it saw before."""
    parser = EventStreamParser()
    parser.feed(b"id: r-1\ndata: a\n\n")
    frame = native.encoder(RUN_INFO)(Entry(0, "error", b'{"type":"error"}', terminal=True))
    assert frame == b'data: {"type":"error"}\n\n'
    assert parser.feed(frame) == [ServerSentEvent('{"type":"error"}', id="r-1")]


@given(st.text(alphabet=st.characters()), st.integers(1, 10**9))
def test_no_token_can_add_a_line(text: str, seq: int) -> None:
    """Not to the stream, and not for a client that splits lines where Python does."""
    frame = native.encoder(RUN_INFO)(Entry(seq, "token", payload(Token(clean(text)))))
    lines = frame.decode().splitlines()
    assert lines[-1] == ""
    assert [line.partition(": ")[0] for line in lines[:-1]] == ["retry"] * (seq == 1) + [
        "id",
        "data",
    ]
    assert json.loads(lines[-2].removeprefix("data: "))["text"] == clean(text)


@pytest.mark.parametrize("bad", ["a\nb", "a\r", "a\0"])
def test_a_run_id_that_would_add_a_line_is_refused(bad: str) -> None:
    """Before the first byte."""
    with pytest.raises(FieldError):
        native.encoder(RunInfo(run_id=bad))
