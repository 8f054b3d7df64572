"""The stages of a run, against every way in which a producer can behave."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.errors import RiverrunError, SetupError
from services.streaming.deadlines import CLEANUP_SECONDS, PRODUCER_MARGIN
from services.streaming.events import (
    ErrorEvent,
    Event,
    Final,
    Notice,
    Reset,
    Result,
    Source,
    Sources,
    Status,
    Token,
    Usage,
    UsageEvent,
)
from services.streaming.run import stages as subject
from services.streaming.run.errors import StoppedError
from services.streaming.run.interruption import make_interruptible
from services.streaming.run.stages import Batches, Output, drop_kinds, observe, terminate
from services.streaming.run.transcript import TOKEN_LIMIT, Transcript
from services.streaming.run.trim import EVENT_LIMIT
from tests.services.streaming.instant import instant

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_left")]

Producer = AsyncGenerator[Any, None]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Time that is waited for passes at once."""
    return instant()


def now() -> float:
    """The loop's time."""
    return asyncio.get_running_loop().time()


def stages(said: Producer, **options: Any) -> Batches:
    """A run as the facade puts it together, at the loop's time."""
    transcript = Transcript(run_id="run", started=0.0)
    return terminate(make_interruptible(said, **options), transcript, now=now)


async def run(said: Producer, **options: Any) -> list[Event]:
    """Everything a run says."""
    async with aclosing(stages(said, **options)) as batches:
        return [event async for batch in batches for event in batch]


async def play(*events: Any, error: BaseException | None = None) -> Producer:
    """A producer that says these and then ends, or raises."""
    for event in events:
        yield event
    if error is not None:
        raise error


def step(number: int, state: Any = "executing", **more: Any) -> Status:
    """A status."""
    return Status(step=number, description=f"step {number}", status=state, timestamp=1, **more)


def answer_of(events: list[Event]) -> str:
    """What the tokens of a run say together."""
    return "".join(event.text for event in events if isinstance(event, Token))


def final_of(events: list[Event]) -> Result:
    """The result of a run that worked; there is exactly one terminal event, and it is last."""
    assert [event for event in events if isinstance(event, Final | ErrorEvent)] == events[-1:]
    assert isinstance(events[-1], Final)
    return events[-1].result


def make_error_event(events: list[Event]) -> ErrorEvent:
    """The error of a run that failed; there is exactly one terminal event, and it is last."""
    assert [event for event in events if isinstance(event, Final | ErrorEvent)] == events[-1:]
    assert isinstance(events[-1], ErrorEvent)
    return events[-1]


# How a producer can end.


async def test_strings_are_pieces_of_the_answer() -> None:
    """A generator of plain strings is a whole run."""
    events = await run(play("Hello", ", ", "world"))
    assert events[:-1] == [Token("Hello"), Token(", "), Token("world")]
    result = final_of(events)
    assert (result.answer, result.success, result.finish_reason) == ("Hello, world", True, "stop")
    assert result.run_id == "run"


@pytest.mark.parametrize("between", [(), (Status(step=1, description="…", status="completed"),)])
async def test_a_character_that_two_deltas_cut_in_two_is_whole(between: tuple[Event, ...]) -> None:
    """As strings and as tokens, with something said in between, at each place of a word."""
    for cut in (0, 1, 2):
        word = "a\ud83d\ude00b"[cut:]
        for pieces in (list(word), [Token(half) for half in word]):
            said = [pieces[0], *between, *pieces[1:]]
            events = await run(play(*said))
            whole = word.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            assert answer_of(events) == whole
            assert final_of(events).answer == whole


async def test_half_a_character_that_nothing_completes_is_no_reason_to_fail() -> None:
    """At the end, before another half, and where a result has the whole."""
    assert answer_of(await run(play("a\ud83d"))) == "a\ufffd"
    assert answer_of(await run(play("\ud83d", "\ud83d", "\ude00"))) == "\ufffd😀"
    assert answer_of(await run(play("\ude00", "b"))) == "\ufffdb"


