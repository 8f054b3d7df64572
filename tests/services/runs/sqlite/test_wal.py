"""A write-ahead log that is cut off in place, by a program that knows nothing of us."""

import logging
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from services.runs import UnknownRunError
from services.runs.sqlite.log import SQLiteLog
from tests.services.runs.conformance import final, start_run, token

pytestmark = pytest.mark.anyio


def cut_off(path: Path, part: float) -> None:
    """As `: > runs.sqlite-wal` does, to a part of what it had."""
    log = path.with_name("runs.sqlite-wal")
    os.truncate(log, int(log.stat().st_size * part))


@pytest.mark.parametrize("part", [0, 0.5, 0.999])
async def test_what_a_process_remembers_is_in_a_new_file(
    tmp_path: Path, part: float, caplog: pytest.LogCaptureFixture
) -> None:
    """What had ended too, and the operator is told once."""
    path = tmp_path / "runs.sqlite"
    log = SQLiteLog(path)
    ended, live = await start_run(log), await start_run(log, "ann", "k")
    await log.append(ended.id, [final(1)])
    await log.append(live.id, [token(1)])
    cut_off(path, part)
    with caplog.at_level(logging.WARNING):
        await log.append(live.id, [token(2)])
        await log.append(live.id, [token(3)])
    assert len(caplog.records) == 1
    assert "cut off" in caplog.text
    later = SQLiteLog(path)  # as after a restart
    assert await later.read(ended.id, 0) == [final(1)]
    assert [entry.seq for entry in await later.read(live.id, 0)] == [1, 2, 3]
    assert (await start_run(later, "ann", "k")).id == live.id
    await log.close()
    await later.close()
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("part", [0, 0.5])
async def test_what_is_lost_is_no_longer_acknowledged(
    tmp_path: Path, part: float, caplog: pytest.LogCaptureFixture
) -> None:
    """What was checkpointed and what comes is there for every process; no live run is set back."""
    path = tmp_path / "runs.sqlite"
    one = SQLiteLog(path, monotonic=lambda: 0.0)  # no time for upkeep, which would look as well
    kept, stale = await start_run(one), await start_run(one)
    await one.append(kept.id, [final(1)])
    await one.append(stale.id, [token(1)])
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    lost, live = await start_run(one), await start_run(one)
    await one.append(lost.id, [final(1)])
    await one.append(stale.id, [token(2)])
    two = SQLiteLog(path, monotonic=lambda: 0.0)  # none has all of it in memory now
    await two.append(live.id, [token(1)])
    cut_off(path, part)
    with caplog.at_level(logging.WARNING):
        fresh = await start_run(one, "bob")
        await one.append(fresh.id, [final(1)])
    assert path.with_name("runs.sqlite.damaged-wal").exists()
    later = SQLiteLog(path)
    for log in (one, two, later):
        await log.check()
        assert await log.read(kept.id, 0) == [final(1)]
        assert await log.read(fresh.id, 0) == [final(1)]
        with suppress(UnknownRunError):
            assert await log.read(stale.id, 0) == [token(1), token(2)]  # as one remembered it
    assert 1 <= len(caplog.records) <= 2  # once a process
    for log in (one, two, later):
        await log.close()
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_hole_that_is_written_behind_is_seen(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By a program that does not look: the log is as long as it should be then."""
    path = tmp_path / "runs.sqlite"
    log = SQLiteLog(path)
    run = await start_run(log)
    await log.append(run.id, [token(1)])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("SELECT * FROM runs JOIN checks").fetchall()
        cut_off(path, 0)
        other.execute("INSERT INTO checks VALUES (7, x'00')")
        assert path.with_name("runs.sqlite-wal").stat().st_size > 4096
        with caplog.at_level(logging.WARNING):
            fresh = await start_run(log)
            await log.append(fresh.id, [final(1)])
        assert "cut off" in caplog.text
    later = SQLiteLog(path)
    assert await later.read(fresh.id, 0) == [final(1)]
    await later.close()
    await log.close()


async def test_a_log_that_another_program_makes_smaller_is_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By a checkpoint, or by a limit of its own as it begins the log anew."""
    path = tmp_path / "runs.sqlite"
    logs = (SQLiteLog(path), SQLiteLog(path))
    run = await start_run(logs[0])
    size = path.with_name("runs.sqlite-wal").stat
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_size_limit=0")
        for seq, mode in enumerate(("TRUNCATE", "RESTART", "PASSIVE", "TRUNCATE"), start=1):
            await logs[seq % 2].append(run.id, [token(seq, b"x" * 30_000)])
            before = size().st_size
            other.execute(f"PRAGMA wal_checkpoint({mode})")
            other.execute("INSERT OR REPLACE INTO checks VALUES (7, x'00')")
            assert size().st_size < before
            for log in logs:
                await log.find(run.id, None)
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    fresh = await start_run(logs[1])
    for log in logs:
        assert len(await log.read(run.id, 0)) == 4
        assert (await log.find(fresh.id, None)).id == fresh.id
    for log in logs:
        await log.close()
    assert caplog.records == []
    assert not path.with_name("runs.sqlite.damaged").exists()
