"""A file that cannot be used says so when it is opened, and is left as it is."""

import asyncio
import os
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from services.errors import SetupError
from services.runs import Entry, RunLogError
from services.runs.sqlite.log import SQLiteLog
from services.runs.sqlite.opening import APPLICATION_ID, FORMAT
from services.settings import ROOT


async def write_run(path: Path) -> str:
    """A file with a run of three entries; the run's id."""
    log = SQLiteLog(path)
    run, _ = await log.start(owner=None, key=None, fingerprint="f")
    await log.append(run.id, [Entry(seq, "token", b"x" * 3000) for seq in (1, 2, 3)])
    await log.close()
    return run.id


async def entries_in(path: Path, run_id: str) -> list[int]:
    """The numbers that a run has in a file."""
    log = SQLiteLog(path)
    try:
        return [entry.seq for entry in await log.read(run_id, 0)]
    finally:
        await log.close()


def refusal(path: Path, busy: float = 5.0) -> str:
    """What the person is told who opens `path`."""
    with pytest.raises(SetupError) as refused:
        SQLiteLog(path, busy=busy)
    assert refused.value.code == "internal"
    assert not refused.value.retryable
    assert str(path) in refused.value.message
    return refused.value.message


@contextmanager
def drop_privileges(path: Path) -> Iterator[None]:
    """Run as an unprivileged user for a while, if we are root: root may write what is read-only."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)
    else:
        yield


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter: pytest's own are for their owner alone."""
    folder = Path(tempfile.mkdtemp(prefix="riverrun-"))
    folder.chmod(0o777)
    yield folder
    folder.chmod(0o777)
    shutil.rmtree(folder)


