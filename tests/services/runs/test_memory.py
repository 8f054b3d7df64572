"""The log in memory keeps the rules, and its bounds."""

import gc
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from types import FrameType
from typing import Any

import pytest

from services.runs import ExpiredRunError, RunLog, UnknownRunError, memory_records
from services.runs.log import KEEP_TURNS, MEMORY_RETENTION_SECONDS
from services.runs.memory import KEEP_SESSIONS, MemoryLog
from services.runs.memory_records import KEEP_RUNS
from tests.services.runs.conformance import Clock, conformance, final, start_run, token


@asynccontextmanager
async def open_log(clock: Clock) -> AsyncIterator[RunLog]:
    """An empty log."""
    yield MemoryLog(now=clock, monotonic=clock)


test_it_keeps_the_rules_of_the_log = conformance(open_log)

pytestmark = pytest.mark.anyio


def runs_in(log: MemoryLog) -> int:
    """How many runs a log holds."""
    return len(log._records.running) + len(log._records.ended)


async def test_ten_thousand_runs_are_kept_as_a_thousand() -> None:
    """The newest; of the oldest not even the memory that they were there."""
    log = MemoryLog()
    ids = []
    for number in range(3 * KEEP_RUNS):
        run = await start_run(log, key=str(number))
        await log.append(run.id, [token(1), final(2)])
        ids.append(run.id)
    await start_run(log)
    assert runs_in(log) <= KEEP_RUNS + 1
    assert len(log._records.keys) <= KEEP_RUNS
    assert len(log._records.expired) <= KEEP_RUNS
    assert (await log.find(ids[-1], None)).id == ids[-1]
    with pytest.raises(ExpiredRunError):
        await log.find(ids[-KEEP_RUNS - 10], None)
    with pytest.raises(UnknownRunError):
        await log.find(ids[0], None)


async def test_what_has_ended_is_kept_to_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few very long answers count for many short ones."""
    monkeypatch.setattr(memory_records, "KEEP_BYTES", 100_000)
    log = MemoryLog()
    runs = []
    for _ in range(10):
        run = await start_run(log)
        await log.append(run.id, [token(1, b"x" * 30_000), final(2)])
        runs.append(run)
    await start_run(log)
    assert log._records.ended_size <= 100_000
    assert [run.id for run in runs[-3:]] == list(log._records.ended)


async def test_a_run_under_way_is_never_dropped_for_room() -> None:
    """Only what has ended makes room, however old the other is."""
    clock = Clock()
    log = MemoryLog(now=clock, monotonic=clock)
    long = await start_run(log, "ann")
    for _ in range(3 * KEEP_RUNS):
        clock.seconds += 1
        run = await start_run(log)
        await log.append(run.id, [final(1)])
    last = await log.read_last(long.id)
    await log.append(long.id, [token(1 if last is None else last.seq + 1)])
    assert (await log.find(long.id, "ann")).id == long.id


async def test_an_hour_counts_from_the_last_word() -> None:
    """A run that took an hour is kept for an hour after its end."""
    clock = Clock()
    log = MemoryLog(now=clock, monotonic=clock)
    run = await start_run(log, "ann")
    await log.append(run.id, [token(1)])
    clock.seconds += MEMORY_RETENTION_SECONDS - 1
    await log.append(run.id, [final(2)])
    clock.seconds += MEMORY_RETENTION_SECONDS - 1
    assert (await log.find(run.id, "ann")).id == run.id
    clock.seconds += 2
    with pytest.raises(ExpiredRunError) as gone:
        await log.find(run.id, "ann")
    assert gone.value.code == "expired"
    with pytest.raises(UnknownRunError):
        await log.find(run.id, "bob")


async def test_a_run_that_was_never_ended_is_dropped_after_an_hour() -> None:
    """Its producer is gone; one that is still written stays."""
    clock = Clock()
    log = MemoryLog(now=clock, monotonic=clock)
    dead, alive = await start_run(log, key="k"), await start_run(log)
    clock.seconds += MEMORY_RETENTION_SECONDS - 1
    await log.append(alive.id, [token(1)])
    clock.seconds += 2
    await start_run(log)
    assert next(iter(log._records.running)) == alive.id
    with pytest.raises(ExpiredRunError):
        await log.find(dead.id, None)
    assert not log._records.keys


async def test_a_clock_that_steps_by_years_takes_no_run_away() -> None:
    """How long a run is kept is measured by a clock that people do not set."""
    clock, monotonic = Clock(), Clock()
    log = MemoryLog(now=clock, monotonic=monotonic)
    run, ended = await start_run(log), await start_run(log)
    await log.append(ended.id, [final(1)])
    for days in (20_000, -40_000):
        clock.seconds += days * 86_400.0
        await log.append((await start_run(log)).id, [final(1)])
        assert {(await log.find(one.id, None)).id for one in (run, ended)} == {run.id, ended.id}
    await log.append(run.id, [final(1)])


async def test_sessions_and_their_turns_are_bounded() -> None:
    """The sessions used last are kept, each with its last turns."""
    log = MemoryLog()
    for number in range(KEEP_SESSIONS):
        await log.add_turn(None, str(number), "q", "a")
    for number in range(2 * KEEP_TURNS):
        await log.add_turn(None, "0", "q", str(number))
    await log.add_turn(None, "new", "q", "a")
    assert len(log._sessions) == KEEP_SESSIONS
    assert await log.read_turns(None, "1", 6) == []
    kept = [answer for _, answer in await log.read_turns(None, "0", 1000)]
    assert kept == [str(number) for number in range(KEEP_TURNS, 2 * KEEP_TURNS)]


async def test_a_reader_that_gave_up_leaves_nothing_in_the_log() -> None:
    """Neither its wait nor its timer."""
    log = MemoryLog()
    run = await start_run(log)
    for _ in range(100):
        assert not await log.wait(run.id, 0, 0.0001)
    assert not log._notifier.list_runs()
    gc.collect()


async def test_a_foreign_run_takes_the_same_steps_as_a_missing_one() -> None:
    """Call by call, so that no clock tells one from the other; a time would be the machine's."""
    log = MemoryLog()
    live, ended = [await start_run(log, "ann", key) for key in "ab"]
    await log.append(ended.id, [final(1)])
    await log.add_turn("ann", "s", "question", "answer")
    for method in (log.find, log.delete):
        assert (
            len({trace_calls(method, each, "bob") for each in (live.id, ended.id, "0" * 32)}) == 1
        )
    for ask in (log.list_session, log.forget_turns, partial(log.read_turns, limit=1)):
        assert trace_calls(ask, "bob", "s") == trace_calls(ask, "bob", "t")
    # And what is theirs is seen to take others.
    assert trace_calls(log.find, live.id, "ann") != trace_calls(log.find, live.id, "bob")


def trace_calls(method: Callable[..., Coroutine[Any, Any, object]], *asked: object) -> str:
    """What was called, Python's own functions too, until a method that waits for nothing ended."""
    calls: list[str] = []

    def note(frame: FrameType, event: str, argument: Any) -> None:
        name = frame.f_code.co_qualname if event.startswith(("call", "return")) else argument
        calls.append(f"{event} {getattr(name, '__qualname__', name)}")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        method(*asked).send(None)
    except StopIteration as ended:
        calls.append(repr(type(ended.value)))
    except UnknownRunError as error:
        calls.append(error.code)
    finally:
        sys.setprofile(before)
    return "\n".join(calls)
