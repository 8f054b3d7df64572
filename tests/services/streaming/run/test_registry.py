"""A process that is given notice keeps none waiting: neither a reader nor the next process."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from services.runs import RunLog, RunLogError, SequenceConflictError, retry
from services.runs.memory import MemoryLog
from services.streaming import (
    App,
    Cursor,
    Question,
    ReaderTerms,
    handle_request,
    handle_resume,
    handle_state,
    handle_streaming_request,
    shut_down,
    wait_closed,
)
from services.streaming.run.checkpoint import is_claimable
from services.streaming.run.errors import PausedError
from tests.services.streaming.instant import instant
from tests.services.streaming.invocations import (
    WHOLE,
    Documents,
    Told,
    Words,
    ask,
    events_of,
    place,
    resume,
    to_the_end,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_left")]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Time that is waited for passes at once."""
    return instant()


def once(log: RunLog, name: str, then: Callable[[], Awaitable[None] | None]) -> None:
    """Let `then` happen when the log has done `name`, before its caller gets the result; once."""
    real = getattr(log, name)

    async def done(*asked: Any, **more: Any) -> Any:
        setattr(log, name, real)
        answer = await real(*asked, **more)
        if (pending := then()) is not None:
            await pending
        return answer

    setattr(log, name, done)


async def test_a_process_that_is_ended_lets_its_runs_go(
    app: App, elsewhere: App, chat: Words
) -> None:
    """Within 0.3 s, though a provider takes its time; readers are told; no other is admitted."""
    chat.stubborn = 30.0
    reading = asyncio.create_task(ask(app, left=900.0))
    await asyncio.sleep(3.5)
    (run,) = app.live.tasks
    second = asyncio.create_task(resume(app, run, 0, left=900.0))
    await asyncio.sleep(1.3)
    began = asyncio.get_running_loop().time()
    shut_down(app)
    first, joined = await reading, await second
    assert asyncio.get_running_loop().time() - began <= 0.3
    assert first[-1][1]["reason"] == joined[-1][1]["reason"] == "shutdown"
    assert first[:-1] == joined[:-1]
    refused = await handle_streaming_request({"query": "go"}, app=app)
    assert refused.status_code == 503
    chat.stubborn = 0.0
    whole = await to_the_end(elsewhere, first, left=900.0)
    assert whole[-1][1]["result"]["answer"] == WHOLE
    await asyncio.sleep(60)


async def pause_run(app: App) -> Told:
    """An answer that was let go in the middle: what a reader has of it."""
    return await ask(app, left=8.0)


async def begin(app: App, told_so_far: Told | None) -> Any:
    """A new run, or an old one that is gone on with: its response."""
    if told_so_far is None:
        question = Question(query="go", resume=True, idempotency_key="k")
        return await handle_streaming_request(question, app=app)
    reader = ReaderTerms(resume=True)
    return await handle_resume(Cursor(*place(told_so_far)), reader=reader, app=app)


MOMENTS = [("start", False), ("claim", True), ("append", True), ("read", True)]


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment[0])
async def test_what_is_about_to_begin_is_let_go_before_it_is_paid_for(
    moment: tuple[str, bool], app: App, elsewhere: App, chat: Words
) -> None:
    """Notice comes while a run is started or taken over: its reader is told, its lease is over."""
    name, resumable = moment
    first = await pause_run(elsewhere) if resumable else None
    asked = len(chat.asked)
    once(app.log, name, lambda: shut_down(app))
    response = await begin(app, first)
    last = (await events_of(response))[-1][1]
    assert (last["type"], last["reason"]) == ("paused", "shutdown")
    assert len(chat.asked) == asked
    assert is_claimable(await app.log.find(response.headers["x-run-id"], None))
    rest = await events_of(await begin(elsewhere, first))
    assert rest[-1][1]["result"]["answer"] == WHOLE


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment[0])
async def test_who_is_cut_short_at_the_beginning_leaves_no_lease_behind(
    moment: tuple[str, bool], app: App, elsewhere: App, chat: Words
) -> None:
    """The host loses patience between the lease and the producer."""
    name, resumable = moment
    first = await pause_run(elsewhere) if resumable else None
    asked = len(chat.asked)

    async def lose_patience() -> None:
        shut_down(app)
        beginning.cancel()
        await asyncio.sleep(0.05)

    once(app.log, name, lose_patience)
    beginning = asyncio.create_task(begin(app, first))
    with pytest.raises(asyncio.CancelledError):
        await beginning
    await wait_closed(1.0, app)
    assert len(chat.asked) == asked
    (summary,) = await app.log.list_recent()
    assert is_claimable(summary.run)
    rest = await events_of(await begin(elsewhere, first))
    assert rest[-1][1]["result"]["answer"] == WHOLE


