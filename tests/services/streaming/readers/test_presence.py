"""A reader of another process keeps a run as well; a run without readers is abandoned."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.runs import RunLogError, UnknownRunError
from services.runs.memory import MemoryLog
from services.streaming import (
    App,
    Cursor,
    Question,
    ReaderTerms,
    handle_resume,
    handle_streaming_request,
    shut_down,
)
from services.streaming.readers.presence import PRESENCE_TTL, RECONNECT_GRACE, RENEW_INTERVAL
from tests.services.streaming.instant import instant
from tests.services.streaming.invocations import (
    WHOLE,
    Words,
    ask,
    events_of,
    kinds,
    make_app,
    place,
    resume,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_left")]

POLICIES = ["pause", "stop"]

# When a run is given up whose last reader was elsewhere: the sign was renewed at most so long ago.
LATEST, SOONEST = PRESENCE_TTL, PRESENCE_TTL - RENEW_INTERVAL


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Time that is waited for passes at once."""
    return instant()


class Signs(MemoryLog):
    """A log whose clock is the loop's, that knows what was said and asked of readers.

    It fails while it is told to.
    """

    def __init__(self) -> None:
        self.began = time.time() - asyncio.get_running_loop().time()
        clock = asyncio.get_running_loop().time
        super().__init__(is_durable=True, now=lambda: self.began + clock(), monotonic=clock)
        self.left: list[float] = []
        self.looked: list[float] = []
        self.broken = False

    async def mark_read(self, run_id: str, seconds: float) -> None:
        self.left.append(asyncio.get_running_loop().time())
        self._check()
        await super().mark_read(run_id, seconds)

    async def seconds_unread(self, run_id: str) -> float:
        self.looked.append(asyncio.get_running_loop().time())
        self._check()
        return await super().seconds_unread(run_id)

    def _check(self) -> None:
        if self.broken:
            raise RunLogError("The run log is busy.")


@pytest.fixture
async def signs() -> Signs:
    """What two processes share."""
    return Signs()


async def begin(app: App) -> Any:
    """An answer that was asked for, and read so far."""
    asked = Question(query="go", resume=True)
    response: Any = await handle_streaming_request(asked, app=app)
    await anext(response.body_iterator)
    return response


async def join(app: App, run: str) -> Any:
    """The same answer, read from its beginning, through this process."""
    reader = ReaderTerms(resume=True, seconds_left=900.0)
    response: Any = await handle_resume(Cursor(run, 0), reader=reader, app=app)
    await anext(response.body_iterator)
    return response


async def leave(response: Any) -> None:
    """The reader's connection is gone."""
    await response.body_iterator.aclose()


def alone(log: Signs, chat: Words, **settings: Any) -> App:
    """A process whose log is its memory, as far as it knows."""
    log.is_durable = False
    return make_app(log, chat, **settings)


@asynccontextmanager
async def idle(*processes: App) -> AsyncIterator[None]:
    """A minute later nothing is left to watch in these."""
    yield
    await asyncio.sleep(60)
    for app in processes:
        assert (app.live.streams, app.live.readers, app.live.tasks, app.live.presence_tasks) == (
            0,
            {},
            {},
            {},
        )


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_reader_elsewhere_keeps_the_run(policy: str, signs: Signs, chat: Words) -> None:
    """To its end, though its starter has gone and there is no reader where it is produced."""
    one, two = (make_app(signs, chat, on_abandoned=policy) for _ in range(2))
    async with idle(one, two):
        first = await begin(one)
        second = await join(two, first.headers["x-run-id"])
        await leave(first)
        assert (await events_of(second))[-1][1]["result"]["answer"] == WHOLE
        assert len(chat.asked) == 1


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_reader_elsewhere_keeps_a_run_that_says_nothing(
    policy: str, signs: Signs, chat: Words
) -> None:
    """Whether anything comes says nothing of who waits for it."""
    one, two = (make_app(signs, chat, on_abandoned=policy) for _ in range(2))

    chat.words, chat.pace = ["said"], 300.0
    async with idle(one, two):
        first = await begin(one)
        second = await join(two, first.headers["x-run-id"])
        await leave(first)
        assert (await events_of(second))[-1][1]["result"]["answer"] == "said"


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_reader_elsewhere_who_takes_nothing_keeps_the_run(
    policy: str, signs: Signs, chat: Words
) -> None:
    """As one here does: their line is slow, and they are there."""
    one, two = (make_app(signs, chat, on_abandoned=policy) for _ in range(2))
    chat.words = ["x "] * 100
    async with idle(one, two):
        first = await begin(one)
        second = await join(two, first.headers["x-run-id"])
        await leave(first)
        await asyncio.sleep(99)
        assert chat.open == 1
        assert (await events_of(second))[-1][1]["type"] == "final"


