"""An answer survives its readers, and any process may end it, by one rule."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from services.runs import Entry, RunLog
from services.runs.dynamodb.log import DynamoLog
from services.runs.dynamodb.table import Table
from services.runs.sqlite.log import SQLiteLog
from services.settings import Settings
from services.streaming import (
    App,
    Cursor,
    Question,
    ReaderTerms,
    handle_request,
    handle_resume,
    handle_state,
    handle_stop,
    handle_streaming_request,
)
from services.streaming.http.requests import parse_cursor
from tests.services.runs.tables import SharedClient, moto_client, new_table

pytestmark = pytest.mark.anyio

ASK = {"query": "go"}


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    """An installation whose log is a file."""
    app = _another(tmp_path)
    yield app
    for production in list(app.live.tasks.values()):
        production.abandon()
        await production.wait()
    await app.log.close()


def _another(folder: Path) -> App:
    return App(Settings(log=f"sqlite://{folder}/runs.sqlite", heartbeat=0.2))


async def _state(app: App, run: str) -> dict[str, Any]:
    answer = await handle_state(run, app=app)
    state: dict[str, Any] = json.loads(bytes(answer.body))
    return state


async def _read(response: Any) -> list[dict[str, Any]]:
    text = b"".join([chunk async for chunk in response.body_iterator]).decode()
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


async def test_an_answer_goes_on_without_its_reader(app: App) -> None:
    """A reader that comes back finds the rest, byte for byte."""
    go_on = asyncio.Event()

    async def producer(_question: Question) -> AsyncIterator[str]:
        yield "before "
        await go_on.wait()
        yield "after"

    response: Any = await handle_streaming_request(ASK, producer=producer, app=app)
    first = await anext(response.body_iterator)
    await response.body_iterator.aclose()
    await response._entries.aclose()
    assert app.live.streams == 0
    run = response.headers["x-run-id"]
    production = app.live.tasks[run]
    assert (await _state(app, run))["state"] == "running"
    go_on.set()
    again = await _read(await handle_resume(Cursor(run, 0), app=app))
    assert json.loads(first.decode().split("data: ")[1]) == again[0]
    assert again[-1]["result"]["answer"] == "before after"
    await production.wait()


async def test_a_stop_from_another_process_keeps_what_was_said(app: App, tmp_path: Path) -> None:
    """It writes the end; the producer hears of it in its silence and is closed."""
    closed = asyncio.Event()

    async def producer(_question: Question) -> AsyncIterator[str]:
        try:
            yield "half an answer"
            await asyncio.sleep(1e6)
        finally:
            closed.set()

    response: Any = await handle_streaming_request(ASK, producer=producer, app=app)
    await anext(response.body_iterator)
    run = response.headers["x-run-id"]
    elsewhere = _another(tmp_path)
    for _ in range(2):
        assert (await handle_stop(run, app=elsewhere)).status_code == 202
    await elsewhere.log.close()
    *_, last = await _read(response)
    assert (last["type"], last["result"]["finishReason"]) == ("final", "cancelled")
    assert last["result"]["answer"] == "half an answer"
    await asyncio.wait_for(closed.wait(), 5)


async def test_a_reader_who_finds_the_producer_gone_ends_the_run(app: App) -> None:
    """As interrupted, with what there was; no reader waits for the rest."""
    run, _ = await app.log.start(owner=None, key=None, fingerprint="f", lease=0.01)
    said = Entry(1, "token", b'{"type":"token","text":"half"}')
    await app.log.append(run.id, [said])
    await app.log.doubt(run)
    await app.log.expire(run)
    *_, last = await _read(await handle_resume(Cursor(run.id, 0), app=app))
    assert (last["type"], last["code"], last["retryable"]) == ("error", "interrupted", True)
    assert last["partial"]["answer"] == "half"
    resumed = await handle_resume(Cursor(run.id, 2), app=app)
    assert resumed.status_code == 204


async def test_tokens_that_come_together_are_kept_together(app: App) -> None:
    """A thousand of them cost tens of entries, and joined they are the answer."""

    async def producer(_question: Question) -> AsyncIterator[str]:
        for number in range(1000):
            yield f"{number} "
            await asyncio.sleep(0)

    events = await _read(await handle_streaming_request(ASK, producer=producer, app=app))
    tokens = [event["text"] for event in events if event["type"] == "token"]
    assert len(tokens) < 100
    assert "".join(tokens) == events[-1]["result"]["answer"]


async def test_a_run_can_be_read_by_another_process_while_it_is_written(
    app: App, tmp_path: Path
) -> None:
    """Both readers get the same entries."""
    proceed = asyncio.Event()

    async def producer(_question: Question) -> AsyncIterator[str]:
        yield "one "
        await proceed.wait()
        yield "two"

    response: Any = await handle_streaming_request(ASK, producer=producer, app=app)
    run = response.headers["x-run-id"]
    elsewhere = _another(tmp_path)
    reading = asyncio.create_task(_read(await handle_resume(Cursor(run, 0), app=elsewhere)))
    proceed.set()
    assert await _read(response) == await reading
    await elsewhere.log.close()


async def test_json_mode_answers_from_the_same_run(app: App) -> None:
    """An idempotency key joins it, in either mode."""

    async def producer(_question: Question) -> AsyncIterator[str]:
        yield "said once"

    question = Question(query="go", idempotency_key="k")
    first = await handle_request(question, producer=producer, app=app)
    second = await handle_request(question, producer=producer, app=app)
    assert bytes(first.body) == bytes(second.body)
    assert first.headers["x-run-id"] == second.headers["x-run-id"]


Logs = Callable[[], RunLog]


@pytest.fixture(params=["sqlite", "dynamodb"])
async def logs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Logs]:
    """A store that outlives a process, opened once for each."""
    async with AsyncExitStack() as stack:
        if request.param == "dynamodb":
            client = stack.enter_context(moto_client())
            table = new_table(client)

        def open_app() -> RunLog:
            log: RunLog
            if request.param == "dynamodb":
                log = DynamoLog(Table(table, client=SharedClient(client)))
            else:
                log = SQLiteLog(tmp_path / "runs.sqlite")
            stack.push_async_callback(log.close)
            return log

        yield open_app


async def test_an_answer_goes_from_process_to_process(logs: Logs) -> None:
    """Each has time for a few words; the next begins after them, in another reader's sight."""
    words = [f"{number} " for number in range(12)]
    begun: list[str] = []

    async def producer(question: Question) -> AsyncIterator[str]:
        begun.append(question.so_far)
        said = 0
        first = question.so_far.count(" ")
        for number, word in enumerate(words):
            said += len(word)
            if said > len(question.so_far):
                if number == first + 5:
                    await asyncio.sleep(60)  # until its time is over, however slow the log was
                yield word

    def process() -> App:
        return App(Settings(heartbeat=0.2), log=logs())

    reader = ReaderTerms(resume=True, seconds_left=4.5)
    question = Question(query="go", resume=True, seconds_left=4.5)
    app = process()
    response: Any = await handle_streaming_request(
        question, producer=producer, resumable=True, app=app
    )
    run = response.headers["x-run-id"]
    events = await _read(response)
    while events[-1]["type"] == "paused":
        await app.live.wait_finished(run)
        assert (app.live.streams, app.live.tasks) == (0, {})
        app = process()
        cursor = parse_cursor(events.pop()["cursor"])
        assert cursor == Cursor(run, len(events))
        response = await handle_resume(cursor, reader=reader, producer=producer, app=app)
        events += await _read(response)
    assert events[-1]["result"]["answer"] == "".join(words)
    assert "".join(event.get("text", "") for event in events) == "".join(words)
    assert len(begun) > 2
    # On a slow machine a process may have had no time for a word: the next begins where it did.
    assert sorted(begun, key=len) == begun
    kept = await app.log.read(run, 0)
    assert [json.loads(entry.payload) for entry in kept] == events
