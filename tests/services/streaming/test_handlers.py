"""The front door as its callers use it: anything in, one whole stream out, nothing left behind."""

import asyncio
import gc
import json
import logging
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from starlette.responses import Response

from services.runs.memory import MemoryLog
from services.runs.memory_records import KEEP_RUNS
from services.settings import Settings
from services.streaming import (
    App,
    Cursor,
    Final,
    Question,
    Result,
    Status,
    Token,
    handle_request,
    handle_resume,
    handle_state,
    handle_stop,
    handle_streaming_request,
)
from services.streaming.events import Event
from tests.event_stream import EventStreamParser
from tests.services.streaming.instant import instant

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_left")]

ASK = {"query": "What is there to see?"}


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Time that is waited for passes at once."""
    return instant()


@pytest.fixture
async def app() -> AsyncIterator[App]:
    """An app that serves no reader when the test is over."""
    app = App(Settings())
    yield app
    assert app.live.streams == 0


async def chunks_of(response: Response) -> list[bytes]:
    """The body of a streaming response, chunk by chunk."""
    body: Any = response.body_iterator  # type: ignore[attr-defined]  # a streaming one
    async with aclosing(body) as chunks:
        return [chunk async for chunk in chunks]


def events_of(chunks: list[bytes]) -> list[dict[str, Any]]:
    """The events in a body."""
    return [json.loads(event.data) for event in EventStreamParser().feed(b"".join(chunks))]


async def ask(app: App, producer: Any, **more: Any) -> list[dict[str, Any]]:
    """The events of a new run."""
    response = await handle_streaming_request(ASK, producer=producer, app=app, **more)
    assert response.status_code == 200
    return events_of(await chunks_of(response))


async def words(_question: Question) -> AsyncIterator[str]:
    """A small answer."""
    for word in ("Hello", ", ", "world"):
        yield word


# What can be handed in.


class Iterable:
    """A class that can be iterated over."""

    def __aiter__(self) -> AsyncIterator[str]:
        """Its words."""
        return words(Question(query="q"))


class PlainIterator:
    """An iterator that is no generator: it has no `aclose`."""

    def __init__(self) -> None:
        self.left = ["Hello", ", ", "world"]

    def __aiter__(self) -> "PlainIterator":
        """Itself."""
        return self

    async def __anext__(self) -> str:
        """The next word."""
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop(0)


class CallableObject:
    """A callable object that makes a generator of a question."""

    async def __call__(self, question: Question) -> AsyncIterator[str]:
        """The words."""
        async for word in words(question):
            yield word


@pytest.mark.parametrize(
    "make",
    [
        lambda: words,
        lambda: words(Question(query="q")),
        Iterable,
        lambda: lambda _question: Iterable(),
        PlainIterator,
        CallableObject,
    ],
    ids=["function", "generator", "class", "function of a class", "iterator", "callable object"],
)
async def test_any_async_generator_can_be_handed_in(make: Callable[[], Any], app: App) -> None:
    """Or a function of the question that makes one, or a class that can be iterated over."""
    *tokens, final = await ask(app, make())
    assert [event["text"] for event in tokens] == ["Hello", ", ", "world"]
    assert final["result"]["answer"] == "Hello, world"


async def test_a_producer_is_given_the_question(app: App) -> None:
    """Checked, and with what only the caller knew."""
    heard: list[Question] = []

    async def producer(question: Question) -> AsyncIterator[str]:
        heard.append(question)
        yield "x"

    asked = Question(query="q", metadata={"a": "b"}, owner="ann")
    response = await handle_streaming_request(asked, producer=producer, app=app)
    *_, final = events_of(await chunks_of(response))
    assert heard == [asked]
    assert final["result"]["metadata"] == {"a": "b"}


@pytest.mark.parametrize("handle", [handle_streaming_request, handle_request])
async def test_what_cannot_produce_is_refused_where_it_is_handed_in(
    handle: Callable[..., Any], app: App
) -> None:
    """A sync generator by mistake; the message says what to write instead."""

    def sync(_question: Question) -> Iterator[str]:
        yield "x"

    for mistake in (sync, ["x"], "x", 5):
        with pytest.raises(TypeError, match="async generator"):
            await handle(ASK, producer=mistake, app=app)


async def test_a_coroutine_function_by_mistake_leaves_no_coroutine(
    app: App, recwarn: pytest.WarningsRecorder
) -> None:
    """`async def` without `yield`: refused with the same words, and closed."""

    async def forgot_to_yield(_question: Question) -> str:
        return "x"

    with pytest.raises(TypeError, match="async generator"):
        await handle_streaming_request(ASK, producer=forgot_to_yield, app=app)  # type: ignore[arg-type]  # on purpose
    gc.collect()
    assert not recwarn.list


async def test_a_class_whose_iterator_is_a_generator_is_closed_too(app: App) -> None:
    """When its reader leaves, as any other."""
    closed: list[bool] = []

    class Source:
        async def __aiter__(self) -> AsyncIterator[str]:
            try:
                while True:
                    yield "x" * 8000  # until the channel is full, so it is left at a `yield`
            finally:
                await asyncio.sleep(0.1)
                closed.append(True)

    response: Any = await handle_streaming_request(ASK, producer=Source(), app=app)
    await anext(response.body_iterator)
    await response.body_iterator.aclose()
    assert closed == [True]


async def test_a_generator_that_is_never_begun_is_not_missed(app: App) -> None:
    """Neither when the request is refused, nor when the response is dropped unread."""
    begun: list[bool] = []

    async def producer() -> AsyncIterator[str]:
        begun.append(True)
        yield "x"

    refused = await handle_streaming_request({}, producer=producer(), app=app)
    assert refused.status_code == 422
    assert begun == []
    response: Any = await handle_streaming_request(ASK, producer=producer(), app=app)
    assert app.live.streams == 1
    await response._entries.aclose()
    assert (app.live.streams, app.live.tasks) == (0, {})


# One run, many readers.


async def test_a_reader_resumes_after_any_event_with_exactly_the_rest(app: App) -> None:
    """k + 1 to n, byte for byte, for every k; after the end there is nothing."""

    async def producer(_question: Question) -> AsyncIterator[Event | str]:
        yield Status(step=1, description="d", status="executing")
        for number in range(20):
            yield f"{number}\u2028 "

    response = await handle_streaming_request(ASK, producer=producer, app=app)
    run_id = response.headers["x-run-id"]
    whole = await chunks_of(response)
    for seen in range(len(whole)):
        rest = await handle_resume(Cursor(run_id, seen), app=app)
        assert await chunks_of(rest) == whole[seen:]
    after_the_end = await handle_resume(Cursor(run_id, len(whole)), app=app)
    assert after_the_end.status_code == 204


async def test_one_key_is_one_run_however_many_ask(app: App) -> None:
    """While it runs and after the end: one producer, and all readers get the same bytes."""
    begun = 0

    async def producer(_question: Question) -> AsyncIterator[str]:
        nonlocal begun
        begun += 1
        for number in range(50):
            await asyncio.sleep(0.1)
            yield f"{number} "

    question = Question(query="q", owner="ann", idempotency_key="k")

    async def ask_later(after: float) -> list[bytes]:
        await asyncio.sleep(after)
        response = await handle_streaming_request(question, producer=producer, app=app)
        return await chunks_of(response)

    first, *others = await asyncio.gather(*(ask_later(0.37 * number) for number in range(20)))
    assert begun == 1
    assert others == [first] * 19

    other = await handle_streaming_request(
        replace(question, query="another"), producer=producer, app=app
    )
    assert other.status_code == 409
    stranger = await handle_streaming_request(
        replace(question, owner="bob"), producer=words, app=app
    )
    assert await chunks_of(stranger) != first


async def test_a_failed_run_is_joined_as_it_was(app: App, caplog: pytest.LogCaptureFixture) -> None:
    """The same key gets the same error: it was one run."""

    async def producer(_question: Question) -> AsyncIterator[str]:
        yield "x"
        raise ValueError

    question = Question(query="q", idempotency_key="k")
    first = await handle_streaming_request(question, producer=producer, app=app)
    again = await handle_streaming_request(question, producer=words, app=app)
    assert await chunks_of(first) == await chunks_of(again)
    caplog.clear()


async def test_expired_foreign_and_missing_runs_look_alike_to_a_stranger() -> None:
    """Status, headers and body, whatever is asked of them."""
    clock = [0.0]
    app = App(log=MemoryLog(now=lambda: clock[0], monotonic=lambda: clock[0]))
    question = Question(query="q", owner="ann")
    runs = []
    for _ in range(2):
        response = await handle_streaming_request(question, producer=words, app=app)
        await chunks_of(response)
        runs.append(response.headers["x-run-id"])
        clock[0] += 3000
    answers = set()
    for run_id in (*runs, "0" * 32):
        for owner in ("bob", None):
            for answer in (
                await handle_resume(Cursor(run_id, 1), owner=owner, app=app),
                await handle_state(run_id, owner=owner, app=app),
                await handle_stop(run_id, owner=owner, app=app),
            ):
                answers.add((answer.status_code, bytes(answer.body), tuple(answer.raw_headers)))
    assert len(answers) == 1
    assert answers.pop()[0] == 404
    gone = await handle_state(runs[0], owner="ann", app=app)
    assert gone.status_code == 410


# The end, seen from outside.


async def test_a_stop_from_elsewhere_ends_the_run_for_all_its_readers(app: App) -> None:
    """What was said is kept, and the producer is closed at that moment."""
    closed: list[float] = []

    async def producer(_question: Question) -> AsyncIterator[str]:
        try:
            yield "so far"
            await asyncio.sleep(1e6)
        finally:
            closed.append(asyncio.get_running_loop().time())

    response = await handle_streaming_request(ASK, producer=producer, app=app)
    run_id = response.headers["x-run-id"]
    reading = asyncio.create_task(chunks_of(response))
    await asyncio.sleep(1)
    joined = asyncio.create_task(chunks_of(await handle_resume(Cursor(run_id, 0), app=app)))
    await asyncio.sleep(2)
    for _ in range(2):
        assert (await handle_stop(run_id, app=app)).status_code == 202
    first, second = events_of(await reading), events_of(await joined)
    assert first == second
    assert first[-1]["result"]["finishReason"] == "cancelled"
    assert closed == [3]


async def test_the_deadline_of_the_invocation_is_kept(app: App) -> None:
    """In a stream and in JSON mode, with a provider that is blocked."""

    async def producer(_question: Question) -> AsyncIterator[str]:
        yield "so far"
        await asyncio.sleep(1e6)

    loop = asyncio.get_running_loop()
    asked = Question(query="q", seconds_left=20.0)
    began = loop.time()
    response = await handle_streaming_request(asked, producer=producer, app=app)
    chunks = await chunks_of(response)
    assert loop.time() - began <= 19
    assert events_of(chunks)[-1]["code"] == "deadline"
    assert b": ping\n" in chunks
    began = loop.time()
    answer = await handle_request(asked, producer=producer, app=app)
    assert loop.time() - began <= 19
    assert answer.status_code == 504


@pytest.mark.parametrize("leave_after", [0, 1, 3, 40])
async def test_a_reader_who_leaves_leaves_nothing_running(leave_after: int, app: App) -> None:
    """The generator and what it holds are closed; the run's end is in its log."""
    closed: list[str] = []

    async def provider() -> AsyncIterator[str]:
        try:
            for number in range(1000):
                await asyncio.sleep(1)
                yield f"{number} "
        finally:
            await asyncio.sleep(0.5)
            closed.append("provider")

    async def producer(_question: Question) -> AsyncIterator[str]:
        async with aclosing(provider()) as pieces:  # type: ignore[type-var]  # it is a generator
            async for piece in pieces:
                yield piece

    response: Any = await handle_streaming_request(ASK, producer=producer, app=app)
    for _ in range(leave_after):
        await anext(response.body_iterator)
    await response.body_iterator.aclose()
    await response._entries.aclose()
    assert closed == ["provider"]
    assert app.live.streams == 0
    answer = await handle_state(response.headers["x-run-id"], app=app)
    state = json.loads(bytes(answer.body))
    assert state["state"] == "failed"
    assert state["error"]["code"] == "cancelled"