async def test_a_producer_that_says_how_it_ended_is_believed() -> None:
    """What it left out, the run fills in."""
    source = Source(id="1", title="t", uri="u", score=1.0, snippet="s")
    usage = Usage(input_tokens=1, output_tokens=2)
    said = play(
        step(1),
        Sources((source,)),
        "text",
        UsageEvent(usage),
        step(1, "completed"),
        Final(Result(finish_reason="length", model="m", tools_used=("search",))),
    )
    result = final_of(await run(said))
    assert result.answer == "text"
    assert (result.finish_reason, result.model, result.tools_used) == ("length", "m", ("search",))
    assert (result.sources, result.usage) == ((source,), usage)
    assert result.steps == (step(1, "completed"),)


async def test_a_result_without_tokens_is_told_as_tokens_first() -> None:
    """The tokens of a run, joined, are its answer, whatever yielded them."""
    events = await run(play(Final(Result(answer="all at once"))))
    assert events[0] == Token("all at once")
    assert final_of(events).answer == "all at once"


async def test_where_the_result_differs_from_the_tokens_the_tokens_win() -> None:
    """The reader has seen them already."""
    assert final_of(await run(play("seen", Final(Result(answer="other"))))).answer == "seen"


async def test_a_reset_starts_the_answer_again() -> None:
    """What was said before it is not in the result."""
    events = await run(play("wrong", Reset("retry"), "right"))
    assert Reset("retry") in events
    assert final_of(events).answer == "right"


@pytest.mark.parametrize(
    "said",
    [
        play,
        lambda: play(""),
        lambda: play(step(1)),
        lambda: play(Final(Result())),
        lambda: play("x", Reset("r")),
    ],
    ids=[
        "nothing",
        "an empty string",
        "only a status",
        "an empty result",
        "only what it took back",
    ],
)
async def test_an_empty_answer_is_an_error(said: Callable[[], Producer]) -> None:
    """A `final` always holds a usable answer."""
    failure = make_error_event(await run(said()))
    assert failure.code == "provider_truncated"
    assert failure.run_id == "run"