async def test_a_run_that_could_not_be_taken_over_is_free_again(app: App, log: MemoryLog) -> None:
    """The log fails after the claim: no process has to wait for the lease of one that gave up."""
    first = await pause_run(app)

    def fail() -> None:
        raise RunLogError("The log is busy.")

    once(log, "claim", lambda: once(log, "read", fail))
    assert (await begin(app, first)).status_code == 503
    assert is_claimable(await log.find(place(first)[0], None))
    whole = await to_the_end(app, first, left=900.0)
    assert whole[-1][1]["result"]["answer"] == WHOLE
    assert whole[-1][1]["result"]["sources"]


async def test_a_log_that_hangs_keeps_no_reader_from_hearing_of_it(
    app: App, log: MemoryLog
) -> None:
    """Also where the last words of a run cannot be written."""
    hangs = asyncio.Event()
    reading = asyncio.create_task(ask(app, left=900.0))
    await asyncio.sleep(5)
    once(log, "append", lambda: _wait(hangs))
    await asyncio.sleep(1)
    loop = asyncio.get_running_loop()
    began = loop.time()
    shut_down(app)
    events = await reading
    assert loop.time() - began <= 0.3
    assert events[-1][1]["reason"] == "shutdown"
    hangs.set()
    await wait_closed(1.0, app)


async def test_who_is_let_in_at_the_last_moment_is_told_too(
    app: App, elsewhere: App, log: MemoryLog
) -> None:
    """They came to read what another process writes."""
    reading = asyncio.create_task(ask(elsewhere, left=900.0))
    await asyncio.sleep(5)
    (run,) = elsewhere.live.tasks
    once(log, "read_last", lambda: shut_down(app))
    response = await handle_resume(Cursor(run, 1), reader=ReaderTerms(resume=True), app=app)
    refused = response.status_code
    assert refused == 503
    app.live.is_closing = False
    once(log, "find", lambda: once(log, "find", lambda: shut_down(app)))
    response = await handle_resume(Cursor(run, 1), reader=ReaderTerms(resume=True), app=app)
    assert (await events_of(response))[-1][1]["reason"] == "shutdown"
    assert (await reading)[-1][1]["result"]["answer"] == WHOLE


async def test_who_does_not_come_back_gets_what_there_was(app: App, elsewhere: App) -> None:
    """An error that may be retried, in no log, with a cursor; in JSON too, with 504."""
    streaming = asyncio.create_task(ask(app, resume=False, left=900.0))
    whole = asyncio.create_task(handle_request(Question(query="go"), app=app))
    await asyncio.sleep(5.5)
    shut_down(app)
    events, answer = await streaming, await whole
    id_, error = events[-1]
    assert (id_, error["code"], error["retryable"]) == ("", "deadline", True)
    said = "".join(event.get("text", "") for _, event in events)
    assert error["partial"]["answer"] == said != ""
    assert answer.status_code == 504
    rest = await resume(elsewhere, *place(events), left=900.0)
    assert said + "".join(event.get("text", "") for _, event in rest) == WHOLE