@pytest.mark.parametrize("after", [0.0, 3.0, 30.0])
@pytest.mark.parametrize("policy", POLICIES)
async def test_the_time_without_readers_counts_from_the_last_one_anywhere(
    policy: str, after: float, signs: Signs, chat: Words
) -> None:
    """One elsewhere is gone when their sign has run out; then the installation's time begins."""
    one, two = (make_app(signs, chat, on_abandoned=policy, abandoned_after=after) for _ in range(2))
    chat.words = ["x "] * 200
    async with idle(one, two):
        first = await begin(one)
        run = first.headers["x-run-id"]
        second = await join(two, run)
        await leave(first)
        await asyncio.sleep(19.5)
        await leave(second)
        await asyncio.sleep(after + SOONEST - 0.1)
        assert chat.open == 1
        await asyncio.sleep(LATEST - SOONEST + RENEW_INTERVAL + 0.2)
        assert chat.open == 0
    assert (await kinds(signs, run))[-1] == {"pause": "token", "stop": "error"}[policy]


async def test_the_last_reader_here_counts_when_they_stay_longest(
    signs: Signs, chat: Words
) -> None:
    """A sign that ran out long ago, and was never looked at, delays it by its own length."""
    one, two = (make_app(signs, chat, on_abandoned="stop", abandoned_after=3.0) for _ in range(2))
    chat.words = ["x "] * 100
    async with idle(one, two):
        first = await begin(one)
        await leave(await join(two, first.headers["x-run-id"]))
        await asyncio.sleep(40)
        await leave(first)
        await asyncio.sleep(2.9)
        assert chat.open == 1
        await asyncio.sleep(PRESENCE_TTL + RENEW_INTERVAL + 0.2)
        assert chat.open == 0


@pytest.mark.parametrize("process", [make_app, alone])
async def test_a_reader_that_comes_back_and_leaves_again_is_waited_for_anew(
    process: Callable[..., App], signs: Signs, chat: Words
) -> None:
    """What was begun when they left the first time does not count for the second."""
    app = process(signs, chat, on_abandoned="stop", abandoned_after=10.0)
    async with idle(app):
        first = await begin(app)
        await leave(first)
        await asyncio.sleep(5)
        again = await join(app, first.headers["x-run-id"])
        await asyncio.sleep(4)
        await leave(again)
        await asyncio.sleep(9.9)
        assert chat.open == 1
        await asyncio.sleep(0.2)
        assert chat.open == 0


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_reader_who_is_sent_off_elsewhere_has_a_moment_to_come_back(
    policy: str, signs: Signs, chat: Words
) -> None:
    """Also where a run without readers is abandoned at once, and without a word on leaving."""
    one, two = (make_app(signs, chat, on_abandoned=policy) for _ in range(2))
    chat.words = ["x "] * 60
    async with idle(one, two):
        first = await begin(one)
        run = first.headers["x-run-id"]
        leaving = asyncio.create_task(resume(two, run, 0, left=20.0))
        await asyncio.sleep(1)
        await leave(first)
        paused = await leaving
        assert paused[-1][1]["reason"] == "deadline"
        said = len(signs.left)
        await asyncio.sleep(RECONNECT_GRACE - 0.1)
        assert len(signs.left) == said
        rest = await resume(two, *place(paused), left=900.0)
        assert rest[-1][1]["type"] == "final"
        assert len(chat.asked) == 1


