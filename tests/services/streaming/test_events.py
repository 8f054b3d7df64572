"""The JSON of each event: names, order, what is left out, and text of every kind.

`tests/corpus/frames.json` has the golden objects and bytes; JavaScript reads the same ones.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.streaming.event_json import clean, payload, read_event, to_wire
from services.streaming.events import (
    KINDS,
    TERMINAL_KINDS,
    ErrorEvent,
    Event,
    Final,
    Notice,
    Partial,
    Paused,
    Reset,
    Result,
    Source,
    Sources,
    Status,
    Token,
    Usage,
    UsageEvent,
)

FRAMES = Path(__file__).parents[2] / "corpus" / "frames.json"
CASES: dict[str, dict[str, Any]] = {
    case["name"]: case for case in json.loads(FRAMES.read_text(encoding="utf-8"))["cases"]
}

SOURCE = Source(id="paris-1", title="Paris", uri="guides/paris.md#1", score=0.71, snippet="…")
STATUS = Status(
    step=2,
    name="search",
    description="Searching the documents",
    status="executing",
    timestamp=1767225600000,
    total_steps=3,
    progress=0.333,
    elapsed_ms=12,
    eta_ms=30,
    data={"passages": 5},
)

# Every case of the corpus, as the house has it.
EVENTS: dict[str, Event] = {
    "a status with every field": STATUS,
    "a status with only what it needs": Status(
        step=1, description="Reading the question", status="pending", timestamp=1767225600000
    ),
    "a token": Token("Hello "),
    "a token with line ends, a null and a backslash": Token('a\r\nb\nc\rd\0e\\"f'),
    "a token with line ends of Unicode": Token("a\u2028b\u2029c\u0085d"),
    "a token of an emoji that is one cluster": Token("👩‍👩‍👧"),
    "a token that looks like a field": Token("\n\ndata: x\nid: 9\n\n"),
    "a token of half a surrogate pair, made clean": Token(clean("\ud83d")),
    "sources": Sources((SOURCE,)),
    "no sources": Sources(()),
    "the usage with a price": UsageEvent(
        Usage(input_tokens=10, output_tokens=20, cost_usd=0.00125)
    ),
    "the usage without a price": UsageEvent(Usage(input_tokens=10, output_tokens=20)),
    "a notice": Notice("retry", "The provider was busy; trying again."),
    "a reset": Reset("The provider broke off; starting again."),
    "a final with every field": Final(
        Result(
            answer="Hello world",
            steps=(STATUS,),
            tools_used=("search",),
            execution_time_ms=1234,
            session_id="s-1",
            sources=(SOURCE,),
            usage=Usage(input_tokens=10, output_tokens=20),
            model="extractive",
            run_id="0123456789abcdef0123456789abcdef",
            metadata={"tag": "a"},
            truncated=True,
        )
    ),
    "a final with only what it needs": Final(Result(answer="Hello world")),
    "a final of a run that was stopped": Final(Result(answer="Hel", finish_reason="cancelled")),
    "an error with every field": ErrorEvent(
        error="The provider is busy.",
        code="provider_throttled",
        retryable=True,
        retry_after_ms=2000,
        run_id="0123456789abcdef0123456789abcdef",
        step=2,
        partial=Partial(answer="Hel", sources=(SOURCE,), steps=(STATUS,)),
        hint="Ask again in a moment.",
        cursor="0123456789abcdef0123456789abcdef-4",
    ),
    "an error with only what it needs": ErrorEvent(error="No.", code="internal"),
    "an error about fields": ErrorEvent(
        error="query: is required",
        code="validation_error",
        details=({"field": "query", "message": "is required"},),
    ),
}


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_has_the_json_of_the_corpus(name: str) -> None:
    """Byte for byte as the log keeps it, and it means what the corpus says."""
    assert payload(EVENTS[name]) == CASES[name]["payload"].encode()
    assert json.loads(payload(EVENTS[name])) == CASES[name]["event"]


def test_the_corpus_and_this_table_have_the_same_cases() -> None:
    """And there is one of every kind of event that a log keeps."""
    assert list(CASES) == list(EVENTS)
    assert {KINDS[type(event)] for event in EVENTS.values()} == set(KINDS.values()) - {"paused"}


def test_paused_says_why_where_and_when() -> None:
    """It is in no log, so it stands in no corpus of frames with ids."""
    paused = Paused(reason="deadline", cursor="0123456789abcdef0123456789abcdef-4")
    assert payload(paused) == (
        b'{"type":"paused","reason":"deadline",'
        b'"cursor":"0123456789abcdef0123456789abcdef-4","resumeAfterMs":0}'
    )
    assert read_event(payload(paused)) == paused


@pytest.mark.parametrize("event", EVENTS.values(), ids=list(EVENTS))
def test_the_type_comes_first_and_decides_whether_it_is_the_end(event: Event) -> None:
    """A line reader may look at the first bytes only."""
    kind = KINDS[type(event)]
    assert payload(event).startswith(b'{"type":"%b"' % kind.encode())
    assert (kind in TERMINAL_KINDS) == isinstance(event, Final | ErrorEvent)


@given(st.text())
def test_any_text_of_a_token_comes_back(text: str) -> None:
    """As one line of JSON without a raw line end, whatever is in it."""
    written = payload(Token(text))
    assert not {b"\n", b"\r", b"\0"} & {written[at : at + 1] for at in range(len(written))}
    assert json.loads(written) == {"type": "token", "text": text}


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(alphabet=st.characters(), max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(alphabet=st.characters(), max_size=6), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(alphabet=st.characters(), max_size=6), anything, max_size=5))
def test_any_data_of_a_status_is_strict_json(data: dict[str, Any]) -> None:
    """NaN and the infinities become null; half a surrogate pair becomes U+FFFD."""

    def refuse(name: str) -> None:
        raise AssertionError(name)

    event = Status(step=1, description="d", status="executing", timestamp=1, data=data)
    read = json.loads(payload(event).decode("utf-8"), parse_constant=refuse)
    assert set(read["status"]["data"]) == {clean(name) for name in data}


def test_data_that_json_has_no_word_for_is_described() -> None:
    """A service may show what it likes; it never breaks the stream."""
    event = Status(
        step=1,
        description="d",
        status="executing",
        data={"set": {1}, "type": int, "nan": float("nan"), "inf": float("-inf")},
    )
    data = json.loads(payload(event))["status"]["data"]
    assert (data["nan"], data["inf"], data["set"]) == (None, None, [1])
    assert "int" in data["type"]


@given(st.text(alphabet=st.characters()))
def test_clean_text_can_be_written_and_clean_text_stays(text: str) -> None:
    """Whole pairs become their character, halves U+FFFD, everything else stays."""
    cleaned = clean(text)
    assert cleaned.encode().decode() == cleaned
    assert clean(cleaned) is cleaned
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert cleaned is text


def test_the_names_on_the_wire_are_the_contracts() -> None:
    """camelCase, and absent fields are absent, not null."""
    assert set(to_wire(EVENTS["a status with every field"])["status"]) == {
        "step", "description", "status", "timestamp", "name", "totalSteps", "progress",
        "elapsedMs", "etaMs", "data",
    }  # fmt: skip
    assert set(to_wire(EVENTS["a final with every field"])["result"]) == {
        "answer", "success", "finishReason", "steps", "toolsUsed", "executionTimeMs", "sessionId",
        "sources", "usage", "model", "runId", "metadata", "truncated",
    }  # fmt: skip
    assert set(to_wire(EVENTS["an error with every field"])) == {
        "type", "error", "code", "retryable", "retryAfterMs", "runId", "step", "partial", "hint",
        "cursor",
    }  # fmt: skip
    assert to_wire(EVENTS["an error with only what it needs"]) == {
        "type": "error", "error": "No.", "code": "internal", "retryable": False,
    }  # fmt: skip