async def test_a_run_that_ends_with_its_process_says_that_it_was_interrupted(chat: Words) -> None:
    """Half an answer is no whole one: an error that may be retried, with what there was."""
    app = App(chat=chat, context=Documents())
    reading = asyncio.create_task(ask(app, left=900.0))
    await asyncio.sleep(5.5)
    shut_down(app)
    id_, error = (await reading)[-1]
    assert id_
    assert (error["code"], error["retryable"]) == ("interrupted", True)
    assert error["partial"]["answer"]


async def test_a_run_without_readers_is_paused_before_the_process_is_gone(
    app: App, elsewhere: App, log: MemoryLog
) -> None:
    """The host waits for it before it ends the loop."""
    response: Any = await begin(app, None)
    await response.body_iterator.aclose()
    await response._entries.aclose()
    assert app.live.tasks
    shut_down(app)
    await wait_closed(1.0, app)
    assert not app.live.tasks
    assert is_claimable(await log.find(response.headers["x-run-id"], None))
    assert (await events_of(await begin(elsewhere, None)))[-1][1]["result"]["answer"] == WHOLE


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def test_a_reader_let_in_at_the_last_moment_does_not_depend_on_the_task_here(
    app: App, log: MemoryLog
) -> None:
    """A task whose run another process has ends without a word to its readers."""
    reading = asyncio.create_task(ask(app, left=900.0))
    await asyncio.sleep(5)
    (run,) = app.live.tasks

    async def hang(*_asked: Any, **_more: Any) -> None:
        await asyncio.sleep(60)
        raise SequenceConflictError

    for name in ("append", "release", "renew"):
        setattr(log, name, hang)
    shut_down(app)
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    class Latecomer:
        def end_body(self, reason: PausedError) -> None:
            told.set_result(reason.reason)

    reader = Latecomer()
    app.live.add_reader(run, reader)
    async with asyncio.timeout(0.3):
        assert await told == "shutdown"
    app.live.remove_reader(run, reader)
    await reading
    await wait_closed(100.0, app)


async def read_state(run: str, app: App) -> str:
    """What is said of a run to who does not read it."""
    response = await handle_state(run, app=app)
    return str(json.loads(bytes(response.body))["state"])


@pytest.mark.parametrize("resumable", [True, False])
async def test_a_run_is_let_go_when_its_log_works_again(
    resumable: bool, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a reader that looks: what lists runs waits for no sign of life."""

    async def produce(_question: Question) -> AsyncIterator[str]:
        yield "a"
        await asyncio.sleep(1)
        is_busy.set()
        yield "b"

    is_busy = asyncio.Event()
    monkeypatch.setattr(retry, "PATIENCE_SECONDS", 0.0)
    for name in ("append", "release"):
        real = getattr(MemoryLog, name)

        async def write(self: MemoryLog, *asked: Any, real: Any = real, **more: Any) -> None:
            if is_busy.is_set():
                raise RunLogError("The run log is busy.", retry_after_ms=500)
            await real(self, *asked, **more)

        monkeypatch.setattr(MemoryLog, name, write)
    question = Question(query="go", resume=True)
    response = await handle_streaming_request(
        question, producer=produce, resumable=resumable, app=app
    )
    events = await events_of(response)
    assert events[-1][1]["type"] == ("paused" if resumable else "error")
    run, _ = place(events)
    assert (await read_state(run, app)) == "running"
    await asyncio.sleep(60)
    is_busy.clear()
    await asyncio.sleep(6)
    assert (await read_state(run, app)) == ("paused" if resumable else "failed")


async def test_what_could_not_be_let_go_does_not_hold_the_end_up(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next process waits for a sign of life then, as after a crash."""
    tries: list[float] = []

    async def settle() -> None:
        tries.append(asyncio.get_running_loop().time())
        raise RunLogError("busy")

    app.live.settle_later(settle)
    await asyncio.sleep(30)
    assert tries
    shut_down(app)
    await wait_closed(1.0, app)
    tried = len(tries)
    await asyncio.sleep(30)
    assert len(tries) == tried
