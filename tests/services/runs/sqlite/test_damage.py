"""A file that is damaged in place while it is open, and made good again in each way there is."""

import asyncio
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from services.runs import Run, RunLogError
from services.runs.sqlite.log import SQLiteLog
from tests.services.runs.conformance import final, start_run, token

pytestmark = pytest.mark.anyio


def copy_over(path: Path, backup: Path) -> None:
    """As `cp` does: into the file that is there."""
    shutil.copyfile(backup, path)


def move_over(path: Path, backup: Path) -> None:
    """As `mv` does: the side files that are there are of the other file."""
    backup.replace(path)


def remove(path: Path, backup: Path) -> None:
    """As the message says."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink()


def checkpoint(path: Path) -> None:
    """From another process, as it were: what this one remembers is not to be trusted then."""
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def start_soon(log: SQLiteLog) -> Run:
    """A run, in a log that is made good within a look or two."""
    end = time.monotonic() + 60
    while True:
        try:
            return await start_run(log)
        except RunLogError:
            assert time.monotonic() < end, "it has not recovered"
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("mend", [copy_over, move_over, remove])
async def test_a_file_that_is_made_good_is_used_again(
    tmp_path: Path, mend: Callable[[Path, Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Without a restart; until then writes are worth another try, and the operator is told once."""
    path, backup = tmp_path / "runs.sqlite", tmp_path / "backup"
    log = SQLiteLog(path)
    kept = await start_run(log)
    await log.append(kept.id, [final(1)])
    run = await start_run(log)
    await log.append(run.id, [token(seq, b"x" * 3000) for seq in range(1, 20)])
    with closing(sqlite3.connect(path)) as file, closing(sqlite3.connect(backup)) as copy:
        file.backup(copy)
    checkpoint(path)
    with path.open("r+b") as damaged:
        damaged.write(os.urandom(4096))
    for _ in range(3):
        with pytest.raises(RunLogError) as refused:
            await start_run(log)
        assert (refused.value.code, refused.value.retryable) == ("overloaded", True)
        assert str(path) not in refused.value.message  # a client reads it
    told = [record.message for record in caplog.records]
    assert len(told) == 1
    assert f"{path} is damaged" in told[0]
    mend(path, backup)
    fresh = await start_soon(log)
    await log.append(fresh.id, [final(1)])
    later = SQLiteLog(path)
    assert await later.read(fresh.id, 0) == [final(1)]
    if mend is not remove:
        assert await log.read(kept.id, 0) == await later.read(kept.id, 0) == [final(1)]
    await later.close()
    await log.close()
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_file_that_is_damaged_in_one_place_is_read_elsewhere(tmp_path: Path) -> None:
    """It is tried again and again, and what is sound goes on meanwhile."""
    path = tmp_path / "runs.sqlite"
    one = SQLiteLog(path)
    large, _ = await one.start(owner=None, key=None, fingerprint="f", question=b"x" * 30_000)
    small = await start_run(one)
    await one.append(small.id, [final(1)])
    checkpoint(path)
    content = bytearray(path.read_bytes())
    for page in range(0, len(content), 4096):
        # Begins with the number of the page that the text goes on in.
        if content[page] == 0 and content[page + 100 : page + 200] == b"x" * 100:
            content[page : page + 4] = b"\xff" * 4
    path.write_bytes(content)
    log = SQLiteLog(path)  # remembers nothing
    with pytest.raises(RunLogError):
        await log.find(large.id, None)
    for _ in range(3):
        assert await log.read(small.id, 0) == [final(1)]
        fresh = await start_run(log)
        await log.append(fresh.id, [final(1)])
    await log.check()
    await log.close()
    await one.close()


async def test_a_file_that_is_damaged_where_runs_are_added_says_so_when_it_is_checked(
    tmp_path: Path,
) -> None:
    """There is room in it, and no question could be answered."""
    path = tmp_path / "runs.sqlite"
    one = SQLiteLog(path)
    await start_run(one)
    await one.check()
    await one.close()
    with closing(sqlite3.connect(path)) as file:
        (page,) = file.execute("SELECT rootpage FROM sqlite_master WHERE name = 'runs'").fetchone()
    with path.open("r+b") as damaged:
        damaged.seek((page - 1) * 4096)
        damaged.write(b"\xff" * 4096)
    log = SQLiteLog(path)
    for _ in range(2):
        with pytest.raises(RunLogError):
            await log.check()
    with pytest.raises(RunLogError):
        await start_run(log)
    await log.close()


async def test_tables_that_another_program_drops_are_made_again(tmp_path: Path) -> None:
    """What was in them is gone; what comes is kept."""
    path = tmp_path / "runs.sqlite"
    log = SQLiteLog(path)
    await start_run(log)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        for table in ("runs", "keys", "entries"):
            other.execute(f"DROP TABLE {table}")
    with pytest.raises(RunLogError):
        await start_run(log)
    fresh = await start_run(log)
    await log.append(fresh.id, [final(1)])
    assert await log.read(fresh.id, 0) == [final(1)]
    await log.close()
