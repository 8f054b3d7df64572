"""What a run remembers, how it ends, and how large its last word may be."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import RiverrunError, SetupError
from services.runs.log import ENTRY_BYTES
from services.streaming.event_json import payload
from services.streaming.events import (
    ErrorEvent,
    Event,
    Final,
    Notice,
    Partial,
    Reset,
    Result,
    Source,
    Sources,
    Status,
    Token,
    Usage,
    UsageEvent,
)
from services.streaming.run.transcript import (
    TOKEN_LIMIT,
    Transcript,
    make_error_event,
    split_tokens,
)
from services.streaming.run.trim import EVENT_LIMIT, trim_answer, trim_event

USAGE = Usage(input_tokens=1, output_tokens=2)


def source(snippet: str = "s") -> Source:
    """A source with a snippet."""
    return Source(id="1", title="t", uri="u", score=0.5, snippet=snippet)


def step(number: int, data: Mapping[str, object] | None = None) -> Status:
    """A step under way."""
    return Status(step=number, description="d", status="executing", timestamp=1, data=data)


def size(said: Result | Partial) -> int:
    """The bytes of the event that carries `said`."""
    if isinstance(said, Result):
        return len(payload(Final(said)))
    return len(payload(ErrorEvent(error="", code="", partial=said)))


def transcript(**known: str) -> Transcript:
    """One that has heard a bit of everything."""
    heard = Transcript(run_id="run", started=100.0, metadata={"a": "b"}, **known)  # type: ignore[arg-type]  # only the session
    for event in (
        step(1),
        Sources((source(),)),
        Token("a"),
        Reset("r"),
        Token("b"),
        UsageEvent(USAGE),
    ):
        heard.note(event)
    return heard


def test_the_result_is_completed_with_what_the_run_knows() -> None:
    """The producer's own word wins where it said something."""
    (final,) = transcript(session_id="s").make_ending(Final(Result(model="m")), 101.5)
    assert isinstance(final, Final)
    assert final.result == Result(
        answer="b",
        steps=(step(1),),
        execution_time_ms=1500,
        session_id="s",
        sources=(source(),),
        usage=USAGE,
        model="m",
        run_id="run",
        metadata={"a": "b"},
    )
    own = Result(session_id="own", metadata={"c": "d"}, sources=(source("own"),), run_id="x")
    (final,) = transcript(session_id="s").make_ending(Final(own), 101.5)
    assert isinstance(final, Final)
    assert final.result.session_id == "own"
    assert final.result.metadata == {"c": "d"}
    assert final.result.sources == (source("own"),)
    assert final.result.run_id == "run"


def test_a_clock_that_goes_back_makes_no_negative_time() -> None:
    """Clocks are set; a duration is not less than nought."""
    (final,) = transcript().make_ending(Final(Result()), 99.0)
    assert isinstance(final, Final)
    assert final.result.execution_time_ms == 0


def test_steps_are_told_in_order_with_their_last_state() -> None:
    """However they came."""
    heard = Transcript(run_id="run", started=0.0)
    done = Status(step=1, description="d", status="completed", timestamp=1)
    for event in (step(2), step(1), done, Token("x")):
        heard.note(event)
    (final,) = heard.make_ending(Final(Result()), 0.0)
    assert isinstance(final, Final)
    assert final.result.steps == (done, step(2))


def test_its_size_grows_with_everything_it_holds() -> None:
    """So that a run can be cut before it fills the memory."""
    heard = Transcript(run_id="run", started=0.0)
    sizes = [heard.size]
    for event in (Token("x" * 100), step(1, {"x": "y" * 1000}), Reset("r")):
        heard.note(event)
        sizes.append(heard.size)
    assert sizes[1] - sizes[0] > 100
    assert sizes[2] - sizes[1] > 1000
    assert sizes == sorted(set(sizes))


def test_a_setup_error_is_told_without_its_words() -> None:
    """Over HTTP the client is told `internal` and the log gets the rest."""
    told = make_error_event(SetupError("/secret/path", hint="Set /secret/path.", code="own"))
    assert "secret" not in repr(told)
    shown = make_error_event(
        RiverrunError("m", code="c", retryable=True, retry_after_ms=1, hint="h")
    )
    assert shown == ErrorEvent(error="m", code="c", retryable=True, retry_after_ms=1, hint="h")


def test_a_result_that_fits_is_left_alone() -> None:
    """Up to the limit, to the byte."""
    result = Result(answer="a" * 1000, sources=(source("s" * 1000),))
    assert trim_answer(result, size(result)) is result
    assert trim_answer(result, size(result) - 1).truncated


def large() -> Result:
    """A result with something of each kind to trim."""
    return Result(
        answer="a" * 10_000,
        sources=(source("s" * 30_000),),
        steps=(step(1, {"x": "d" * 30_000}),),
        metadata={"m": "m" * 30_000},
    )


def test_snippets_go_first_then_the_data_of_steps_then_the_rest() -> None:
    """As much as is needed, in the contract's order; the answer is never cut."""
    whole = large()
    no_snippets, no_data, no_metadata = (
        trim_answer(whole, 80_000),
        trim_answer(whole, 50_000),
        trim_answer(whole, 20_000),
    )
    assert (no_snippets.sources[0].snippet, no_snippets.steps) == ("", whole.steps)
    assert (no_data.sources[0].snippet, no_data.steps[0].data) == ("", None)
    assert no_data.metadata == whole.metadata
    assert (no_metadata.metadata, len(no_metadata.steps)) == ({}, 1)
    for trimmed in (no_snippets, no_data, no_metadata):
        assert trimmed.truncated
        assert trimmed.answer == whole.answer


