"""A run that is taken over for a reader that leaves meanwhile is held by a producer, or by none."""

import asyncio
import json
from typing import Any

import pytest

from services.errors import RiverrunError
from services.runs import Run
from services.runs.memory import MemoryLog
from services.streaming import App, Question
from services.streaming.question import dump_question
from services.streaming.run.checkpoint import read_pause_reason
from tests.services.streaming.instant import instant
from tests.services.streaming.invocations import WHOLE, Words, make_app, resume

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_left")]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Time that is waited for passes at once."""
    return instant()


class HeldLog(MemoryLog):
    """Applies a claim, and answers once `let_go` is set: as a store does that is slow."""

    def __init__(self) -> None:
        super().__init__(is_durable=True, monotonic=asyncio.get_running_loop().time)
        self.claimed = asyncio.Event()
        self.let_go = asyncio.Event()

    async def claim(self, run: Run, **more: Any) -> Run:
        """Claim, and wait."""
        claimed = await super().claim(run, **more)
        self.claimed.set()
        await self.let_go.wait()
        return claimed


async def make_run(log: MemoryLog) -> Run:
    """A run whose producer is gone, which no reader has noticed yet."""
    question = dump_question(Question(query="go"))
    run, _ = await log.start(owner=None, key=None, fingerprint="f", question=question)
    return run


async def begin_take_over(app: App, log: HeldLog) -> Run:
    """Take a run over for a reader that waits in its body, and have it leave after the claim."""
    run = await make_run(log)
    reading = asyncio.create_task(resume(app, run.id, 0, left=900.0))
    await log.claimed.wait()
    reading.cancel()
    await asyncio.wait({reading})
    return run


async def test_a_reader_that_leaves_while_a_run_is_taken_over_leaves_it_a_producer() -> None:
    """The claim was applied, though its answer was still to come: the run goes on to its end."""
    log, chat = HeldLog(), Words()
    app = make_app(log, chat)
    run = await begin_take_over(app, log)
    log.let_go.set()
    await app.live.wait_closed(900.0)
    last = await log.read_last(run.id)
    assert last is not None
    assert json.loads(last.payload)["result"]["answer"] == WHOLE
    assert len(chat.asked) == 1


async def test_a_process_that_ends_meanwhile_holds_no_run() -> None:
    """The end of the process waits for the claim, gives the run back, and pays no model."""
    log, chat = HeldLog(), Words()
    app = make_app(log, chat)
    run = await begin_take_over(app, log)
    app.live.close()
    closed = asyncio.create_task(app.live.wait_closed(900.0))
    log.let_go.set()
    await closed
    left = await log.find(run.id, None)
    assert left.is_free
    assert read_pause_reason(left) == "shutdown"
    assert chat.asked == []


async def test_a_reader_that_leaves_takes_a_run_along_where_it_is_abandoned_without() -> None:
    """With `RIVERRUN_ON_ABANDONED=pause`: no model is paid for who is gone."""
    log, chat = HeldLog(), Words()
    app = make_app(log, chat, on_abandoned="pause")
    run = await begin_take_over(app, log)
    log.let_go.set()
    await app.live.wait_closed(900.0)
    left = await log.find(run.id, None)
    assert left.is_free
    assert read_pause_reason(left) == "abandoned"


async def test_a_take_over_that_fails_behind_the_claim_gives_the_run_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever cannot be opened: the next request may have the run at once."""
    log = HeldLog()
    log.let_go.set()
    app = make_app(log, Words())

    async def fail(*_asked: Any) -> None:
        raise RiverrunError("It is not there.")

    run = await make_run(log)
    await log.release(run)
    with monkeypatch.context() as patched:
        patched.setattr(app.limiter, "reserve_resumed", fail)
        assert await resume(app, run.id, 0, left=900.0) == []
    assert (await log.find(run.id, None)).is_free
    assert (await resume(app, run.id, 0, left=900.0))[-1][1]["result"]["answer"] == WHOLE