@pytest.mark.parametrize("before", [(), ("some ", "text")])
async def test_an_exception_becomes_an_error_that_says_nothing_of_it(
    before: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """Before or after tokens; what was said is kept; the log has the rest, with the run id."""
    failure = make_error_event(await run(play(*before, error=ValueError("secret/path"))))
    assert failure.code == "internal"
    assert failure.error == "Something went wrong on our side."
    assert (failure.partial.answer if failure.partial else "") == "".join(before)
    assert "secret" not in repr(failure)
    assert "secret/path" in caplog.text
    assert "Run run failed" in caplog.text
    caplog.clear()


async def test_a_typed_error_is_told_as_it_is() -> None:
    """Its code, its advice and when to come back."""
    error = RiverrunError(
        "Too many people ask.",
        code="provider_throttled",
        retryable=True,
        retry_after_ms=2000,
        hint="Wait a little.",
    )
    failure = make_error_event(await run(play("x", error=error)))
    assert failure.error == "Too many people ask."
    assert (failure.code, failure.retryable) == ("provider_throttled", True)
    assert (failure.retry_after_ms, failure.hint) == (2000, "Wait a little.")


async def test_a_typed_error_in_a_task_group_is_told_as_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A group of one failure is that failure, however deep; of two it is ours to mend."""

    async def group() -> Producer:
        yield "x"
        async with anyio.create_task_group(), anyio.create_task_group():
            raise RiverrunError("Refused.", code="content_filtered")

    assert make_error_event(await run(group())).code == "content_filtered"
    two = ExceptionGroup("two", [RiverrunError("a", code="deadline"), ValueError("b")])
    assert make_error_event(await run(play(error=two))).code == "internal"
    caplog.clear()


async def test_an_installation_at_fault_keeps_its_secrets(caplog: pytest.LogCaptureFixture) -> None:
    """A client cannot mend it, and has no business with its paths."""
    failure = make_error_event(await run(play(error=SetupError("/etc/model.onnx is missing"))))
    assert failure.code == "internal"
    assert "onnx" not in repr(failure)
    assert "/etc/model.onnx is missing" in caplog.text
    caplog.clear()


async def test_a_failure_is_told_with_the_step_that_failed() -> None:
    """An unfinished step ends as failed; a finished one is left alone."""
    events = await run(play(step(1, "completed"), step(2), "x", error=RiverrunError("no")))
    assert isinstance(events[-2], Status)
    assert (events[-2].step, events[-2].status) == (2, "failed")
    failure = make_error_event(events)
    assert failure.step == 2
    assert failure.partial is not None
    assert [status.status for status in failure.partial.steps] == ["completed", "failed"]
    assert (
        make_error_event(await run(play(step(1, "completed"), error=RiverrunError("no")))).step
        is None
    )


async def test_a_failure_that_is_said_is_an_error_too() -> None:
    """A producer may say how it failed instead of raising."""
    failure = make_error_event(await run(play("x", ErrorEvent(error="Full.", code="overloaded"))))
    assert (failure.error, failure.code, failure.run_id) == ("Full.", "overloaded", "run")
    assert failure.partial is not None
    assert failure.partial.answer == "x"


@pytest.mark.parametrize(
    "late",
    ["text", Token("t"), step(9), Final(Result(answer="b")), ErrorEvent(error="b", code="c")],
)
@pytest.mark.parametrize(
    "terminal", [Final(Result(answer="a")), ErrorEvent(error="a", code="overloaded")]
)
async def test_nothing_follows_a_terminal_event(terminal: Event, late: Output) -> None:
    """The producer stands still at that `yield` and is closed there."""
    went_on: list[bool] = []
    closed: list[bool] = []

    async def say() -> Producer:
        try:
            yield terminal
            went_on.append(True)
            yield late
        finally:
            closed.append(True)

    events = await run(say())
    assert sum(isinstance(event, Final | ErrorEvent) for event in events) == 1
    assert type(events[-1]) is type(terminal)
    assert late not in events
    assert (went_on, closed) == ([], [True])


@pytest.mark.parametrize("leaving", [asyncio.CancelledError, SystemExit, GeneratorExit])
async def test_a_producer_that_cancels_itself_was_interrupted(
    leaving: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """The same for one that exits: no other answer of this process hears of it."""
    failure = make_error_event(await run(play("x", error=leaving())))
    assert failure.code == "interrupted"
    assert failure.partial is not None
    assert failure.partial.answer == "x"
    caplog.clear()


@pytest.mark.parametrize("thing", [None, 5, b"bytes", {"type": "token"}, ["x"], object()])
async def test_what_is_no_event_is_a_fault_of_the_producer(
    thing: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The reader gets an error and what came before; the log says what was wrong."""
    failure = make_error_event(await run(play("before", thing, "after")))
    assert failure.code == "internal"
    assert failure.partial is not None
    assert failure.partial.answer == "before"
    assert f"not {type(thing).__name__}" in caplog.text
    caplog.clear()


async def test_an_event_that_cannot_be_written_is_a_fault_of_the_producer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Found while it can still become an error, not where it would break the stream."""
    no_text: dict[str, Any] = {"not UTF-8": b"\xff"}
    for poison in (
        step(1, data=no_text),
        Final(Result(answer="x", metadata=no_text)),
        Token(5),  # type: ignore[arg-type]  # on purpose
    ):
        failure = make_error_event(await run(play("before", poison)))
        assert failure.code == "internal"
        assert failure.partial is not None
        assert failure.partial.answer == "before"
    caplog.clear()


# What a producer can say.


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("a\0b", "a\0b"),
        ("a\r\nb\nc\rd\u2028e\u0085f", "a\r\nb\nc\rd\u2028e\u0085f"),
        ("\ud83d", "\ufffd"),
        ("\ud83d\ude00", "😀"),
        ("\ufeff", "\ufeff"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
    ],
)
async def test_any_text_is_said_and_kept_alike(text: str, heard: str) -> None:
    """Tokens and the answer are the same text, and always valid Unicode."""
    for said in (play(text), play(Token(text)), play(Final(Result(answer=text)))):
        events = await run(said)
        assert answer_of(events) == final_of(events).answer == heard


async def test_an_emoji_over_three_tokens_is_whole_in_the_answer() -> None:
    """Nothing is normalised or joined on the way."""
    assert final_of(await run(play("👩", "\u200d👩", "\u200d👧"))).answer == "👩‍👩‍👧"


@pytest.mark.parametrize("make", [str, Token, lambda text: Final(Result(answer=text))])
async def test_a_huge_string_is_cut_into_tokens_that_fit(make: Callable[[str], Any]) -> None:
    """In order and complete, a megabyte at once."""
    text = "".join(chr(0x20 + number % 90) for number in range(1_000_000))
    events = await run(play(make(text)))
    assert answer_of(events) == final_of(events).answer == text
    assert all(len(event.text) <= TOKEN_LIMIT for event in events if isinstance(event, Token))


async def test_empty_strings_are_not_said() -> None:
    """An event with no text would only cost an id."""
    assert (await run(play("", "a", Token(""), "b")))[:-1] == [Token("a"), Token("b")]


async def test_a_status_gets_the_time_it_was_said() -> None:
    """In epoch milliseconds, unless it brings its own."""
    bare = Status(step=1, description="d", status="executing")
    first, second, *_ = await run(play(bare, step(2), "x"))
    assert isinstance(first, Status)
    assert isinstance(second, Status)
    assert first.timestamp == int(now() * 1000)
    assert second.timestamp == 1


async def test_a_status_with_too_much_data_goes_without_it() -> None:
    """A client that reads 64 KiB at a time still sees it."""
    events = await run(play(step(1, data={"x": "y" * EVENT_LIMIT}), "x"))
    assert isinstance(events[0], Status)
    assert events[0].data is None


async def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run has a stated cap, and says so in its result."""
    monkeypatch.setattr(subject, "RUN_LIMIT", 10_000)
    closed: list[bool] = []

    async def endless() -> Producer:
        try:
            while True:
                yield "word "
        finally:
            closed.append(True)

    result = final_of(await run(endless()))
    assert result.finish_reason == "length"
    assert 0 < len(result.answer) < 500
    assert closed == [True]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=20),
            st.builds(Token, st.text(max_size=20)),
            st.just(Reset("again")),
            st.just(Notice("retry", "Trying again.")),
            st.builds(
                step, st.integers(1, 4), st.sampled_from(["executing", "completed", "failed"])
            ),
            st.just(Final(Result(answer="said"))),
            st.just(ErrorEvent(error="said", code="overloaded")),
            st.sampled_from([ValueError("v"), RiverrunError("r"), asyncio.CancelledError()]),
            st.just(None),
        ),
        max_size=12,
    )
)
async def test_whatever_is_said_exactly_one_terminal_event_ends_it(script: list[Any]) -> None:
    """And the tokens after the last reset are the answer."""

    async def say() -> Producer:
        for item in script:
            if isinstance(item, BaseException):
                raise item
            yield item

    logging.getLogger("riverrun.run").disabled = True
    try:
        events = await run(say())
    finally:
        logging.getLogger("riverrun.run").disabled = False
    last = events[-1]
    assert [event for event in events if isinstance(event, Final | ErrorEvent)] == [last]
    resets = [index for index, event in enumerate(events) if isinstance(event, Reset)]
    told = answer_of(events[resets[-1] if resets else 0 :])
    if isinstance(last, Final):
        assert last.result.answer == told != ""
    elif isinstance(last, ErrorEvent):
        assert (last.partial.answer if last.partial else "") == told