@pytest.mark.parametrize("count", [2_000, pytest.param(10_000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("limit", [16 * 1024, EVENT_LIMIT, 64 * 1024])
def test_a_trimmed_result_is_under_its_limit(limit: int, count: int) -> None:
    """Also one with thousands of steps or sources, none of which has anything to trim."""
    many = Result(answer="a", steps=tuple(map(step, range(count))), sources=(source(""),) * count)
    assert size(many) > 2 * limit
    for result in (large(), many, trim_answer(many, limit)):
        assert size(trim_answer(result, limit)) <= limit
    partial = Partial(answer="a", steps=many.steps, sources=many.sources)
    assert size(trim_answer(partial, limit)) <= limit


def test_an_answer_too_large_for_any_trimming_keeps_its_sources() -> None:
    """To drop them would help no client."""
    result = trim_answer(Result(answer="a" * 100_000, sources=(source("s"),), steps=(step(1),)))
    assert result.answer == "a" * 100_000
    assert (result.sources[0].snippet, len(result.steps)) == ("", 1)
    assert result.truncated


@pytest.mark.parametrize("character", ["x", "\x01", "é", '"', "👩"])
def test_a_result_fits_into_an_entry_of_every_store(character: str) -> None:
    """However long the answer is, and however its characters are written; it says so."""
    result = trim_answer(Result(answer=character * 6_000_000))
    assert len(payload(Final(result))) <= ENTRY_BYTES
    assert result.truncated
    assert result.answer
    assert trim_answer(Result(answer="x" * 2_000_000)).answer == "x" * 2_000_000


def test_the_last_word_of_any_run_is_trimmed() -> None:
    """A result, a stop, and an error with what there was."""
    heard = Transcript(run_id="run", started=0.0)
    for event in (Sources((source("s" * EVENT_LIMIT),)), Token("x")):
        heard.note(event)
    for make_ending in (
        heard.make_ending(Final(Result()), 0.0),
        heard.make_stopped_ending(0.0),
        heard.make_failed_ending(RiverrunError("no"), 0.0),
        heard.make_ending(ErrorEvent(error="no", code="overloaded"), 0.0),
    ):
        assert len(payload(make_ending[-1])) <= EVENT_LIMIT


def test_an_event_too_large_goes_without_what_it_can_spare() -> None:
    """Data of a status, snippets of sources; one that fits is the very same."""
    fits = step(1, {"x": 1})
    assert trim_event(fits) is fits
    slimmed = trim_event(Sources((source("s" * EVENT_LIMIT),)))
    assert slimmed == Sources((source(""),))
    assert trim_event(step(1, {"x": "y" * EVENT_LIMIT})) == step(1)


@given(st.text(max_size=40).map(lambda text: text * 700))
def test_pieces_are_the_text(text: str) -> None:
    """In order, none of them empty or over the limit."""
    cut = split_tokens(text)
    assert "".join(piece.text for piece in cut) == text
    assert all(0 < len(piece.text) <= TOKEN_LIMIT for piece in cut)


def test_lone_surrogates_are_no_reason_to_lose_an_answer() -> None:
    """Wherever they stand: in the answer, a source, a step or the metadata."""
    bad = "\ud83d"
    heard = Transcript(run_id="run", started=0.0, metadata={bad: bad})
    for event in (Sources((source(bad),)), step(1, {bad: bad})):
        heard.note(event)
    *_, final = heard.make_ending(Final(Result(answer=bad)), 0.0)
    assert isinstance(final, Final)
    assert final.result.answer == "\ufffd"
    assert b'"success":true' in payload(final)


LONG = "é" * 1_600_000


@pytest.mark.parametrize(
    "event",
    [
        Status(step=1, description=LONG, status="executing"),
        Status(step=1, name=LONG, description="d", status="executing", data={"k": LONG}),
        Sources((replace(source(LONG), title=LONG, uri=LONG, text=LONG),)),
        Sources((replace(source(), title="t" * 1000),) * 3200),
        Notice(LONG, LONG),
        Reset(LONG),
    ],
)
def test_an_event_of_any_length_fits_into_an_entry(event: Event) -> None:
    """With every name and sentence in it, cut, and as many sources as there is room for."""
    assert len(payload(event)) > ENTRY_BYTES
    assert len(payload(trim_event(event))) < ENTRY_BYTES


def test_an_error_of_any_length_ends_its_run() -> None:
    """Raised or yielded, by a step of any length: an end that no store keeps would be none."""
    transcript = Transcript(run_id="r", started=0.0)
    transcript.note(trim_event(Status(step=1, description=LONG, status="executing")))
    details = ({"field": LONG, "message": LONG},)
    for ending in (
        transcript.make_failed_ending(RiverrunError(LONG, code="internal", hint=LONG), 1.0),
        transcript.make_ending(ErrorEvent(error=LONG, code="internal", details=details), 1.0),
    ):
        assert ending[-1].error.startswith("éé")  # type: ignore[union-attr]
        assert all(len(payload(event)) < ENTRY_BYTES for event in ending)


def test_a_result_of_any_length_keeps_its_answer() -> None:
    """Whatever else a producer put into it."""
    result = Result(
        answer="a", model=LONG, session_id=LONG, tools_used=(LONG,) * 3, metadata={LONG: LONG}
    )
    trimmed = trim_answer(result)
    assert trimmed.answer == "a"
    assert len(payload(Final(trimmed))) < ENTRY_BYTES