async def test_a_reader_who_is_sent_off_here_may_come_back_elsewhere(
    signs: Signs, chat: Words
) -> None:
    """Where the next request lands is the front's choice."""
    one, two = (make_app(signs, chat, on_abandoned="pause") for _ in range(2))
    async with idle(one, two):
        first = await ask(one, left=900.0, response_seconds_left=6.0)
        await asyncio.sleep(RECONNECT_GRACE - 1)
        rest = await resume(two, *place(first), left=900.0)
        assert rest[-1][1]["result"]["answer"] == WHOLE
        assert len(chat.asked) == 1


async def test_a_run_is_signed_for_once_however_many_read_it(signs: Signs, chat: Words) -> None:
    """A write every two seconds for a process, not for a reader, and none when all have gone."""
    one, two = (make_app(signs, chat, on_abandoned="stop") for _ in range(2))
    async with idle(one, two):
        first = await begin(one)
        others = [await join(two, first.headers["x-run-id"]) for _ in range(5)]
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(9)
        assert signs.left == pytest.approx([began + RENEW_INTERVAL * n for n in range(5)])
        for other in others:
            await leave(other)
        await asyncio.sleep(9)
        assert len(signs.left) == 5
        assert signs.looked == []
        await leave(first)


async def test_who_reads_where_the_run_is_produced_needs_no_sign(signs: Signs, chat: Words) -> None:
    """Nor is one looked for while they are there, or when the run is at its end."""
    app = make_app(signs, chat, on_abandoned="stop")
    async with idle(app):
        first = await begin(app)
        second = await join(app, first.headers["x-run-id"])
        await leave(second)
        assert (await events_of(first))[-1][1]["type"] == "final"
        assert (signs.left, signs.looked) == ([], [])


async def test_where_runs_are_finished_the_store_is_not_asked(signs: Signs, chat: Words) -> None:
    """The default costs nothing more: no sign, no look, no task."""
    one, two = (make_app(signs, chat, abandoned_after=3.0) for _ in range(2))
    async with idle(one, two):
        first = await begin(one)
        second = await join(two, first.headers["x-run-id"])
        assert (one.live.presence_tasks, two.live.presence_tasks) == ({}, {})
        await leave(first)
        await asyncio.sleep(5)
        assert one.live.presence_tasks == {}
        await leave(second)
    assert (await kinds(signs, first.headers["x-run-id"]))[-1] == "final"
    assert (signs.left, signs.looked) == ([], [])


@pytest.mark.parametrize("after", [0.0, 3.0])
async def test_a_memory_of_this_process_is_not_asked_either(
    after: float, signs: Signs, chat: Words
) -> None:
    """No other process can read it."""
    app = alone(signs, chat, on_abandoned="stop", abandoned_after=after)
    async with idle(app):
        first = await begin(app)
        await leave(await join(app, first.headers["x-run-id"]))
        await leave(first)
        await asyncio.sleep(after + 0.1)
        assert chat.open == 0
        again = await join(app, first.headers["x-run-id"])
        await asyncio.sleep(5)
        await leave(again)
    assert (signs.left, signs.looked) == ([], [])