# Silence, stop and deadline.


async def test_silence_is_told_after_each_interval_of_it() -> None:
    """While the producer waits, before its first word and between any two."""

    async def slow() -> Producer:
        await asyncio.sleep(25)
        yield "a"
        await asyncio.sleep(9)
        yield "b"
        await asyncio.sleep(11)

    seen = []
    async with aclosing(stages(slow(), heartbeat=10.0)) as batches:
        async for batch in batches:
            names = [type(event).__name__ for event in batch]
            seen.append((now(), names))
    assert seen == [
        (10, []),
        (20, []),
        (25, ["Token"]),
        (34, ["Token"]),
        (44, []),
        (45, ["Final"]),
    ]


async def test_a_status_is_with_the_reader_before_its_work_begins() -> None:
    """By order, not by luck: the work waits until the reader asks for more."""
    order: list[str] = []

    async def work() -> Producer:
        yield "a"
        order.append("announces")
        yield step(1)
        order.append("works")
        yield "b"

    async with aclosing(stages(work())) as batches:
        async for batch in batches:
            for event in batch:
                await asyncio.sleep(5)  # a slow socket
                order.append(f"sent {type(event).__name__}")
    assert order == [
        "announces",
        "sent Token",
        "sent Status",
        "works",
        "sent Token",
        "sent Final",
    ]


