"""Reading and stopping runs that exist: nothing here starts a model."""

import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import anyio
import pytest

from services.runs.log import MEMORY_RETENTION_SECONDS
from services.runs.memory import MemoryLog
from services.settings import Settings
from services.streaming.app import App
from services.streaming.events import Final, Reset, Result, Source, Sources, Status, Token
from services.streaming.handlers import (
    handle_resume,
    handle_state,
    handle_stop,
    handle_streaming_request,
)
from services.streaming.http.requests import Cursor
from services.streaming.http.responses import StreamingAnswer
from services.streaming.question import Question
from services.streaming.run.stages import Output
from tests.event_stream import EventStreamParser
from tests.functions.asgi import Answer, Exchange, call, exchange

FOUND = Source(id="a", title="A", uri="a.md", score=0.5, snippet="…")
Making = Callable[[Question], AsyncGenerator[Output, None]]


@pytest.fixture
def app() -> App:
    return App(Settings())


async def short(_question: Question) -> AsyncGenerator[Output, None]:
    yield Status(step=1, description="Thinking", status="executing")
    yield Sources((FOUND,))
    for word in ("one ", "two ", "three"):
        yield Token(word)


async def ask(producer: Making, app: App, owner: str | None = None) -> StreamingAnswer:
    response = await handle_streaming_request(
        Question(query="x", streaming=True, owner=owner), producer=producer, app=app
    )
    assert isinstance(response, StreamingAnswer)
    return response


async def resume(run: str, seq: int, app: App, **also: Any) -> Answer:
    return await call(await handle_resume(Cursor(run, seq), app=app, **also))


async def finish_run(app: App, owner: str | None = None) -> tuple[str, Answer]:
    answer = await call(await ask(short, app, owner))
    return answer.header("X-Run-Id") or "", answer


@pytest.mark.anyio
async def test_a_resumed_reader_gets_exactly_the_rest(app: App) -> None:
    """From every place, byte for byte what the first reader got."""
    run, whole = await finish_run(app)
    for seq in range(len(whole.chunks)):
        rest = await resume(run, seq, app)
        assert rest.status == 200
        assert rest.header("X-Run-Id") == run
        assert rest.chunks == whole.chunks[seq:]
    assert app.live.streams == 0


@pytest.mark.anyio
async def test_at_the_end_there_is_nothing_left(app: App) -> None:
    """204, which tells an EventSource to stop asking."""
    run, whole = await finish_run(app)
    answer = await resume(run, len(whole.chunks), app)
    assert (answer.status, answer.body) == (204, b"")


