"""The log in SQLite keeps the rules, and drops what is over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from services.runs import ExpiredRunError, RunLog, UnknownRunError
from services.runs.log import KEEP_TURNS
from services.runs.sqlite.log import SQLiteLog
from services.runs.sqlite.retention import (
    OVERDUE_SECONDS,
    SWEEP_ENTRIES,
    SWEEP_RUNS,
    SWEEP_WINDOW,
)
from tests.services.runs.conformance import (
    Clock,
    OpenAnother,
    conformance,
    final,
    shared_conformance,
    start_run,
    token,
)


@asynccontextmanager
async def open_logs(clock: Clock) -> AsyncIterator[OpenAnother]:
    """One file, opened as often as is asked for."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))

        def open_another() -> RunLog:
            log = SQLiteLog(folder / "runs.sqlite", now=clock, monotonic=clock)
            stack.push_async_callback(log.close)
            return log

        yield open_another


@asynccontextmanager
async def open_log(clock: Clock) -> AsyncIterator[RunLog]:
    """An empty log."""
    async with open_logs(clock) as open_another:
        yield open_another()


test_it_keeps_the_rules_of_the_log = conformance(open_log)
test_it_keeps_them_between_processes = shared_conformance(open_logs)

pytestmark = pytest.mark.anyio

TABLES = ("runs", "keys", "entries", "turns", "gone", "read_marks")


def rows_in(log: SQLiteLog) -> dict[str, int]:
    """How many rows each table has."""
    return {
        table: log._file._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in TABLES
    }


async def keep_up(log: SQLiteLog, clock: Clock) -> None:
    """Let the upkeep of a second be done."""
    clock.seconds += 1.0
    await log.list_recent(0)
    while log._file._working:  # noqa: ASYNC110 - a thread has no event to wait for
        await asyncio.sleep(0.001)


async def test_what_is_over_is_dropped_as_fast_as_it_came(tmp_path: Path) -> None:
    """With its entries, its key and its sessions; who owned it is told for as long again."""
    clock = Clock()
    log = SQLiteLog(tmp_path / "runs.sqlite", retention=100.0, now=clock, monotonic=clock)
    runs = [await start_run(log, "ann", f"k{n}") for n in range(3 * SWEEP_RUNS)]
    for run in runs:
        await log.append(run.id, [token(1), final(2)])
        await log.add_turn("ann", run.id, "q", "a")
        await log.mark_read(run.id, 1000.0)
    clock.seconds += 101
    await keep_up(log, clock)  # without a new run
    assert rows_in(log) == {**dict.fromkeys(TABLES, 0), "gone": len(runs)}
    with pytest.raises(ExpiredRunError):
        await log.find(runs[0].id, "ann")
    with pytest.raises(UnknownRunError):
        await log.find(runs[0].id, "bob")
    clock.seconds += 200
    await keep_up(log, clock)
    assert rows_in(log)["gone"] == 0
    with pytest.raises(UnknownRunError):
        await log.find(runs[0].id, "ann")
    await log.close()


async def test_a_very_long_run_is_dropped_in_parts(tmp_path: Path) -> None:
    """No caller waits while a hundred thousand rows go."""
    clock = Clock()
    log = SQLiteLog(tmp_path / "runs.sqlite", retention=100.0, now=clock, monotonic=clock)
    log._file._kept_up_at = clock() + 1e9
    run = await start_run(log)
    await log.append(run.id, [token(seq) for seq in range(1, 3 * SWEEP_ENTRIES)])
    await log.append(run.id, [final(3 * SWEEP_ENTRIES)])
    clock.seconds += 101
    left = [rows_in(log)["entries"]]
    for _ in range(4):
        log._file._upkeep(log._file._connection)  # type: ignore[misc]
        left.append(rows_in(log)["entries"])
    assert left == [3 * SWEEP_ENTRIES, 2 * SWEEP_ENTRIES, SWEEP_ENTRIES, 0, 0]
    await log.close()


async def test_live_runs_keep_none_behind_them(tmp_path: Path) -> None:
    """However many of the oldest go on, those behind them that are over are dropped."""
    clock = Clock()
    log = SQLiteLog(tmp_path / "runs.sqlite", retention=100.0, now=clock, monotonic=clock)
    await asyncio.gather(*(start_run(log) for _ in range(SWEEP_WINDOW + 10)))
    over = await start_run(log)
    await log.append(over.id, [final(1)])
    clock.seconds += 101
    for _ in range(3):
        await keep_up(log, clock)
    assert rows_in(log)["runs"] == SWEEP_WINDOW + 10
    await log.close()


async def test_a_key_of_a_later_run_is_not_dropped_with_the_first(tmp_path: Path) -> None:
    """It was taken over before the first run was swept away."""
    clock = Clock()
    log = SQLiteLog(tmp_path / "runs.sqlite", retention=100.0, now=clock, monotonic=clock)
    first = await start_run(log, "ann", "k")
    await log.append(first.id, [final(1)])
    log._file._kept_up_at = clock() + 100.5
    clock.seconds += 100.5
    second = await start_run(log, "ann", "k")
    await keep_up(log, clock)
    await keep_up(log, clock)
    assert rows_in(log)["gone"] == 1
    assert (await start_run(log, "ann", "k")).id == second.id != first.id
    await log.close()


