"""Every reader gets its last event in time; and what becomes of a run without readers."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.errors import SetupError
from services.runs import Entry, RunLogError
from services.runs.memory import MemoryLog
from services.streaming import (
    App,
    Question,
    handle_request,
    handle_streaming_request,
    shut_down,
)
from services.streaming.deadlines import BODY_MARGIN
from services.streaming.events import Paused
from services.streaming.question import ReaderTerms
from services.streaming.readers.session import ReaderSession
from services.streaming.run.errors import BodyOverError, PausedError
from tests.services.streaming.instant import instant
from tests.services.streaming.invocations import (
    WHOLE,
    Documents,
    Words,
    ask,
    events_of,
    kinds,
    make_app,
    place,
    resume,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_left")]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Time that is waited for passes at once."""
    return instant()


async def test_a_memory_that_ends_with_the_process_pauses_nothing(chat: Words) -> None:
    """Its run ends in the log, as a reader that comes back could not find it."""
    app = App(chat=chat, context=Documents())
    events = await ask(app)
    assert events[-1][0].endswith(f"-{len(events)}")
    assert (events[-1][1]["code"], "cursor" in events[-1][1]) == ("deadline", False)
    assert await resume(app, events[-1][0][:32], len(events)) == []


@pytest.mark.parametrize("resuming", [True, False])
async def test_a_provider_that_will_not_end_delays_no_reader(
    resuming: bool, app: App, chat: Words
) -> None:
    """The last word is out more than a second before the platform ends us."""
    chat.stubborn = 30.0
    loop = asyncio.get_running_loop()
    began = loop.time()
    events = await ask(app, resume=resuming, left=10.0)
    assert loop.time() - began <= 10.0 - 1.0
    assert events[-1][1]["type"] == ("paused" if resuming else "error")
    await asyncio.sleep(60)


