"""Tries, fallbacks and the breaker, with providers that fail as told."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import pytest

from services.chat import (
    ChatCode,
    ChatError,
    ModelUsage,
    Note,
    Piece,
    Prompt,
    Restart,
    Stop,
    Text,
    UnbilledCall,
)
from services.chat.breaker import MAX_FAILURES, REST_SECONDS, Breaker
from services.chat.budget import BudgetError
from services.chat.provider import ThoughtText
from services.chat.provider_errors import make_chat_error
from services.chat.retry import RetryingProvider, _record_failure
from services.errors import SetupError
from services.progress import Report, no_report
from tests.services.chat.conformance import collect, outcome, text_of

pytestmark = pytest.mark.anyio

PROMPT = Prompt("Why?", ())
WELL: list[Piece | Exception] = [Text("a"), ModelUsage(1, 1, 0.5), Stop("stop")]


@dataclass
class Takes:
    """A provider that plays a tape for each call, the last one again and again."""

    model: str
    tapes: list[list[Piece | Exception]]
    prompts: list[Prompt] = field(default_factory=list)
    closed: int = 0

    async def stream(
        self, prompt: Prompt, *, report: Report = no_report
    ) -> AsyncGenerator[Piece, None]:
        del report  # a tape has nothing to say
        self.prompts.append(prompt)
        tape = self.tapes.pop(0) if len(self.tapes) > 1 else self.tapes[0]
        try:
            for item in tape:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.closed += 1


@dataclass
class Clock:
    """Sleeps that take no time, and are remembered."""

    slept: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def make_provider(
    *models: Takes, clock: Clock | None = None, restart: bool = False
) -> RetryingProvider:
    return RetryingProvider(
        models, restart=restart, jitter=lambda: 1.0, sleep=(clock or Clock()).sleep
    )


def fail_with(code: ChatCode = "provider_throttled", **more: int) -> list[Piece | Exception]:
    return [ChatError("m", code=code, **more)]  # type: ignore[arg-type]


async def test_a_throttled_model_is_asked_again_without_a_sign() -> None:
    """Three calls at most, longer pauses each time, one bill (PF01)."""
    clock = Clock()
    model = Takes("a", [fail_with(), fail_with(), WELL])
    assert await collect(make_provider(model, clock=clock), PROMPT) == WELL
    assert clock.slept == [0.5, 1.0]
    assert model.closed == 3


async def test_three_calls_are_all() -> None:
    """Then the error is told."""
    model = Takes("a", [fail_with()])
    seen, error = await outcome(make_provider(model), PROMPT)
    assert (seen, getattr(error, "code", "")) == ([], "provider_throttled")
    assert len(model.prompts) == 3


async def test_the_pause_is_full_jitter_and_at_least_what_the_service_asks() -> None:
    """Jitter from none to all of it; Retry-After is obeyed."""
    clock = Clock()
    model = Takes("a", [fail_with(), fail_with(retry_after_ms=3000), WELL])
    provider = RetryingProvider([model], jitter=lambda: 0.0, sleep=clock.sleep)
    await collect(provider, PROMPT)
    assert clock.slept == [0.0, 3.0]


@pytest.mark.parametrize("left", [-1.0, 0.3])
async def test_nothing_is_tried_again_when_there_is_no_time(left: float) -> None:
    """A try that could not begin before the deadline is not waited for."""
    clock = Clock()
    until = asyncio.get_running_loop().time() + left
    model = Takes("a", [fail_with(), WELL])
    _, error = await outcome(make_provider(model, clock=clock), Prompt("Why?", (), until=until))
    assert error is not None
    assert (len(model.prompts), clock.slept) == (1, [])


@pytest.mark.parametrize("code", ["provider_error", "content_filtered", "context_too_long"])
async def test_what_would_fail_again_is_not_asked_again(code: ChatCode) -> None:
    """Only overload, breaks and the like may pass."""
    model = Takes("a", [fail_with(code), WELL])
    _, error = await outcome(make_provider(model), PROMPT)
    assert getattr(error, "code", "") == code
    assert len(model.prompts) == 1


async def test_silence_is_not_waited_for_twice_at_one_model() -> None:
    """Its time was ours; the next model may be quicker."""
    slow, quick = Takes("slow", [fail_with("provider_timeout")]), Takes("quick", [WELL])
    pieces = await collect(make_provider(slow, quick), PROMPT)
    assert isinstance(pieces[0], Note)
    assert (len(slow.prompts), len(quick.prompts)) == (1, 1)


@pytest.mark.parametrize("code", ["provider_error", "context_too_long", "provider_throttled"])
async def test_the_next_model_answers_with_a_notice_and_its_name(code: ChatCode) -> None:
    """Three calls in all, one of them for the last model."""
    first, second = Takes("first", [fail_with(code)]), Takes("second", [WELL])
    pieces = await collect(make_provider(first, second), PROMPT)
    assert pieces[0] == Note("fallback", "Another model answers: the first one did not.")
    assert pieces[1:] == [*WELL[:-1], Stop("stop", "second")]
    assert len(first.prompts) == (2 if code == "provider_throttled" else 1)


async def test_another_model_is_not_asked_for_what_was_refused() -> None:
    """Rules are not shopped around."""
    first, second = Takes("first", [fail_with("content_filtered")]), Takes("second", [WELL])
    _, error = await outcome(make_provider(first, second), PROMPT)
    assert getattr(error, "code", "") == "content_filtered"
    assert second.prompts == []


async def test_every_model_of_a_long_list_gets_its_call() -> None:
    """Also more than three."""
    models = [Takes(name, [fail_with()]) for name in "abcde"]
    await outcome(make_provider(*models), PROMPT)
    assert [len(model.prompts) for model in models] == [1, 1, 1, 1, 1]


async def test_nothing_is_said_or_paid_twice_after_text() -> None:
    """What a reader has seen stands, and the error says that it is not all."""
    model = Takes("a", [[Text("Half "), *fail_with("provider_truncated")], WELL])
    spare = Takes("b", [WELL])
    seen, error = await outcome(make_provider(model, spare), PROMPT)
    assert seen == [Text("Half ")]
    assert getattr(error, "code", "") == "provider_truncated"
    assert (len(model.prompts), len(spare.prompts)) == (1, 0)


async def test_an_installation_may_have_it_written_again() -> None:
    """Behind a piece that says so; also what was said before in another invocation is void."""
    model = Takes("a", [[Text("Half "), *fail_with("provider_truncated")], WELL])
    prompt = Prompt("Why?", (), so_far="Before. ")
    pieces = await collect(make_provider(model, restart=True), prompt)
    assert pieces[0] == Text("Half ")
    assert isinstance(pieces[1], Restart)
    assert pieces[2:] == WELL
    assert [sent.so_far for sent in model.prompts] == ["Before. ", ""]


async def test_the_bill_is_one_and_has_every_try_on_it() -> None:
    """A try that was billed and failed is paid too."""
    model = Takes("a", [[ModelUsage(5, 2, 0.25), *fail_with()], WELL])
    pieces = await collect(make_provider(model), PROMPT)
    bills = [piece for piece in pieces if isinstance(piece, ModelUsage)]
    assert bills[-1] == ModelUsage(6, 3, 0.75)


async def test_every_try_leaves_the_next_less_to_spend() -> None:
    """What earlier invocations spent too; an unbilled call is counted once."""
    model = Takes("a", [[ModelUsage(5, 2, 0.25), *fail_with()], fail_with(), WELL])
    prompt = Prompt(
        "Why?", (), spent=ModelUsage(100, 10, 1.0), unbilled_calls=(UnbilledCall("", "x"),)
    )
    await collect(make_provider(model), prompt)
    assert [sent.spent for sent in model.prompts] == [
        ModelUsage(100, 10, 1.0), ModelUsage(105, 12, 1.25), ModelUsage(105, 12, 1.25),
    ]  # fmt: skip
    assert [len(sent.unbilled_calls) for sent in model.prompts] == [1, 0, 0]


BROKE = BudgetError(again=True)


async def test_a_budget_that_pays_for_no_other_try_hides_no_failure() -> None:
    """Why there is no answer is what the model did; a cheaper one is asked all the same."""
    seen, error = await outcome(make_provider(Takes("a", [fail_with(), [BROKE]])), PROMPT)
    assert (seen, getattr(error, "code", "")) == ([], "provider_throttled")
    dear, cheap = Takes("dear", [fail_with(), [BROKE]]), Takes("cheap", [WELL])
    assert text_of(await collect(make_provider(dear, cheap), PROMPT)) == "a"


async def test_a_question_that_is_too_dear_is_asked_of_no_model() -> None:
    """As before."""
    first, second = Takes("first", [[BROKE]]), Takes("second", [WELL])
    seen, error = await outcome(make_provider(first, second), PROMPT)
    assert (seen, getattr(error, "code", "")) == ([], "budget_exceeded")
    assert second.prompts == []


@pytest.mark.parametrize("then", [[BROKE], fail_with("provider_error"), fail_with()])
async def test_what_was_shown_stands_until_there_is_something_in_its_place(
    then: list[Piece | Exception],
) -> None:
    """An answer is not taken back for one that never comes."""
    model = Takes("a", [[Text("Half "), *fail_with("provider_truncated")], then])
    seen, error = await outcome(make_provider(model, restart=True), PROMPT)
    assert seen == [Text("Half ")]
    assert isinstance(error, ChatError)


async def test_a_stream_without_an_end_is_a_failure_like_any_other() -> None:
    """Truncated before its first token, it may be asked again."""
    model = Takes("a", [[], WELL])
    assert await collect(make_provider(model), PROMPT) == WELL


async def test_an_installation_at_fault_is_told_at_once() -> None:
    """No other try mends a missing key."""
    model = Takes("a", [[SetupError("Set the key.")], WELL])
    with pytest.raises(SetupError):
        await collect(make_provider(model), PROMPT)


async def test_leaving_closes_what_is_open() -> None:
    """At any piece."""
    model = Takes("a", [WELL])
    stream = make_provider(model).stream(PROMPT)
    await anext(stream)
    await stream.aclose()
    assert model.closed == 1


async def test_a_model_that_keeps_failing_is_left_alone() -> None:
    """Then no question waits for it, and the error says when to come back."""
    model = Takes("a", [fail_with("provider_timeout")])
    provider = make_provider(model)
    for _ in range(MAX_FAILURES):
        await outcome(provider, PROMPT)
    seen, error = await outcome(provider, PROMPT)
    assert len(model.prompts) == MAX_FAILURES
    assert error is not None
    assert (seen, error.code, error.retryable) == ([], "provider_throttled", True)
    assert 1000 <= (error.retry_after_ms or 0) <= REST_SECONDS * 1000


async def test_while_one_rests_the_next_answers() -> None:
    """Without asking the first."""
    first, second = Takes("first", [fail_with("provider_timeout")]), Takes("second", [WELL])
    provider = make_provider(first, second)
    for _ in range(MAX_FAILURES + 3):
        assert text_of(await collect(provider, PROMPT)) == "a"
    assert len(first.prompts) == MAX_FAILURES


async def test_what_a_question_did_wrong_is_not_held_against_a_model() -> None:
    """Only failures that may pass count."""
    model = Takes("a", [[make_chat_error("ValidationException")]])
    provider = make_provider(model)
    for _ in range(2 * MAX_FAILURES):
        await outcome(provider, PROMPT)
    assert len(model.prompts) == 2 * MAX_FAILURES


@pytest.mark.parametrize("code", ["provider_truncated", "content_filtered", "context_too_long"])
def test_what_a_question_can_cause_closes_no_model(code: ChatCode) -> None:
    """An empty answer for one: a single visitor would close the model to all."""
    breaker = Breaker(lambda: 0.0)
    for _ in range(3 * MAX_FAILURES):
        _record_failure(breaker, ChatError("", code=code, retryable=True))
    assert breaker.try_enter()
    for _ in range(MAX_FAILURES):
        _record_failure(breaker, ChatError("", code="provider_error", retryable=True))
    assert not breaker.try_enter()


def test_a_breaker_lets_one_call_through_after_its_rest() -> None:
    """Its success closes it; its failure does not."""
    now = [0.0]
    breaker = Breaker(lambda: now[0])
    for _ in range(MAX_FAILURES):
        assert breaker.try_enter()
        breaker.record_failure()
    assert not breaker.try_enter()
    assert breaker.wait == REST_SECONDS
    now[0] += REST_SECONDS
    assert breaker.try_enter()
    assert not breaker.try_enter()
    breaker.record_failure()
    assert not breaker.try_enter()
    now[0] += REST_SECONDS
    assert breaker.try_enter()
    breaker.record_success()
    assert breaker.try_enter()
    assert breaker.try_enter()


def ask_later(seconds: float) -> list[Piece | Exception]:
    """A model that says when to come back."""
    return [make_chat_error("provider_throttled", retry_after_ms=round(seconds * 1000))]


async def test_a_model_that_asks_for_a_minute_is_not_waited_for() -> None:
    """The reader is told at once, and so is the next one: that model is left alone so long."""
    clock = Clock()
    model = Takes("a", [ask_later(60), WELL])
    provider = RetryingProvider([model], jitter=lambda: 0.0, sleep=clock.sleep)
    for calls in (1, 1):
        _, error = await outcome(provider, PROMPT)
        assert isinstance(error, ChatError)
        assert error.code == "provider_throttled"
        assert 55_000 < (error.retry_after_ms or 0) <= 60_000
        assert len(model.prompts) == calls
    assert clock.slept == []


async def test_another_model_that_stands_by_is_asked_instead_of_waiting() -> None:
    """Two seconds are too long where it can answer now; alone they are waited for."""
    clock = Clock()
    busy, free = Takes("busy", [ask_later(2)]), Takes("free", [WELL])
    pair = RetryingProvider([busy, free], jitter=lambda: 0.0, sleep=clock.sleep)
    assert text_of(await collect(pair, PROMPT)) == "a"
    assert (len(busy.prompts), clock.slept) == (1, [])
    alone = RetryingProvider(
        [Takes("busy", [ask_later(2), WELL])], jitter=lambda: 0.0, sleep=clock.sleep
    )
    assert text_of(await collect(alone, PROMPT)) == "a"
    assert clock.slept == [2.0]


async def test_an_empty_answer_is_not_paid_for_again_but_another_model_is_asked() -> None:
    """It would come out the same; what thought its limit away says what to change."""
    empty: list[Piece | Exception] = [Text(" "), Stop("stop")]
    first, second = Takes("first", [empty]), Takes("second", [WELL])
    _, error = await outcome(make_provider(first), PROMPT)
    assert (getattr(error, "code", ""), len(first.prompts)) == ("provider_truncated", 1)
    thought: list[Piece | Exception] = [ThoughtText("Hm"), Stop("length")]
    first = Takes("first", [thought])
    assert text_of(await collect(make_provider(first, second), PROMPT)) == "a"
    _, error = await outcome(make_provider(Takes("first", [thought])), PROMPT)
    assert error is not None
    assert "RIVERRUN_CHAT_EFFORT" in (error.hint or "")