async def test_a_status_that_says_how_far_work_is_keeps_it_from_nothing() -> None:
    """It announces nothing: with a durable log, waiting for it would be a flush for no one."""
    order: list[str] = []

    async def work() -> Producer:
        yield Status(step=1, description="d", status="executing", progress=0.5, elapsed_ms=3)
        order.append("works on")
        yield "b"

    async with aclosing(stages(work())) as batches:
        async for batch in batches:
            await asyncio.sleep(5)  # a slow socket
            order += [f"sent {type(event).__name__}" for event in batch]
    assert order[0] == "works on"


async def test_a_slow_reader_slows_the_producer() -> None:
    """What waits between them is bounded by its size, not by the reader's patience."""
    made = 0

    async def fast() -> Producer:
        nonlocal made
        for _ in range(1000):
            made += 1
            yield "x" * 8000

    async with aclosing(stages(fast())) as batches:
        assert len(await anext(batches)) <= 9
        await asyncio.sleep(100)
        assert made <= 20


async def test_a_reader_who_leaves_closes_the_producer_and_what_it_holds() -> None:
    """At any event, waiting or not, `finally` ran when the reader is gone."""
    closed: list[str] = []

    async def provider() -> AsyncGenerator[str, None]:
        try:
            for number in range(10):
                yield f"{number} "
                await asyncio.sleep(1)
        finally:
            await asyncio.sleep(0.5)
            closed.append("provider")

    async def say() -> Producer:
        try:
            async with aclosing(provider()) as words:
                async for word in words:
                    yield word
        finally:
            closed.append("producer")

    for leave_after in range(8):
        closed.clear()
        async with aclosing(stages(say())) as batches:
            for _ in range(leave_after):
                await anext(batches)
        assert closed == (["provider", "producer"] if leave_after else [])


def stop_after(seconds: float) -> "asyncio.Future[None]":
    """A stop that is asked for so many seconds from now."""
    stop = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(seconds, stop.set_result, None)
    return stop


async def hang(*before: Any, closed: list[float] | None = None) -> Producer:
    """A producer whose provider never answers."""
    try:
        for event in before:
            yield event
        await asyncio.sleep(1e6)
    finally:
        if closed is not None:
            closed.append(now())


async def test_a_stop_keeps_what_was_said() -> None:
    """The provider is closed at that moment, though it says nothing."""
    closed: list[float] = []
    result = final_of(await run(hang(step(1), "so far", closed=closed), stop=stop_after(3)))
    assert (result.answer, result.finish_reason) == ("so far", "cancelled")
    assert closed == [3]


async def test_a_stop_lets_the_producer_tidy_up_in_peace() -> None:
    """It is told to end once; a `finally` that waits is not told again."""
    tidied: list[bool] = []

    async def say() -> Producer:
        try:
            yield "so far"
            await asyncio.sleep(1e6)
        finally:
            await asyncio.sleep(1)
            tidied.append(True)

    assert final_of(await run(say(), stop=stop_after(3))).answer == "so far"
    assert tidied == [True]


