"""A file that is removed, or loses a side file, while processes have it open."""

import asyncio
import logging
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from services.runs import Entry, ExpiredRunError, RunLogError, UnknownRunError
from services.runs.retry import append_patiently
from services.runs.sqlite.file import LOOK_INTERVAL
from services.runs.sqlite.log import SQLiteLog
from services.settings import ROOT
from tests.services.runs.conformance import final, start_run, token

pytestmark = pytest.mark.anyio


def remove_all(path: Path) -> None:
    """As `make clean` does."""
    while path.parent.exists():
        # What the log's upkeep removes meanwhile is gone as well.
        with suppress(FileNotFoundError):
            shutil.rmtree(path.parent)


def remove_file(path: Path) -> None:
    """The database alone; its side files stay."""
    path.unlink()


def remove_log(path: Path) -> None:
    """The write-ahead log alone: what is in it is in no other file yet."""
    path.with_name("runs.sqlite-wal").unlink()


def remove_index(path: Path) -> None:
    """The index of the write-ahead log alone."""
    path.with_name("runs.sqlite-shm").unlink()


def remove_sides(path: Path) -> None:
    """Both side files."""
    remove_log(path)
    remove_index(path)


def names_in(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(each.name for each in folder.iterdir())


ANSWER_ONE = """
import asyncio, sys
from services.runs import Entry
from services.runs.sqlite.log import SQLiteLog
async def main():
    log = SQLiteLog(sys.argv[1])
    run, _ = await log.start(owner=None, key=None, fingerprint="f")
    await log.append(run.id, [Entry(1, "final", b"{}", terminal=True)])
    await log.close()
asyncio.run(main())
"""

REMOVALS = (remove_all, remove_file, remove_log, remove_index, remove_sides)


@pytest.mark.parametrize("remove", REMOVALS)
async def test_a_live_run_goes_on_in_a_new_file(
    tmp_path: Path, remove: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Every process finds it there: two that had the old file open, and one that comes later."""
    path = tmp_path / "data" / "runs.sqlite"
    one, two = SQLiteLog(path), SQLiteLog(path)
    run = await start_run(one, "ann", "k")
    other = await start_run(two, "bob")
    await one.append(run.id, [token(1), token(2)])
    remove(path)
    with caplog.at_level(logging.WARNING):
        await one.append(run.id, [token(3)])
        await one.append(run.id, [token(4)])
    assert all("removed" in record.message for record in caplog.records)
    assert 1 <= len(caplog.records) <= 2  # once a process
    later = SQLiteLog(path)
    await asyncio.sleep(2 * LOOK_INTERVAL)
    for log in (later, two, one):
        assert [entry.seq for entry in await log.read(run.id, 0)] == [1, 2, 3, 4]
        assert (await start_run(log, "ann", "k")).id == run.id
        assert (await log.find(other.id, "bob")).id == other.id
    await two.append(run.id, [final(5)])
    assert [entry.seq for entry in await later.read(run.id, 4)] == [5]
    for log in (one, two, later):
        await log.close()
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert file.execute("SELECT count(*) FROM entries").fetchone() == (5,)


@pytest.mark.parametrize("remove", [remove_all, remove_file])
async def test_a_process_that_comes_first_after_it_can_answer(
    tmp_path: Path, remove: Callable[[Path], None]
) -> None:
    """Before those that had the old file open have noticed; what they hold joins it then."""
    path = tmp_path / "data" / "runs.sqlite"
    one = SQLiteLog(path)
    run = await start_run(one, "ann")
    await one.append(run.id, [token(1)])
    remove(path)
    later = SQLiteLog(path)
    fresh = await start_run(later, "bob")
    await later.append(fresh.id, [token(1)])
    await one.append(run.id, [token(2)])
    await asyncio.sleep(2 * LOOK_INTERVAL)
    assert [entry.seq for entry in await later.read(run.id, 0)] == [1, 2]
    await later.append(fresh.id, [final(2)])
    assert [entry.seq for entry in await one.read(fresh.id, 0)] == [1, 2]
    await one.close()
    await later.close()


@pytest.mark.parametrize("remove", [remove_log, remove_index, remove_sides])
async def test_a_process_that_starts_without_the_side_files_can_answer(
    tmp_path: Path, remove: Callable[[Path], None]
) -> None:
    """And the one that had them loses nothing that it was told is kept."""
    path = tmp_path / "data" / "runs.sqlite"
    one = SQLiteLog(path)
    run = await start_run(one, "ann")
    await one.append(run.id, [token(1)])
    remove(path)
    later = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ANSWER_ONE, str(path), cwd=ROOT
    )
    assert await later.wait() == 0
    await one.append(run.id, [final(2)])
    assert [entry.seq for entry in await one.read(run.id, 0)] == [1, 2]
    await one.close()
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_what_had_ended_is_gone_with_a_file_that_was_removed(tmp_path: Path) -> None:
    """It may have been removed on purpose; one that only lost its log loses nothing."""
    for remove, survives in ((remove_all, False), (remove_log, True)):
        path = tmp_path / remove.__name__ / "runs.sqlite"
        log = SQLiteLog(path)
        ended, live = await start_run(log), await start_run(log)
        await log.append(ended.id, [final(1)])
        remove(path)
        await log.append(live.id, [token(1)])
        if survives:
            assert len(await log.read(ended.id, 0)) == 1
        else:
            with pytest.raises(UnknownRunError) as gone:
                await log.read(ended.id, 0)
            assert not isinstance(gone.value, ExpiredRunError)
        await log.close()


async def test_a_process_that_slept_brings_back_nothing_that_has_ended(tmp_path: Path) -> None:
    """What it has open was copied long ago; since then it has ended, and is gone with a file."""
    path = tmp_path / "data" / "runs.sqlite"
    one, idle = SQLiteLog(path), SQLiteLog(path)
    run = await start_run(one, "ann", "k")
    await one.append(run.id, [token(1)])
    remove_all(path)
    await one.append(run.id, [final(2)])
    remove_all(path)
    live = await start_run(one, "bob")
    for log in (idle, one):
        with pytest.raises(UnknownRunError):
            await log.find(run.id, "ann")
        assert (await log.find(live.id, "bob")).id == live.id
    await one.close()
    await idle.close()


async def test_a_folder_that_is_put_back_is_like_any_other(tmp_path: Path) -> None:
    """Moved away, left by its processes, and moved back: what is live there survives again."""
    path = tmp_path / "data" / "runs.sqlite"
    one = SQLiteLog(path)
    run = await start_run(one, "ann")
    await one.append(run.id, [token(1)])
    path.parent.rename(tmp_path / "aside")
    await one.append(run.id, [token(2)])
    await one.close()
    remove_all(path)
    (tmp_path / "aside").rename(path.parent)
    two = SQLiteLog(path, monotonic=lambda: 0.0)  # no time for upkeep, which would look
    assert [entry.seq for entry in await two.read(run.id, 0)] == [1]
    remove_all(path)
    live = await start_run(two, "bob")
    assert (await two.find(run.id, "ann")).id == run.id
    assert (await two.find(live.id, "bob")).id == live.id
    await two.close()


@pytest.mark.parametrize("size", [0, 4096])
async def test_a_file_that_is_cut_off_is_put_aside(
    tmp_path: Path, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    """By another program, in place: what is written afterwards is there after a restart."""
    path = tmp_path / "runs.sqlite"
    one, two = SQLiteLog(path), SQLiteLog(path)
    run = await start_run(one, "ann")
    await one.append(run.id, [token(1)])
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA wal_checkpoint(PASSIVE)")
    assert path.stat().st_size > 4096
    await asyncio.sleep(2 * LOOK_INTERVAL)
    for log in (one, two):
        await log.find(run.id, "ann")
    os.truncate(path, size)
    with caplog.at_level(logging.WARNING):
        fresh = await start_run(one, "bob")
        await one.append(fresh.id, [final(1)])
    assert 1 <= len(caplog.records) <= 2  # once a process
    assert path.with_name("runs.sqlite.damaged").stat().st_size == size
    later = SQLiteLog(path)
    await asyncio.sleep(2 * LOOK_INTERVAL)
    for log in (two, later):
        assert await log.read(fresh.id, 0) == [final(1)]
        await log.check()
    for log in (one, two, later):
        await log.close()
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_file_that_another_program_vacuums_is_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It shrinks, and no process leaves it: what has ended is there still."""
    path = tmp_path / "runs.sqlite"
    one, two = SQLiteLog(path), SQLiteLog(path)
    run = await start_run(one, "ann")
    large = [Entry(seq, "token", b'{"text":"%b"}' % (b"x" * 9000)) for seq in range(1, 50)]
    await one.append(run.id, large)
    kept = await start_run(two, "ann")
    await two.append(kept.id, [final(1)])
    for log in (one, two):  # each has seen how large it is
        await log.append((await start_run(log, "bob")).id, [token(1)])
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for log in (one, two):
            await log.append((await start_run(log, "bob")).id, [token(1)])
        before = path.stat().st_size
        file.execute("DELETE FROM entries WHERE seq > 1")
        file.execute("VACUUM")
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size < before
    for log in (one, two):
        fresh = await start_run(log, "bob")
        await log.append(fresh.id, [token(1)])
        assert await log.read(kept.id, 0) == [final(1)]
        await log.close()
    assert not path.with_name("runs.sqlite.damaged").exists()
    assert caplog.records == []


async def test_a_place_that_cannot_be_used_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not written into what no other process sees; a live answer waits until the place is free."""
    path = tmp_path / "data" / "runs.sqlite"
    # No time for upkeep, which would find the file gone first and make the folder anew.
    log = SQLiteLog(path, monotonic=lambda: 0.0)
    run = await start_run(log)
    remove_all(path)
    (tmp_path / "data").write_text("in the way")
    for _ in range(2):
        with pytest.raises(RunLogError) as refused:
            await log.append(run.id, [token(1)])
        assert (refused.value.code, refused.value.retryable) == ("overloaded", True)
        assert str(path) not in refused.value.message  # a client reads it
    told = [record.message for record in caplog.records]
    assert len(told) == 1
    assert f"Cannot keep runs in {path}" in told[0]
    assert "Set RIVERRUN_DATA_DIR" in told[0]

    async def free(_: float) -> None:
        (tmp_path / "data").unlink(missing_ok=True)

    await append_patiently(log, run.id, [token(1)], sleep=free)
    assert await log.read(run.id, 0) == [token(1)]
    await log.close()


async def test_a_database_of_something_else_is_not_written_into(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Moved over ours while it is open; when it is moved away, what is live goes on."""
    path = tmp_path / "runs.sqlite"
    log = SQLiteLog(path)
    run = await start_run(log)
    await log.append(run.id, [token(1)])
    with closing(sqlite3.connect(tmp_path / "other")) as file:
        file.execute("CREATE TABLE theirs(a)")
    (tmp_path / "other").replace(path)
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(RunLogError):
            await log.append(run.id, [token(2)])
    told = [record.message for record in caplog.records]
    assert len(told) == 1
    assert f"{path} is a database of something else" in told[0]
    assert path.read_bytes() == before
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]
    path.unlink()
    await log.append(run.id, [token(2)])
    assert await log.read(run.id, 0) == [token(1), token(2)]
    await log.close()


async def test_a_backup_that_is_moved_over_the_file_sets_no_live_run_back(tmp_path: Path) -> None:
    """It has a run as it was; what a reader has seen since is there still."""
    path, backup = tmp_path / "runs.sqlite", tmp_path / "backup"
    one, two = SQLiteLog(path), SQLiteLog(path)
    ended, live = await start_run(one), await start_run(one, "ann", "k")
    await one.append(ended.id, [final(1)])
    await one.append(live.id, [token(1)])
    with closing(sqlite3.connect(path)) as file, closing(sqlite3.connect(backup)) as copy:
        file.backup(copy)
    await one.append(live.id, [token(2)])
    backup.replace(path)
    await one.append(live.id, [token(3)])
    await two.check()
    later = SQLiteLog(path)
    for log in (one, two, later):
        assert await log.read(ended.id, 0) == [final(1)]
        assert await log.read(live.id, 0) == [token(1), token(2), token(3)]
        assert (await start_run(log, "ann", "k")).id == live.id
    for log in (one, two, later):
        await log.close()


async def test_a_file_that_is_moved_and_linked_to_is_the_same(tmp_path: Path) -> None:
    """What was in its write-ahead log is there for a process that follows the link."""
    path, real = tmp_path / "runs.sqlite", tmp_path / "real" / "runs.sqlite"
    real.parent.mkdir()
    log = SQLiteLog(path)
    ended, live = await start_run(log), await start_run(log)
    await log.append(ended.id, [final(1)])
    path.rename(real)
    path.symlink_to(real)
    await log.append(live.id, [token(1)])
    later = SQLiteLog(path)
    assert await later.read(ended.id, 0) == [final(1)]
    assert await later.read(live.id, 0) == [token(1)]
    await later.close()
    await log.close()
    assert path.is_symlink()
    assert names_in(tmp_path) == ["real", "runs.sqlite"]
    assert names_in(real.parent) == ["runs.sqlite"]


async def test_a_link_that_points_elsewhere_is_followed(tmp_path: Path) -> None:
    """Live runs go along; the file that it pointed to stays as it is."""
    path, first, second = (tmp_path / name for name in ("runs.sqlite", "first", "second"))
    path.symlink_to(first)
    log = SQLiteLog(path)
    ended, live = await start_run(log), await start_run(log)
    await log.append(ended.id, [final(1)])
    path.unlink()
    path.symlink_to(second)
    await log.append(live.id, [token(1)])
    later = SQLiteLog(second)
    assert await later.read(live.id, 0) == [token(1)]
    await later.close()
    await log.close()
    again = SQLiteLog(first)
    assert await again.read(ended.id, 0) == [final(1)]
    await again.close()


async def test_reads_go_on_while_another_process_holds_the_lock(tmp_path: Path) -> None:
    """A write waits for it, no reader does."""
    path = tmp_path / "runs.sqlite"
    log = SQLiteLog(path, busy=60.0)
    run = await start_run(log)
    await log.append(run.id, [token(1)])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(log.append(run.id, [token(2)]))
        for _ in range(10):
            assert len(await log.read(run.id, 0)) == 1
        assert not waiting.done(), "no read waited for it: it would have had its minute"
        other.execute("ROLLBACK")
    await waiting
    assert len(await log.read(run.id, 0)) == 2
    await log.close()