@pytest.mark.anyio
async def test_a_cursor_ahead_of_its_run_is_refused(app: App) -> None:
    """No reader can have seen what was not said."""
    run, whole = await finish_run(app)
    answer = await resume(run, len(whole.chunks) + 1, app)
    assert (answer.status, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.anyio
async def test_another_dialect_tells_the_same_run(app: App) -> None:
    """One JSON object a line, ids included."""
    run, whole = await finish_run(app)
    lines = await resume(run, 0, app, dialect="ndjson")
    assert lines.header("Content-Type") == "application/x-ndjson"
    assert all(chunk.count(b"\n") == 1 and chunk.endswith(b"\n") for chunk in lines.chunks)
    ids = [event.id for event in EventStreamParser().feed(whole.body)]
    told = [json.loads(chunk) for chunk in lines.chunks]
    assert [line.pop("id") for line in told] == ids
    assert told == whole.events()


@pytest.mark.anyio
async def test_a_foreign_run_looks_exactly_like_a_missing_one(app: App) -> None:
    """Reading, looking and stopping: the same bytes and headers."""
    theirs, _ = await finish_run(app, owner="a")
    missing = "0" * 32
    for seq in (0, 1, 999):
        foreign, none = [await resume(run, seq, app, owner="b") for run in (theirs, missing)]
        assert foreign == none
        assert (foreign.status, foreign.json()["code"]) == (404, "not_found")
    for handle in (handle_state, handle_stop):
        foreign, none, anonymous = [
            await call(await handle(run, owner=owner, app=app))
            for run, owner in ((theirs, "b"), (missing, "b"), (theirs, None))
        ]
        assert foreign == none == anonymous
        assert foreign.status == 404


@pytest.mark.anyio
async def test_a_run_that_was_kept_long_enough_is_410_to_its_owner() -> None:
    """And still 404 to all others."""
    clock = [1_000_000.0]
    app = App(log=MemoryLog(now=lambda: clock[0], monotonic=lambda: clock[0]))
    run, _ = await finish_run(app, owner="a")
    clock[0] += MEMORY_RETENTION_SECONDS + 1
    expired = await resume(run, 1, app, owner="a")
    assert (expired.status, expired.json()["code"]) == (410, "expired")
    assert (await call(await handle_state(run, owner="a", app=app))).status == 410
    assert (await call(await handle_stop(run, owner="a", app=app))).status == 410
    assert (await resume(run, 1, app, owner="b")).status == 404


@pytest.mark.anyio
async def test_a_finished_run_shows_its_result(app: App) -> None:
    """And where a reader would go on, which is its end."""
    run, whole = await finish_run(app)
    answer = await call(await handle_state(run, app=app))
    state = answer.json()
    assert answer.status == 200
    assert answer.header("Cache-Control") == "no-store"
    assert (state["runId"], state["state"], state["query"]) == (run, "completed", "x")
    assert state["result"] == whole.events()[-1]["result"]
    assert state["lastEventId"] == f"{run}-{len(whole.chunks)}"
    assert "partial" not in state


@pytest.mark.anyio
async def test_a_failed_run_shows_its_error(app: App) -> None:
    """The same object that ended the stream."""

    async def fails(_question: Question) -> AsyncGenerator[Output, None]:
        yield "half"
        raise RuntimeError

    whole = await call(await ask(fails, app))
    run = whole.header("X-Run-Id") or ""
    state = (await call(await handle_state(run, app=app))).json()
    assert state["state"] == "failed"
    assert state["error"] == whole.events()[-1]
    assert state["error"]["partial"]["answer"] == "half"


class Gate:
    """A producer that says `before`, waits, and then says `after`."""

    def __init__(self, before: tuple[Output, ...], after: tuple[Output, ...] = ()) -> None:
        self._before = before
        self._after = after
        self.open = anyio.Event()
        self.closed = False

    async def __call__(self, _question: Question) -> AsyncGenerator[Output, None]:
        try:
            for event in self._before:
                yield event
            await self.open.wait()
            for event in self._after:
                yield event
        finally:
            self.closed = True


async def frames(talk: Exchange, count: int) -> list[bytes]:
    return [await talk.frame() for _ in range(count)]


@pytest.mark.anyio
async def test_a_running_run_shows_what_there_is_so_far(app: App) -> None:
    """Without what was taken back."""
    gate = Gate((Sources((FOUND,)), Token("wrong"), Reset("retry"), Token("so "), Token("far")))
    response = await ask(gate, app)
    run = response.headers["X-Run-Id"]
    async with exchange(response, "/api/chat") as talk:
        await frames(talk, 5)
        state = (await call(await handle_state(run, app=app))).json()
    assert state["state"] == "running"
    assert state["partial"]["answer"] == "so far"
    assert [source["id"] for source in state["partial"]["sources"]] == ["a"]
    assert state["lastEventId"] == f"{run}-5"


@pytest.mark.anyio
async def test_a_second_reader_joins_and_both_see_the_same(app: App) -> None:
    """From the beginning and from the middle, while the run is on."""
    gate = Gate(("one ", "two "), ("three",))
    response = await ask(gate, app)
    run = response.headers["X-Run-Id"]
    async with exchange(response, "/api/chat") as first:
        await frames(first, 2)
        joined = await handle_resume(Cursor(run, 1), app=app)
        async with exchange(joined, "/api/chat") as second:
            assert await second.frame() == first.answer.chunks[1]
            gate.open.set()
            rest = await frames(second, 2)
            assert await frames(first, 2) == rest
    assert app.live.streams == 0


@pytest.mark.anyio
async def test_a_joined_reader_that_leaves_disturbs_no_other(app: App) -> None:
    """Disconnect is not stop."""
    gate = Gate(("one ",), ("two",))
    response = await ask(gate, app)
    run = response.headers["X-Run-Id"]
    async with exchange(response, "/api/chat") as first:
        await first.frame()
        async with exchange(await handle_resume(Cursor(run, 0), app=app), "/api/chat") as second:
            await second.frame()
        assert app.live.streams == 1
        gate.open.set()
        await frames(first, 2)
    assert first.answer.events()[-1]["result"]["answer"] == "one two"


@pytest.mark.anyio
async def test_a_stopped_run_keeps_what_it_said(app: App) -> None:
    """202 however often; the end is a result that says it was cancelled."""
    gate = Gate(("one ", "two"))
    response = await ask(gate, app)
    run = response.headers["X-Run-Id"]
    async with exchange(response, "/api/chat") as talk:
        await frames(talk, 2)
        first = await call(await handle_stop(run, app=app))
        again = await call(await handle_stop(run, app=app))
        assert (first.status, first) == (202, again)
        assert first.json()["runId"] == run
        await talk.frame()
    last = talk.answer.events()[-1]
    assert last["type"] == "final"
    assert (last["result"]["finishReason"], last["result"]["answer"]) == ("cancelled", "one two")
    assert gate.closed
    ended = await call(await handle_stop(run, app=app))
    assert ended.status == 202
    assert (await resume(run, 0, app)).chunks == talk.answer.chunks


@pytest.mark.anyio
async def test_a_run_stopped_before_a_word_is_an_error(app: App) -> None:
    """A `final` always holds a usable answer."""
    response = await ask(Gate((Status(step=1, description="…", status="executing"),)), app)
    run = response.headers["X-Run-Id"]
    async with exchange(response, "/api/chat") as talk:
        await talk.frame()
        await handle_stop(run, app=app)
        while (await talk.message()).get("more_body") is not False:
            pass
    last = talk.answer.events()[-1]
    assert (last["type"], last["code"]) == ("error", "cancelled")


@pytest.mark.anyio
async def test_a_stop_after_the_end_changes_nothing(app: App) -> None:
    """What was said was said."""
    run, whole = await finish_run(app)
    assert (await call(await handle_stop(run, app=app))).status == 202
    assert (await resume(run, 0, app)).chunks == whole.chunks


@pytest.mark.anyio
async def test_reading_takes_a_place_and_gives_it_back() -> None:
    """A full house is 429 for readers too."""
    app = App(Settings(max_streams=1))
    gate = Gate(("one",))
    response = await ask(gate, app)
    run = response.headers["X-Run-Id"]
    async with exchange(response, "/api/chat") as talk:
        await talk.frame()
        assert (await resume(run, 0, app)).status == 429
    assert (await resume(run, 0, app)).status == 200
    assert app.live.streams == 0


@pytest.mark.anyio
async def test_a_result_without_tokens_is_readable_too(app: App) -> None:
    """The state does not depend on how the answer came."""

    async def whole(_question: Question) -> AsyncGenerator[Output, None]:
        yield Final(Result(answer="all at once"))

    run = (await call(await ask(whole, app))).header("X-Run-Id") or ""
    state = (await call(await handle_state(run, app=app))).json()
    assert state["result"]["answer"] == "all at once"