async def test_a_stop_before_any_word_is_an_error_with_its_code() -> None:
    """There is no answer that a `final` could hold."""
    assert make_error_event(await run(hang(step(1)), stop=stop_after(3))).code == "cancelled"


async def test_a_run_that_is_stopped_before_it_began_never_begins() -> None:
    """No model is paid for it."""
    begun: list[bool] = []

    async def say() -> Producer:
        begun.append(True)
        yield "x"

    stop = asyncio.get_running_loop().create_future()
    stop.set_result(None)
    assert make_error_event(await run(say(), stop=stop)).code == "cancelled"
    assert make_error_event(await run(say(), seconds_left=PRODUCER_MARGIN)).code == "deadline"
    assert begun == []


async def test_a_stop_after_the_end_changes_nothing() -> None:
    """Even while the reader is still busy with the last word."""
    stop = asyncio.get_running_loop().create_future()
    events: list[Event] = []
    async with aclosing(stages(play("all"), stop=stop)) as batches:
        async for batch in batches:
            await asyncio.sleep(1)
            if not stop.done():
                stop.set_result(None)
            events += batch
    assert final_of(events).finish_reason == "stop"


@pytest.mark.parametrize("pause", [0, 1e6], ids=["at its yield", "at its provider"])
async def test_a_stop_reaches_a_producer_whose_reader_is_slow(pause: float) -> None:
    """It ends when it is told to, not when the reader comes back."""
    ended: list[float] = []

    async def endless() -> Producer:
        try:
            while True:
                yield "x" * 1000
                await asyncio.sleep(pause)
        finally:
            ended.append(now())

    async with aclosing(stages(endless(), stop=stop_after(5))) as batches:
        events = await anext(batches)
        await asyncio.sleep(60)
        assert ended == [5]
        async for batch in batches:
            events += batch
    result = final_of(events)
    assert result.finish_reason == "cancelled"
    assert result.answer == answer_of(events)


async def test_the_stop_is_let_go_at_the_end() -> None:
    """A run that is kept holds no callback of a reader that is gone."""
    stop: Any = asyncio.get_running_loop().create_future()
    await run(play("x"), stop=stop, seconds_left=900.0)
    assert not stop._callbacks


async def test_the_deadline_is_told_a_second_before_the_platform_ends_us() -> None:
    """With a provider that is blocked, and one that will not hear of it."""
    closed: list[float] = []
    failure = make_error_event(await run(hang("so far", closed=closed), seconds_left=30.0))
    assert (failure.code, failure.retryable) == ("deadline", True)
    assert failure.partial is not None
    assert failure.partial.answer == "so far"
    assert closed == [30 - PRODUCER_MARGIN]
    assert now() <= 30 - 1


async def test_a_producer_that_ignores_the_deadline_does_not_delay_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The last word is a second early however stubborn it is."""
    released = asyncio.Event()

    async def stubborn() -> Producer:
        yield "x"
        while not released.is_set():
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(1e6)

    events = await run(stubborn(), seconds_left=30.0)
    told = now()
    left = [task for task in asyncio.all_tasks() if "_pump" in repr(task)]
    released.set()
    for task in left:
        task.cancel()
        await asyncio.wait({task})
    assert make_error_event(events).code == "deadline"
    assert told <= 30 - 1
    assert "has not ended" in caplog.text


async def test_a_run_in_good_time_never_hears_of_its_deadline() -> None:
    """Nor does one without any."""

    async def steady() -> Producer:
        for _ in range(28):
            await asyncio.sleep(1)
            yield "x"

    assert final_of(await run(steady(), seconds_left=30.0)).answer == "x" * 28


async def test_a_producer_that_will_not_end_delays_a_stop_by_its_budget_at_most(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Then the reader gets the end, and the log a warning."""
    deaf = 0

    async def stubborn() -> Producer:
        nonlocal deaf
        yield "x"
        while deaf < 2:
            try:
                await asyncio.sleep(1e6)
            except asyncio.CancelledError:
                deaf += 1

    assert final_of(await run(stubborn(), stop=stop_after(1))).finish_reason == "cancelled"
    assert now() == pytest.approx(1 + CLEANUP_SECONDS)
    assert deaf == 2