async def test_a_reader_whose_sign_cannot_be_kept_reads_on(
    signs: Signs, chat: Words, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning, however long it lasts; and the next sign that is kept counts."""
    one, two = (make_app(signs, chat, on_abandoned="stop") for _ in range(2))
    chat.words = ["x "] * 60
    async with idle(one, two):
        first = await begin(one)
        signs.broken = True
        second = await join(two, first.headers["x-run-id"])
        await asyncio.sleep(20)
        signs.broken = False
        await asyncio.sleep(RENEW_INTERVAL)
        await leave(first)
        assert (await events_of(second))[-1][1]["type"] == "final"
    warned = [record for record in caplog.records if "are not seen" in record.message]
    assert [record.levelname for record in warned] == ["WARNING"]


async def test_a_store_that_fails_for_a_moment_loses_no_reader(signs: Signs, chat: Words) -> None:
    """A sign holds for longer than it takes to renew it a few times in vain."""
    one, two = (make_app(signs, chat, on_abandoned="stop") for _ in range(2))
    chat.words = ["x "] * 60
    async with idle(one, two):
        first = await begin(one)
        second = await join(two, first.headers["x-run-id"])
        await leave(first)
        await asyncio.sleep(1)
        real = signs.mark_read

        async def mark_read(run_id: str, seconds: float) -> None:
            raise RunLogError("The run log is busy.")

        signs.mark_read = mark_read  # type: ignore[method-assign]  # on one side only
        await asyncio.sleep(RECONNECT_GRACE - 1.5)
        signs.mark_read = real  # type: ignore[method-assign]
        assert (await events_of(second))[-1][1]["type"] == "final"


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_producer_who_cannot_look_gives_nothing_up(
    policy: str, signs: Signs, chat: Words
) -> None:
    """It looks again soon, until the store answers."""
    app = make_app(signs, chat, on_abandoned=policy)
    chat.words = ["x "] * 100
    async with idle(app):
        first = await begin(app)
        signs.broken = True
        left = asyncio.get_running_loop().time()
        await leave(first)
        await asyncio.sleep(20)
        assert chat.open == 1
        assert signs.looked == pytest.approx(
            [left + RENEW_INTERVAL * n for n in range(11)], abs=0.1
        )
        signs.broken = False
        await asyncio.sleep(RENEW_INTERVAL + 0.1)
        assert chat.open == 0


async def test_a_run_that_is_gone_is_not_waited_for(
    signs: Signs, chat: Words, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its reader nor its producer is kept by it, and no warning is logged."""
    one, two = (make_app(signs, chat, on_abandoned="stop") for _ in range(2))

    async def raise_unknown(*_: Any) -> None:
        raise UnknownRunError

    async with idle(one, two):
        first = await begin(one)
        for method in ("mark_read", "seconds_unread"):
            monkeypatch.setattr(signs, method, raise_unknown)
        second = await join(two, first.headers["x-run-id"])
        await asyncio.sleep(1)
        assert two.live.presence_tasks == {}
        await leave(first)
        assert chat.open == 0
        last = (await events_of(second))[-1][1]
        assert (last["type"], last["code"]) == ("error", "cancelled")
    assert not caplog.records


async def test_a_reader_who_comes_while_it_is_looked_keeps_the_run(
    signs: Signs, chat: Words
) -> None:
    """The store was slow, and they were in time; a reader that left does not wait for the end."""
    app = make_app(signs, chat, on_abandoned="stop")
    real = signs.seconds_unread

    async def seconds_unread(run_id: str) -> float:
        await asyncio.sleep(3)
        return await real(run_id)

    signs.seconds_unread = seconds_unread  # type: ignore[method-assign]  # slow
    async with idle(app):
        first = await begin(app)
        leaving = asyncio.create_task(leave(first))
        await asyncio.sleep(1)
        again = await join(app, first.headers["x-run-id"])
        await leaving
        assert chat.open == 1
        assert (await events_of(again))[-1][1]["result"]["answer"] == WHOLE


async def test_a_process_that_is_ended_does_not_wait_for_readers_elsewhere(
    signs: Signs, chat: Words
) -> None:
    """It lets the run go, and who reads it elsewhere has it go on there."""
    one, two = (make_app(signs, chat, on_abandoned="stop", abandoned_after=5.0) for _ in range(2))
    async with idle(one, two):
        first = await begin(one)
        second = await join(two, first.headers["x-run-id"])
        await leave(first)
        await asyncio.sleep(2)
        assert one.live.presence_tasks
        shut_down(one)
        await asyncio.sleep(0.3)
        assert (one.live.tasks, one.live.presence_tasks) == ({}, {})
        events = await events_of(second)
        assert events[-1][1]["result"]["answer"] == WHOLE
