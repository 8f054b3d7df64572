"""Owners list and delete what is theirs: runs, live ones too, and sessions."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest

from services.errors import RiverrunError
from services.runs import RunLogError, SequenceConflictError, UnknownRunError
from services.runs.memory import MemoryLog
from services.streaming import (
    App,
    Question,
    handle_delete,
    handle_delete_session,
    handle_list,
    handle_state,
    handle_streaming_request,
)
from tests.services.streaming.instant import instant
from tests.services.streaming.invocations import Words, ask, events_of

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_left")]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return instant()


def body_of(response: Any) -> Any:
    return json.loads(response.body) if response.body else None


async def begin(app: App, owner: str | None = None, session: str | None = None) -> Any:
    """A run that says a word a second, and the response that reads it."""
    return await handle_streaming_request(
        Question(query="go", owner=owner, session_id=session, resume=True), app=app
    )


async def until_asked(chat: Words) -> None:
    """Let three seconds of the test's clock pass, which waits for all that is ready first."""
    await asyncio.sleep(3.0)
    assert chat.open == 1


async def find_error(log: MemoryLog, run_id: str, owner: str | None) -> str:
    try:
        await log.find(run_id, owner)
    except RiverrunError as error:
        return error.code
    return ""


async def test_a_run_that_ended_is_deleted_once(app: App, log: MemoryLog) -> None:
    """204, then 404 to its owner, as for every other caller from the beginning."""
    run_id = (await ask(app, left=900.0, owner="ann"))[0][0].rpartition("-")[0]
    foreign = await handle_delete(run_id, owner="bob", app=app)
    missing = await handle_delete("0" * 32, owner="bob", app=app)
    assert (foreign.status_code, foreign.body) == (404, missing.body)
    assert (await handle_delete(run_id, owner="ann", app=app)).status_code == 204
    for again in (
        await handle_delete(run_id, owner="ann", app=app),
        await handle_state(run_id, owner="ann", app=app),
    ):
        assert (again.status_code, again.body) == (404, missing.body)
    assert await find_error(log, run_id, "ann") == "not_found"


async def test_a_live_run_is_stopped_and_deleted(app: App, log: MemoryLog, chat: Words) -> None:
    """Its reader sees it end as stopped; its provider is closed before the answer."""
    response = await begin(app, "ann")
    run_id = response.headers["x-run-id"]
    reading = asyncio.create_task(events_of(response))
    await until_asked(chat)
    assert (await handle_delete(run_id, owner="ann", app=app)).status_code == 204
    assert chat.open == 0
    last = (await reading)[-1][1]
    assert (last["type"], last["result"]["finishReason"]) == ("final", "cancelled")
    assert await find_error(log, run_id, "ann") == "not_found"


async def test_a_producer_that_will_not_end_writes_nothing_more(
    app: App, log: MemoryLog, chat: Words
) -> None:
    """The run is deleted all the same, and nothing of it comes back."""
    chat.stubborn = 60.0
    response = await begin(app, "ann")
    run_id = response.headers["x-run-id"]
    reading = asyncio.create_task(events_of(response))
    await until_asked(chat)
    assert (await handle_delete(run_id, owner="ann", app=app)).status_code == 204
    assert await find_error(log, run_id, "ann") == "not_found"
    assert (await reading)[-1][1]["type"] in ("final", "error")
    await app.live.wait_closed(120.0)
    await asyncio.sleep(chat.stubborn)
    assert await find_error(log, run_id, "ann") == "not_found"
    assert await log.list_recent() == []


async def test_a_run_is_deleted_from_another_process(
    app: App, elsewhere: App, log: MemoryLog, chat: Words
) -> None:
    """Its producer finds that out, closes its provider, and its reader's body ends."""
    response = await begin(app, "ann")
    run_id = response.headers["x-run-id"]
    reading = asyncio.create_task(events_of(response))
    await until_asked(chat)
    assert (await handle_delete(run_id, owner="ann", app=elsewhere)).status_code == 204
    last = (await reading)[-1][1]
    assert (last["type"], last["code"]) == ("error", "not_found")
    assert chat.open == 0
    assert await log.list_recent() == []


async def test_a_paused_run_is_deleted(app: App, log: MemoryLog, chat: Words) -> None:
    """It has no producer, and never gets one again."""
    first = await ask(app, left=8.0, owner="ann")
    assert first[-1][1]["type"] == "paused"
    run_id = first[0][0].rpartition("-")[0]
    asked = len(chat.asked)
    assert (await handle_delete(run_id, owner="ann", app=app)).status_code == 204
    assert await find_error(log, run_id, "ann") == "not_found"
    assert len(chat.asked) == asked