async def test_a_short_retention_takes_no_live_run_away(tmp_path: Path) -> None:
    """Nor does a clock that steps by minutes; what has ended is over as was said."""
    clock = Clock()
    log = SQLiteLog(tmp_path / "runs.sqlite", retention=0.05, now=clock, monotonic=clock)
    run = await start_run(log)
    clock.seconds += 600.0
    await keep_up(log, clock)
    await log.append(run.id, [token(1)])
    clock.seconds += 600.0
    await keep_up(log, clock)
    await log.append(run.id, [final(2)])
    clock.seconds += 0.1
    with pytest.raises(ExpiredRunError):
        await log.read(run.id, 0)
    await log.close()


async def test_a_clock_that_steps_by_years_takes_no_live_run_away(tmp_path: Path) -> None:
    """As one without a battery does when it first hears what time it is."""
    clock, monotonic = Clock(), Clock()
    log = SQLiteLog(tmp_path / "runs.sqlite", now=clock, monotonic=monotonic)
    ahead = SQLiteLog(tmp_path / "runs.sqlite", now=clock, monotonic=monotonic)
    run = await start_run(log, "ann", "k")
    await log.append(run.id, [token(1)])
    for days in (20_000, -40_000, 20_000, 3):
        clock.seconds += days * 86_400.0
        for _ in range(2):
            await keep_up(ahead, monotonic)
        assert (await start_run(ahead, "ann", "k")).id == run.id
        assert len(await ahead.read(run.id, 0)) == 1
        assert [found.run.id for found in await ahead.list_recent()] == [run.id]
        await log.renew(run)
        monotonic.seconds += OVERDUE_SECONDS
        await keep_up(ahead, monotonic)
    await log.append(run.id, [token(2)])
    # Its producer is gone now.
    clock.seconds += 3 * 86_400.0
    for _ in range(2):
        await keep_up(ahead, monotonic)
        monotonic.seconds += OVERDUE_SECONDS
    await keep_up(ahead, monotonic)
    with pytest.raises(ExpiredRunError):
        await log.find(run.id, "ann")
    await ahead.close()
    await log.close()


async def test_a_clock_that_says_the_same_time_again_takes_no_live_run_away(tmp_path: Path) -> None:
    """A run that was renewed ends when it was to end before, and has given a sign of life."""
    clock, monotonic = Clock(), Clock()
    log = SQLiteLog(tmp_path / "runs.sqlite", now=clock, monotonic=monotonic)
    run = await start_run(log, "ann", "k")
    clock.seconds += 9 * 86_400.0
    await keep_up(log, monotonic)
    clock.seconds -= 9 * 86_400.0
    await log.renew(run)
    monotonic.seconds += OVERDUE_SECONDS
    clock.seconds += 9 * 86_400.0
    for _ in range(2):
        await keep_up(log, monotonic)
    assert (await log.find(run.id, "ann")).id == run.id
    await log.close()


async def test_the_file_stays_as_large_as_what_is_kept(tmp_path: Path) -> None:
    """Room that was freed is used again."""
    clock = Clock()
    log = SQLiteLog(tmp_path / "runs.sqlite", retention=30.0, now=clock, monotonic=clock)
    sizes = []
    for turn in range(300):
        clock.seconds += 1
        run = await start_run(log, "ann", str(turn))
        await log.append(run.id, [token(1, b"x" * 20_000), final(2)])
        sizes.append(log._file._connection.execute("PRAGMA page_count").fetchone()[0])
    assert sizes[-1] <= sizes[60] * 1.2
    await log.close()


async def test_a_session_keeps_its_last_turns_only(tmp_path: Path) -> None:
    """However long it goes on."""
    log = SQLiteLog(tmp_path / "runs.sqlite")
    for turn in range(3 * KEEP_TURNS):
        await log.add_turn("ann", "s", str(turn), "a")
        await log.add_turn("bob", "s", str(turn), "a")
    said = await log.read_turns("ann", "s", 1000)
    assert [int(question) for question, _ in said] == [*range(2 * KEEP_TURNS, 3 * KEEP_TURNS)]
    assert rows_in(log)["turns"] == 2 * KEEP_TURNS
    await log.close()


async def test_a_sign_of_a_reader_waits_for_no_disk(tmp_path: Path) -> None:
    """It is worth a few seconds; what is said is flushed as before."""
    log = SQLiteLog(tmp_path / "runs.sqlite")
    run = await start_run(log)

    def mode() -> int:
        (number,) = log._file._connection.execute("PRAGMA synchronous").fetchone()
        return int(number)

    for seq in (1, 2):
        await log.append(run.id, [token(seq)])
        assert mode() == 2
        await log.mark_read(run.id, 12.0)
        assert mode() == 1
    await log.close()