def test_a_new_file_is_private(tmp_path: Path) -> None:
    """It is made with its folder, for its owner, and says whose it is."""
    path = tmp_path / "a" / "b" / "runs.sqlite"
    asyncio.run(write_run(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert file.execute("PRAGMA user_version").fetchone() == (FORMAT,)
        assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_commit_is_on_the_disk(tmp_path: Path) -> None:
    """Every one is flushed: the promise is the disk's, not the system's cache's."""
    log = SQLiteLog(tmp_path / "runs.sqlite")
    assert log._file._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    asyncio.run(log.close())


def test_who_closes_last_leaves_one_file(tmp_path: Path) -> None:
    """Without a write-ahead log beside it."""
    asyncio.run(write_run(tmp_path / "runs.sqlite"))
    assert [path.name for path in tmp_path.iterdir()] == ["runs.sqlite"]


@pytest.mark.parametrize("content", [b"hello", b"hello\n" * 1000, b"\0" * 5000])
def test_what_is_no_database_is_left_alone(tmp_path: Path, content: bytes) -> None:
    """Short, long, or full of zeros."""
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    assert "not a database" in refusal(path)
    assert path.read_bytes() == content


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    """With tables, or only with a number that is not ours."""
    for number, statement in enumerate(("CREATE TABLE t(a)", "PRAGMA application_id=7")):
        path = tmp_path / f"{number}.sqlite"
        with closing(sqlite3.connect(path)) as file:
            file.execute(statement)
            file.execute("PRAGMA user_version=3")
        before = path.read_bytes()
        assert "something else" in refusal(path)
        assert path.read_bytes() == before


def test_a_database_of_something_else_is_left_alone_beside_a_log_of_ours(tmp_path: Path) -> None:
    """Moved over our file when its process was killed: SQLite would put our pages into it."""
    path, copied = tmp_path / "runs.sqlite", tmp_path / "copy"

    async def crash() -> None:
        log = SQLiteLog(path)
        await log.start(owner=None, key=None, fingerprint="f")
        shutil.copytree(tmp_path, copied, ignore=shutil.ignore_patterns("copy"))
        await log.close()

    asyncio.run(crash())
    path = copied / "runs.sqlite"
    with closing(sqlite3.connect(tmp_path / "other")) as file:
        file.execute("CREATE TABLE theirs(a)")
    (tmp_path / "other").replace(path)
    before = path.read_bytes()
    assert "something else" in refusal(path)
    assert path.read_bytes() == before


def test_a_newer_format_is_left_alone(tmp_path: Path) -> None:
    """It says what to do, and which format it is."""
    path = tmp_path / "runs.sqlite"
    asyncio.run(write_run(path))
    with closing(sqlite3.connect(path)) as file:
        file.execute(f"PRAGMA user_version={FORMAT + 1}")
    before = path.read_bytes()
    assert f"format {FORMAT + 1}" in refusal(path)
    assert path.read_bytes() == before


def test_a_file_from_before_times_were_taken_goes_on(tmp_path: Path) -> None:
    """What was in it is there, times are taken from now on, and the older program still writes."""
    path = tmp_path / "runs.sqlite"
    run_id = asyncio.run(write_run(path))
    with closing(sqlite3.connect(path)) as file:
        file.execute("DROP TABLE append_times")

    async def goes_on() -> list[int]:
        log = SQLiteLog(path)
        await log.append(run_id, [Entry(4, "token", b"x")])
        with closing(sqlite3.connect(path)) as older:
            older.execute("INSERT INTO entries VALUES (1, 5, 'token', x'78', 0)")
            older.execute("UPDATE runs SET last = 5")
            older.commit()
        await log.append(run_id, [Entry(6, "final", b"x", terminal=True)])
        times = [last for last, _ in await log.read_append_times(run_id)]
        await log.close()
        return times

    assert asyncio.run(goes_on()) == [4, 6]
    assert asyncio.run(entries_in(path, run_id)) == [1, 2, 3, 4, 5, 6]


def test_a_folder_or_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    """Where the file should be, and where its folder should be."""
    refusal(tmp_path)
    (tmp_path / "file").write_text("")
    refusal(tmp_path / "file" / "runs.sqlite")


@pytest.mark.parametrize("kind", ["a folder", "a device", "a pipe", "a socket"])
def test_what_is_no_file_is_told_at_once(tmp_path: Path, kind: str) -> None:
    """SQLite would wait for what a pipe has to say."""
    path = tmp_path / "runs.sqlite"
    if kind == "a folder":
        path.mkdir()
    elif kind == "a device":
        path.symlink_to(os.devnull)
    elif kind == "a pipe":
        os.mkfifo(path)
    else:
        with closing(socket.socket(socket.AF_UNIX)) as listener:
            listener.bind(str(path))
    assert f"is {kind}, no file" in refusal(path)


def test_a_file_that_may_not_be_written_is_told(open_folder: Path) -> None:
    """And what is in it is not harmed."""
    path = open_folder / "runs.sqlite"
    run_id = asyncio.run(write_run(path))
    path.chmod(0o444)
    with drop_privileges(path):
        message = refusal(path)
    assert "writable" in message or "rights" in message
    path.chmod(0o600)
    assert asyncio.run(entries_in(path, run_id)) == [1, 2, 3]


def test_a_folder_that_may_not_be_written_is_told(open_folder: Path) -> None:
    """With the file in it, and without."""
    folder = open_folder / "data"
    path = folder / "runs.sqlite"
    run_id = asyncio.run(write_run(path))
    path.chmod(0o666)
    folder.chmod(0o555)
    with drop_privileges(path):
        refusal(path)
        refusal(folder / "other.sqlite")
        refusal(folder / "deeper" / "runs.sqlite")
    folder.chmod(0o755)
    assert asyncio.run(entries_in(path, run_id)) == [1, 2, 3]


def test_a_locked_file_is_waited_for_and_then_told(tmp_path: Path) -> None:
    """Another process writes and does not end; when it does, all is well."""
    path = tmp_path / "runs.sqlite"
    run_id = asyncio.run(write_run(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RunLogError) as refused:
            SQLiteLog(path, busy=0.05)
        assert (refused.value.code, refused.value.retryable) == ("overloaded", True)
        assert str(path) not in f"{refused.value} {refused.value.hint}"  # a client reads it
        other.execute("ROLLBACK")
    assert asyncio.run(entries_in(path, run_id)) == [1, 2, 3]


def test_who_makes_it_may_be_in_the_middle_of_it(tmp_path: Path) -> None:
    """SQLite does not wait for them by itself: switching to its write-ahead log fails at once."""
    path = tmp_path / "runs.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        done = threading.Timer(0.2, other.execute, ("ROLLBACK",))
        done.start()
        run_id = asyncio.run(write_run(path))
        done.join()
    assert asyncio.run(entries_in(path, run_id)) == [1, 2, 3]


def test_a_damaged_file_is_told_after_a_crash(tmp_path: Path) -> None:
    """Looked at when it was not closed properly; what can be saved from it stays."""
    path = tmp_path / "runs.sqlite"
    left_open = tmp_path / "left" / "runs.sqlite"
    left_open.parent.mkdir()

    async def crash() -> None:
        log = SQLiteLog(path)
        run, _ = await log.start(owner=None, key=None, fingerprint="f")
        for seq in range(1, 200):
            await log.append(run.id, [Entry(seq, "token", b"x" * 3000)])
        log._file._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        await log.append(run.id, [Entry(200, "token", b"x")])
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{left_open}{suffix}")
        await log.close()

    asyncio.run(crash())
    content = bytearray(left_open.read_bytes())
    for page in range(2, len(content) // 4096):
        content[page * 4096 : page * 4096 + 12] = b"\xff" * 12
    left_open.write_bytes(content)
    assert "damaged" in refusal(left_open)
    assert left_open.read_bytes() == content


def test_a_write_ahead_log_of_a_killed_process_is_recovered(tmp_path: Path) -> None:
    """What was committed is there, though only the write-ahead log had it."""
    path = tmp_path / "runs.sqlite"
    copied = tmp_path / "copy" / "runs.sqlite"
    copied.parent.mkdir()

    async def crash() -> str:
        log = SQLiteLog(path)
        run, _ = await log.start(owner=None, key=None, fingerprint="f")
        await log.append(run.id, [Entry(1, "token", b"x"), Entry(2, "token", b"y")])
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{copied}{suffix}")
        await log.close()
        return run.id

    run_id = asyncio.run(crash())
    # Torn in the middle of a write: the last bytes are of nothing that was committed.
    with Path(f"{copied}-wal").open("ab") as file:
        file.write(b"\x01" * 5000)
    assert asyncio.run(entries_in(copied, run_id)) == [1, 2]


def test_many_processes_may_make_it_at_once(tmp_path: Path) -> None:
    """The first makes the tables, and the others find them."""
    path = tmp_path / "data" / "runs.sqlite"
    code = (
        "import asyncio, sys; from services.runs.sqlite.log import SQLiteLog;"
        "log = SQLiteLog(sys.argv[1]);"
        "asyncio.run(log.start(owner=None, key=None, fingerprint='f'));"
        "asyncio.run(log.close())"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path)], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]
    said = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 6, said
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT count(*) FROM runs").fetchone() == (6,)