async def test_a_slow_reader_does_not_grow_memory(app: App) -> None:
    """What is made ahead of the reader is bounded, however fast the producer is."""
    made = 0

    async def producer(_question: Question) -> AsyncIterator[str]:
        nonlocal made
        while True:
            made += 1
            yield "x" * 8000

    response: Any = await handle_streaming_request(ASK, producer=producer, app=app)
    body = response.body_iterator
    await anext(body)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(100):
            await asyncio.sleep(1)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 300_000 + made * 8000  # and the answer itself, once
    assert made < 60
    await body.aclose()


async def test_what_was_not_asked_for_is_not_said_and_ids_have_no_gap(app: App) -> None:
    """The three-event stream of the user's own clients."""

    async def producer(_question: Question) -> AsyncIterator[Event | str]:
        yield Status(step=1, description="d", status="executing")
        yield "a"
        yield Token("b")
        yield Final(Result(answer="ab"))

    asked = {**ASK, "include": []}
    response = await handle_streaming_request(asked, producer=producer, app=app)
    events = EventStreamParser().feed(b"".join(await chunks_of(response)))
    assert [json.loads(event.data)["type"] for event in events] == ["status", "final"]
    assert [event.id.rpartition("-")[2] for event in events] == ["1", "2"]


async def test_observers_hear_everything_and_break_nothing(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    """One that raises is for the log."""
    heard: list[Event] = []

    def raise_error(_event: Event) -> None:
        raise ValueError

    events = await ask(app, words, observers=(raise_error, heard.append))
    assert len(heard) == len(events) == 4
    caplog.clear()


# Many.


async def test_a_thousand_runs_and_more_leave_a_bounded_house(app: App) -> None:
    """Every way to end, over and over: no task, generator, future or place is left."""

    async def fail(_question: Question) -> AsyncIterator[str]:
        yield "x"
        raise ExceptionGroup("g", [ValueError()])

    async def silent(_question: Question) -> AsyncIterator[str]:
        await asyncio.sleep(15)
        yield "x"

    producers = (words, fail, silent)

    async def one(number: int) -> None:
        question = Question(
            query="q", idempotency_key=str(number) if number % 2 else None, seconds_left=10.0
        )
        response: Any = await handle_streaming_request(
            question, producer=producers[number % 3], app=app
        )
        if number % 5 == 0:
            await anext(response.body_iterator)
            await response.body_iterator.aclose()
        else:
            await chunks_of(response)

    logging.disable(logging.CRITICAL)
    try:
        for start in range(0, KEEP_RUNS + 200, 100):
            await asyncio.gather(*(one(number) for number in range(start, start + 100)))
    finally:
        logging.disable(logging.NOTSET)
    log: Any = app.log
    await log.start(owner=None, key=None, fingerprint="f")
    assert len(log._records.running) == 1
    assert len(log._records.ended) <= KEEP_RUNS
    assert len(log._records.keys) <= KEEP_RUNS
    gc.collect()
    futures = [item for item in gc.get_objects() if isinstance(item, asyncio.Future)]
    pending = [item for item in futures if not item.done() and getattr(item, "_callbacks", None)]
    assert len(pending) < 10


async def test_a_hundred_runs_at_once_do_not_mix(app: App) -> None:
    """Each reader gets its own answer, whole."""

    async def producer(question: Question) -> AsyncIterator[str]:
        for number in range(20):
            await asyncio.sleep(0.01 * ((len(question.query) + 3 * number) % 7))
            yield f"{question.query}:{number} "

    async def one(name: str) -> str:
        response = await handle_streaming_request({"query": name}, producer=producer, app=app)
        answer: str = events_of(await chunks_of(response))[-1]["result"]["answer"]
        return answer

    names = [f"q{number}" for number in range(100)]
    answers = await asyncio.gather(*map(one, names))
    assert answers == ["".join(f"{name}:{n} " for n in range(20)) for name in names]