async def test_a_producer_may_hold_scopes_and_context_variables() -> None:
    """It runs in one task from first to last, which the language asks for."""
    who: ContextVar[str] = ContextVar("who")

    async def say() -> Producer:
        token = who.set("me")
        try:
            with anyio.fail_after(60):
                yield who.get()
                await asyncio.sleep(1)
                yield who.get()
        finally:
            who.reset(token)

    assert final_of(await run(say())).answer == "meme"


async def test_a_producers_own_timeout_is_its_own() -> None:
    """A cancel scope inside ends what it holds, and nothing else."""

    async def say() -> Producer:
        with anyio.move_on_after(5):
            yield "a"
            await asyncio.sleep(1e6)
        yield "b"

    assert final_of(await run(say())).answer == "ab"


# Observers, and what a run was asked not to say.


async def test_observers_see_every_event_in_order() -> None:
    """The same that go out, the terminal one included, and no silence."""
    seen: list[Event] = []
    also: list[Event] = []

    async def slow() -> Producer:
        yield "a"
        await asyncio.sleep(11)
        yield "b"

    async with aclosing(
        observe(stages(slow(), heartbeat=10.0), seen.append, also.append)
    ) as batches:
        told = [event async for batch in batches for event in batch]
    assert seen == also == told
    assert len(told) == 3


async def test_an_observer_that_raises_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The run and the other observers do not hear of it."""
    seen: list[Event] = []

    def raise_error(_event: Event) -> None:
        raise ValueError("observer")

    async with aclosing(observe(stages(play("a", "b")), raise_error, seen.append)) as batches:
        told = [event async for batch in batches for event in batch]
    assert seen == told
    assert final_of(told).answer == "ab"
    assert caplog.text.count("An observer failed.") == 3
    caplog.clear()


async def test_what_was_not_asked_for_is_left_out_and_the_result_keeps_it() -> None:
    """The kinds go, the order stays, and the answer is whole."""
    unwanted = frozenset({Token, Reset})
    async with aclosing(
        drop_kinds(stages(play(step(1), "a", Reset("r"), "b")), unwanted)
    ) as batches:
        told = [event async for batch in batches for event in batch]
    assert [type(event) for event in told] == [Status, Final]
    assert final_of(told).answer == "b"


async def test_a_reader_of_a_long_answer_without_tokens_hears_a_heartbeat() -> None:
    """What is left out breaks no silence."""

    async def talk() -> Producer:
        for _ in range(60):
            await asyncio.sleep(1)
            yield "x"

    seen = []
    quiet = drop_kinds(
        stages(talk(), heartbeat=10.0), frozenset({Token}), heartbeat=10.0, clock=now
    )
    async with aclosing(quiet) as batches:
        async for batch in batches:
            seen.append((now(), len(batch)))  # noqa: PERF401 - when it came is the point
    assert seen == [(10, 0), (20, 0), (30, 0), (40, 0), (50, 0), (60, 0), (60, 1)]


async def test_a_stop_is_a_typed_error() -> None:
    """So that a service may raise it too."""
    assert StoppedError("x").code == "cancelled"
    result = final_of(await run(play("kept", error=StoppedError("x"))))
    assert (result.answer, result.finish_reason) == ("kept", "cancelled")


async def test_a_stage_holds_nothing_of_what_it_passed_on() -> None:
    """While the next is waited for, a thousand runs would hold a thousand last batches."""
    said: list[Output] = [Token("a"), "b"]
    shown: list[Event] = [Token("a"), Reset("r")]

    async def before(batch: list[Any]) -> AsyncGenerator[list[Any], None]:
        yield batch

    transcript = Transcript(run_id="run", started=0.0)
    async with aclosing(terminate(before(said), transcript, now=now)) as after:
        assert (await anext(after), said) == ([Token("a"), Token("b")], [])
    async with aclosing(drop_kinds(before(shown), frozenset({Reset}))) as after:
        assert (await anext(after), shown) == ([Token("a")], [])