async def test_an_owner_lists_its_own(app: App, elsewhere: App, chat: Words) -> None:
    """Newest first, with what they are at; without an owner there is no list."""
    ended = (await ask(app, left=900.0, owner="ann", session_id=""))[-1][1]["result"]
    await ask(app, left=900.0, owner="bob")
    paused = (await ask(app, left=8.0, owner="ann"))[0][0].rpartition("-")[0]
    response = await begin(app, "ann")
    running = response.headers["x-run-id"]
    reading = asyncio.create_task(events_of(response))
    listed = body_of(await handle_list(owner="ann", app=elsewhere))["runs"]
    assert [(one["runId"], one["state"]) for one in listed] == [
        (running, "running"),
        (paused, "paused"),
        (ended["runId"], "completed"),
    ]
    assert listed[2]["query"] == "go"
    assert listed[2]["sessionId"] == ended["sessionId"]
    assert len(body_of(await handle_list(owner="ann", limit=2, app=app))["runs"]) == 2
    assert body_of(await handle_list(owner="carl", app=app)) == {"runs": []}
    refused = await handle_list(owner=None, app=app)
    assert (refused.status_code, body_of(refused)["code"]) == (403, "forbidden")
    chat.pace = 0.0
    await reading


@pytest.mark.parametrize("owner", ["ann", None])
async def test_a_session_is_deleted_with_its_runs(
    app: App, log: MemoryLog, chat: Words, owner: str | None
) -> None:
    """The one that is being written too; of no other session or owner anything."""
    first = (await ask(app, left=900.0, owner=owner, session_id=""))[-1][1]["result"]
    session = first["sessionId"]
    second = (await ask(app, left=900.0, owner=owner, session_id=session))[-1][1]["result"]
    other = (await ask(app, left=900.0, owner=owner, session_id=""))[-1][1]["result"]
    response = await begin(app, owner, session)
    reading = asyncio.create_task(events_of(response))
    await until_asked(chat)
    foreign = await handle_delete_session(session, owner="bob", app=app)
    missing = await handle_delete_session("never-given-out", owner="bob", app=app)
    assert (foreign.status_code, foreign.body) == (404, missing.body)
    assert (await handle_delete_session(session, owner=owner, app=app)).status_code == 204
    await reading
    for run_id in (first["runId"], second["runId"], response.headers["x-run-id"]):
        assert await find_error(log, run_id, owner) == "not_found"
    assert await find_error(log, other["runId"], owner) == ""
    assert await log.read_turns(owner, session, 9) == []
    assert len(await log.read_turns(owner, other["sessionId"], 9)) == 1
    again = await handle_delete_session(session, owner=owner, app=app)
    assert (again.status_code, again.body) == (404, missing.body)


async def test_a_session_that_could_be_guessed_is_no_strangers(app: App, log: MemoryLog) -> None:
    """Without owners its name is its key, and `alice` is no key."""
    await log.add_turn(None, "alice", "q", "a")
    assert (await handle_delete_session("alice", app=app)).status_code == 404
    assert await log.read_turns(None, "alice", 9) == [("q", "a")]


async def test_a_log_that_is_busy_leaves_a_run_to_be_deleted_again(
    app: App, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503, retryable; a session goes on with what is left."""
    session = (await ask(app, left=900.0, owner="ann", session_id=""))[-1][1]["result"]["sessionId"]
    await ask(app, left=900.0, owner="ann", session_id=session)
    delete, calls = log.delete, []

    async def fail_once(run_id: str, owner: str | None) -> bool:
        calls.append(run_id)
        if len(calls) == 2:
            raise RunLogError("The run log is busy.")
        return await delete(run_id, owner)

    monkeypatch.setattr(log, "delete", fail_once)
    busy = await handle_delete_session(session, owner="ann", app=app)
    assert (busy.status_code, body_of(busy)["retryable"]) == (503, True)
    assert len(await log.list_session("ann", session)) == 1
    assert (await handle_delete_session(session, owner="ann", app=app)).status_code == 204
    assert await log.list_session("ann", session) == []


async def test_a_deleted_run_is_no_failure_of_its_producer(
    app: App, elsewhere: App, caplog: pytest.LogCaptureFixture
) -> None:
    """No line of the log complains, with or without a reader."""
    response = await begin(app, "ann")
    run_id = response.headers["x-run-id"]
    await response.body_iterator.aclose()
    with suppress(UnknownRunError, SequenceConflictError):
        await handle_delete(run_id, owner="ann", app=elsewhere)
    await app.live.wait_closed(60.0)
    assert [line for line in caplog.records if line.levelname == "ERROR"] == []
