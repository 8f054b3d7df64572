"""One JSON object a line, for any line reader."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runs import Entry
from services.streaming.encoders import ndjson
from services.streaming.event_json import clean, payload
from services.streaming.events import Token
from tests.services.streaming.encoders.golden import CASES, NAMES, RUN, RUN_INFO, SILENCE, entry_of


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_a_line_has_the_bytes_of_the_corpus(case: dict[str, Any]) -> None:
    """It is the event's own object with its id in front."""
    line = ndjson.encoder(RUN_INFO)(entry_of(case))
    assert line == case["ndjson"].encode()
    assert json.loads(line) == {"id": f"{RUN}-{case['seq']}", **case["event"]}


def test_silence_is_an_object_too() -> None:
    """A blank line is not JSON."""
    assert SILENCE["ndjson"].encode() == ndjson.SILENCE
    assert json.loads(ndjson.SILENCE) == {"type": "ping"}


def test_what_could_not_be_kept_has_no_id() -> None:
    """There is no place to resume from."""
    line = ndjson.encoder(RUN_INFO)(Entry(0, "error", b'{"type":"error"}', terminal=True))
    assert json.loads(line) == {"type": "error"}


@given(st.lists(st.text(alphabet=st.characters()), min_size=1, max_size=5))
def test_any_way_to_split_lines_finds_the_same_ones(texts: list[str]) -> None:
    """Python's `splitlines` on text, on bytes, and a split at LF."""
    encode = ndjson.encoder(RUN_INFO)
    stream = b"".join(
        encode(Entry(seq, "token", payload(Token(clean(text)))))
        for seq, text in enumerate(texts, 1)
    )
    lines = stream.decode().splitlines()
    assert lines == [line.decode() for line in stream.splitlines()]
    assert lines == stream.decode().split("\n")[:-1]
    assert [json.loads(line)["text"] for line in lines] == [clean(text) for text in texts]