async def test_a_log_that_hangs_delays_no_reader_either(
    app: App, chat: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not acknowledged was not shown."""
    hangs = asyncio.Event()
    real = MemoryLog.append

    async def append(self: MemoryLog, run_id: str, entries: Any) -> None:
        if b'"1 "' in entries[0].payload:
            await hangs.wait()
        await real(self, run_id, entries)

    monkeypatch.setattr(MemoryLog, "append", append)
    loop = asyncio.get_running_loop()
    began = loop.time()
    events = await ask(app, left=10.0)
    assert loop.time() - began <= 10.0 - 1.0
    assert (events[-1][1]["type"], events[-2][1].get("text")) == ("paused", "0 ")
    hangs.set()
    await app.live.wait_finished(place(events)[0])


async def test_a_log_that_is_slow_to_read_delays_no_last_event(
    app: App, chat: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who read all that was written up to the pause is told it from memory."""
    chat.stubborn = 30.0

    async def find(self: MemoryLog, run_id: str, owner: str) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(MemoryLog, "find", find)
    events = await ask(app, resume=False, left=10.0)
    error = events[-1][1]
    said = "".join(event.get("text", "") for _, event in events)
    assert (error["code"], error["partial"]["answer"]) == ("deadline", said)
    assert said
    assert error["cursor"] == events[-2][0]
    await asyncio.sleep(60)


@pytest.mark.parametrize("comes_back", [True, False])
async def test_a_log_that_stays_busy_pauses_the_answer(
    app: App, monkeypatch: pytest.MonkeyPatch, comes_back: bool
) -> None:
    """Where it goes on is told: by itself for who comes back, by the cursor for any other."""
    monkeypatch.setattr("services.runs.retry.PATIENCE_SECONDS", 0.0)
    real = MemoryLog.append

    async def append(self: MemoryLog, run_id: str, entries: Any) -> None:
        if b'"1 "' in entries[0].payload:
            raise RunLogError("The run log is busy.", retry_after_ms=500)
        await real(self, run_id, entries)

    with monkeypatch.context() as patched:
        patched.setattr(MemoryLog, "append", append)
        events = await ask(app, resume=comes_back, left=900.0)
    (id_, last), cursor = events[-1], events[-2][0]
    if comes_back:
        assert last == {
            "type": "paused", "reason": "interrupted", "cursor": cursor, "resumeAfterMs": 500
        }  # fmt: skip
    else:
        assert (last["code"], last["retryable"], last["cursor"]) == ("overloaded", True, cursor)
        assert cursor.startswith(last["runId"])
    assert id_ == ""
    run, seq = place(events)
    rest = await resume(app, run, seq, left=900.0)
    assert rest[-1][1]["result"]["answer"] == WHOLE


async def test_a_log_that_breaks_names_the_run_and_contradicts_itself_in_nothing(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be tried again is not to be tried again."""
    real = MemoryLog.append

    async def append(self: MemoryLog, run_id: str, entries: Any) -> None:
        if b'"1 "' in entries[0].payload:
            raise SetupError("/a/path cannot be written.")
        await real(self, run_id, entries)

    monkeypatch.setattr(MemoryLog, "append", append)
    error = (await ask(app, left=900.0))[-1][1]
    assert error == {
        "type": "error",
        "error": "The answer could not be kept.",
        "code": "internal",
        "retryable": False,
        "runId": error["runId"],
        "hint": "Its log says why.",
    }


async def test_the_front_cuts_a_body_and_not_the_run(app: App, chat: Words) -> None:
    """The next request joins it where it is."""
    first = await ask(app, left=900.0, response_seconds_left=6.0)
    assert first[-1][1]["reason"] == "front"
    rest = await resume(app, *place(first), left=900.0)
    assert rest[-1][1]["result"]["answer"] == WHOLE
    assert len(chat.asked) == 1


@pytest.mark.parametrize("policy", ["finish", "pause", "stop"])
async def test_what_becomes_of_a_run_without_readers(
    policy: str, log: MemoryLog, chat: Words
) -> None:
    """It is finished, paused after a while, or stopped after a while."""
    app = make_app(log, chat, on_abandoned=policy, abandoned_after=3.0)
    asked = Question(query="go", resume=True)
    response: Any = await handle_streaming_request(asked, app=app)
    run = response.headers["x-run-id"]
    await anext(response.body_iterator)
    await response.body_iterator.aclose()
    await asyncio.sleep(2.5)
    assert chat.open == 1
    await asyncio.sleep(1.5)
    assert chat.open == (1 if policy == "finish" else 0)
    await asyncio.sleep(60)
    last = (await kinds(log, run))[-1]
    assert last == {"finish": "final", "pause": "token", "stop": "error"}[policy]
    if policy == "pause":
        whole = await resume(app, run, 0, left=900.0)
        assert whole[-1][1]["result"]["answer"] == WHOLE


async def test_a_reader_who_came_back_keeps_the_run(log: MemoryLog, chat: Words) -> None:
    """The time without readers is counted anew."""
    app = make_app(log, chat, on_abandoned="pause", abandoned_after=3.0)
    response: Any = await handle_streaming_request(Question(query="go"), app=app)
    run = response.headers["x-run-id"]
    await response.body_iterator.aclose()
    await response._entries.aclose()
    await asyncio.sleep(1)
    whole = await resume(app, run, 0, left=900.0)
    assert whole[-1][1]["result"]["answer"] == WHOLE
    assert len(chat.asked) == 1


async def test_a_reader_that_takes_nothing_holds_up_no_run(
    log: MemoryLog, chat: Words, app: App
) -> None:
    """The run goes on to its end, and the reader finds all of it."""
    chat.words = ["x" * 20_000] * 9
    response: Any = await handle_streaming_request(Question(query="go"), app=app)
    run = response.headers["x-run-id"]
    await asyncio.sleep(11)
    assert app.live.find_unpaused_task(run) is None
    assert (await kinds(log, run))[-1] == "final"
    assert (await events_of(response))[-1][1]["type"] == "final"


async def test_the_front_of_a_run_that_cannot_be_resumed_is_no_end_either(
    app: App,
) -> None:
    """Its producer still writes it, so a reader that comes back finds it."""

    async def producer(_question: Question) -> AsyncIterator[str]:
        await asyncio.sleep(30)
        yield "said"

    asked = Question(query="go", resume=True, response_seconds_left=6.0)
    response = await handle_streaming_request(asked, producer=producer, app=app)
    first = await events_of(response)
    assert [event["type"] for _, event in first] == ["paused"]
    assert first[0][1]["resumeAfterMs"] == 1000
    run = response.headers["x-run-id"]
    rest = await resume(app, run, 0, left=900.0)
    assert rest[-1][1]["result"]["answer"] == "said"


async def test_a_reader_without_resume_that_heard_nothing_is_asked_to_wait(app: App) -> None:
    """Else those who come back at once keep a store busy that is too slow for their bodies."""
    go_on = asyncio.Event()

    async def producer(_question: Question) -> AsyncIterator[str]:
        await go_on.wait()
        yield "said"
        await asyncio.sleep(30)

    asked = Question(query="go", response_seconds_left=6.0)
    response = await handle_streaming_request(asked, producer=producer, app=app)
    ((_, error),) = await events_of(response)
    assert (error["code"], error["retryAfterMs"]) == ("deadline", 1000)
    go_on.set()
    run = response.headers["x-run-id"]
    *heard, (_, error) = await resume(app, run, 0, left=6.0, resume=False)
    assert [event["text"] for _, event in heard] == ["said"]
    assert (error["code"], error.get("retryAfterMs")) == ("deadline", None)
    await app.live.wait_finished(run)


async def test_a_json_answer_is_out_before_what_stands_in_front_cuts_it(app: App) -> None:
    """Its run goes on, and is not waited for: 504 with a cursor is ours, not the platform's."""

    async def producer(_question: Question) -> AsyncIterator[str]:
        yield "so far"
        await asyncio.sleep(60)

    began = asyncio.get_running_loop().time()
    asked = Question(query="go", response_seconds_left=6.0)
    answer = await handle_request(asked, producer=producer, app=app)
    assert asyncio.get_running_loop().time() - began < 6.0
    said = json.loads(bytes(answer.body))
    assert (answer.status_code, said["code"]) == (504, "deadline")
    assert said["cursor"].startswith(answer.headers["x-run-id"])
    await app.live.wait_finished(answer.headers["x-run-id"])


async def waits() -> AsyncIterator[Entry | None]:
    """Entries that never come."""
    await asyncio.sleep(1e6)
    yield None


async def test_a_body_that_is_ended_tells_why() -> None:
    """While they wait and before they wait; the first word counts."""
    seat = ReaderSession(ReaderTerms(seconds_left=10.0))
    with pytest.raises(BodyOverError) as over:
        await seat.next(waits())
    assert over.value.reason == "deadline"
    assert asyncio.get_running_loop().time() == pytest.approx(10.0 - BODY_MARGIN)
    seat.end_body(PausedError("shutdown"))
    with pytest.raises(BodyOverError) as again:
        await seat.next(waits())
    assert again.value is over.value


async def test_a_reader_that_is_cancelled_is_cancelled_though_its_body_is_ended_too() -> None:
    """At the same moment; a host that ends a request means it."""
    seat = ReaderSession(ReaderTerms())
    reading = asyncio.create_task(seat.next(waits()))
    await asyncio.sleep(1)
    reading.cancel()
    seat.end_body(PausedError("shutdown"))
    with pytest.raises(asyncio.CancelledError):
        await reading
    other = ReaderSession(ReaderTerms())
    reading = asyncio.create_task(other.next(waits()))
    await asyncio.sleep(1)
    other.end_body(PausedError("shutdown"))
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_what_there_was_is_what_that_reader_has_seen(app: App) -> None:
    """Or a client that shows it and reads on from the cursor would show some of it twice."""
    asked = Question(query="go", response_seconds_left=8.0)
    response: Any = await handle_streaming_request(asked, app=app)
    run = response.headers["x-run-id"]
    for _ in range(7):
        await anext(response.body_iterator)
    await asyncio.sleep(60)
    ((id_, error),) = await events_of(response)
    assert (id_, error["cursor"]) == ("", f"{run}-7")
    entries = await app.log.read(run, 0, 7)
    said = [json.loads(entry.payload).get("text", "") for entry in entries]
    assert error["partial"]["answer"] == "".join(said) != WHOLE
    rest = await resume(app, run, 7, left=900.0)
    assert rest[-1][1]["result"]["answer"] == WHOLE


async def test_a_reader_who_was_sent_off_has_a_moment_to_come_back(
    log: MemoryLog, chat: Words
) -> None:
    """Also where a run without readers is paused at once: the reader is on its way."""
    app = make_app(log, chat, on_abandoned="pause")
    first = await ask(app, left=900.0, response_seconds_left=6.0)
    await asyncio.sleep(5)
    assert chat.open == 1
    rest = await resume(app, *place(first), left=900.0)
    assert rest[-1][1]["result"]["answer"] == WHOLE
    assert len(chat.asked) == 1


async def test_a_reader_that_takes_nothing_delays_no_pause(app: App, chat: Words) -> None:
    """The run is free within 0.3 s, and the reader finds the rest in the log."""
    chat.words = ["x" * 20_000] * 400
    asked = Question(query="go", resume=True)
    response: Any = await handle_streaming_request(asked, app=app)
    run = response.headers["x-run-id"]
    for _ in range(7):  # the statuses and the sources, then no more
        await anext(response.body_iterator)
    await asyncio.sleep(60)
    production = app.live.find_unpaused_task(run)
    assert production is not None
    shut_down(app)
    await asyncio.sleep(0.3)
    assert production.task.done()
    assert app.live.find_unpaused_task(run) is None
    assert (await events_of(response))[-1][1]["reason"] == "shutdown"


async def test_a_producer_cannot_say_that_it_is_paused(app: App) -> None:
    """That is no event of a run."""

    async def producer(_question: Question) -> AsyncIterator[Any]:
        yield "a"
        yield Paused(reason="deadline", cursor="x-1")

    response = await handle_streaming_request(Question(query="go"), producer=producer, app=app)
    assert [event["type"] for _, event in await events_of(response)] == ["token", "error"]
