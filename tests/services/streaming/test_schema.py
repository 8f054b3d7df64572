"""What leaves is what is documented: every event's JSON is read by the wire's own models."""

from pathlib import Path
from typing import get_args

import pytest

from services.chat.citations import Grounding, UnmatchedCitation
from services.streaming.event_json import payload, read_event, to_plain
from services.streaming.events import (
    KINDS,
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
from services.streaming.schema import EVENTS, ChatResponse, make_schema

STATUS = Status(
    step=1, description="d", status="failed", timestamp=7, name="n", total_steps=3,
    progress=0.5, elapsed_ms=1, eta_ms=2, data={"a": [1]},
)  # fmt: skip
SOURCE = Source(id="i", title="t", uri="u", score=0.5, snippet="s")
GROUNDING = Grounding(
    score=0.5, citations=2, unmatched=(UnmatchedCitation(citation=3, mark=2, reason="missing"),)
)
USAGE = Usage(input_tokens=1, output_tokens=2, cost_usd=0.1)
SAID: list[Event] = [
    STATUS,
    Status(step=1, description="d", status="executing", timestamp=7),
    Token("é\n\u2028"),
    Sources((SOURCE,)),
    UsageEvent(USAGE),
    Notice("c", "m"),
    Reset("r"),
    Paused(reason="deadline", cursor="r-1", resume_after_ms=1),
    Final(
        Result(
            answer="a", steps=(STATUS,), tools_used=("search",), sources=(SOURCE,), usage=USAGE,
            run_id="r", session_id="s", model="m", metadata={"k": "v"}, truncated=True,
            grounding=GROUNDING,
        )
    ),
    ErrorEvent(
        error="e", code="c", retryable=True, retry_after_ms=1, run_id="r", step=1, hint="h",
        cursor="r-1", partial=Partial(answer="a", sources=(SOURCE,), steps=(STATUS,)),
        details=({"field": "f", "message": "m"},),
    ),
]  # fmt: skip


@pytest.mark.parametrize("event", SAID, ids=lambda event: type(event).__name__)
def test_every_event_is_as_documented_and_reads_back(event: Event) -> None:
    """The models allow no field that they do not name; the log's reader gives the event again."""
    data = payload(event)
    EVENTS.validate_json(data)
    assert read_event(data) == event


def test_no_kind_of_event_is_missing() -> None:
    """One model for each `type` that a run can say, and one case here."""
    assert {type(event) for event in SAID} == set(KINDS)
    union = get_args(get_args(EVENTS._type)[0])
    assert {get_args(model.model_fields["type"].annotation)[0] for model in union} == set(
        KINDS.values()
    )


def test_a_json_reply_is_the_bare_result() -> None:
    """The same object as in a `final`."""
    final = next(event for event in SAID if isinstance(event, Final))
    ChatResponse.model_validate(to_plain(final.result))


def test_the_shipped_schema_is_made_of_these_models() -> None:
    """Else: `python -m services.streaming.schema > docs/events.schema.json`."""
    shipped = Path(__file__).parents[3] / "docs" / "events.schema.json"
    assert shipped.read_text("utf-8") == make_schema()
