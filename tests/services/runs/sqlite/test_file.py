"""One connection, one thread: writes share a flush, each stands alone, and faults are typed."""

import asyncio
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from services.runs import Entry, RunLogError
from services.runs.retry import append_patiently
from services.runs.sqlite.file import File
from services.runs.sqlite.log import SQLiteLog
from services.runs.sqlite.requests import Work
from services.settings import ROOT
from tests.services.runs.conformance import final, start_run, token
from tests.services.runs.disk_faults import FaultyConnection, make_error

pytestmark = pytest.mark.anyio

SCHEMA = "CREATE TABLE IF NOT EXISTS said (word TEXT NOT NULL)"


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[File]:
    """A file with a table of words."""
    file = File(tmp_path / "words.sqlite", SCHEMA, busy=0.1)
    yield file
    await file.close()


def say(word: str) -> Work[str]:
    """Work that adds a word."""

    def work(connection: sqlite3.Connection) -> str:
        connection.execute("INSERT INTO said VALUES (?)", (word,))
        if word == "no":
            raise ValueError(word)
        return word

    return work


def words(connection: sqlite3.Connection) -> list[str]:
    """What was said."""
    return [word for (word,) in connection.execute("SELECT word FROM said ORDER BY rowid")]


class WatchedConnection:
    """A connection that remembers its transactions."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.statements: list[str] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)

    def execute(self, statement: str, *values: object) -> object:
        """Remember, and do."""
        self.statements.append(statement)
        return self._connection.execute(statement, *values)  # type: ignore[arg-type]  # passed on


async def test_writes_that_wait_together_share_a_transaction(file: File) -> None:
    """Two hundred at once are two or three flushes, and in the order in which they were asked."""
    watched = WatchedConnection(file._connection)
    file._connection = watched  # type: ignore[assignment]  # a connection that tells
    said = await asyncio.gather(*(file.write(say(str(n))) for n in range(200)))
    assert said == [str(n) for n in range(200)]
    assert await file.read(words) == said
    assert watched.statements.count("COMMIT") <= 5


async def test_a_write_that_is_refused_takes_no_other_with_it(file: File) -> None:
    """Its own changes are undone, and it alone is told."""
    told = await asyncio.gather(
        *(file.write(say(word)) for word in ("one", "no", "two", "no", "three")),
        return_exceptions=True,
    )
    assert [str(each) for each in told] == ["one", "no", "two", "no", "three"]
    assert [type(each) for each in told] == [str, ValueError, str, ValueError, str]
    assert await file.read(words) == ["one", "two", "three"]


async def test_a_value_that_no_database_takes_is_told_to_its_giver_alone(file: File) -> None:
    """A number too large, a None where there must be something, half a surrogate pair."""
    wrong: list[object] = [10**30, None, "\ud800", object()]

    def add(value: object) -> Work[str]:
        return lambda connection: str(connection.execute("INSERT INTO said VALUES (?)", (value,)))

    told = await asyncio.gather(
        *(file.write(work) for value in wrong for work in (add(value), say("ok"))),
        return_exceptions=True,
    )
    assert all(isinstance(each, Exception) for each in told[::2])
    assert told[1::2] == ["ok"] * 4
    assert await file.read(words) == ["ok"] * 4


async def test_a_transaction_that_fails_is_told_to_all_of_it(file: File) -> None:
    """Each gets an error of its own, nothing is kept, and the next one is served."""
    real = file._connection

    class Full(FaultyConnection):
        """No room at the end."""

        def execute(self, statement: str, *values: object) -> object:
            if statement == "COMMIT":
                real.execute("ROLLBACK")
                raise make_error(sqlite3.SQLITE_FULL)
            return real.execute(statement, *values)  # type: ignore[arg-type]  # passed on

    file._connection = Full(real, None, 0)  # type: ignore[assignment, arg-type]  # fails like one
    told = await asyncio.gather(
        *(file.write(say(str(n))) for n in range(5)), return_exceptions=True
    )
    assert [type(each) for each in told] == [RunLogError] * 5
    assert len({id(each) for each in told}) == 5
    assert "no room" in str(told[0])
    file._connection = real
    assert await file.read(words) == []
    assert await file.write(say("again")) == "again"


async def test_a_foreign_lock_is_waited_for_and_then_reported(file: File) -> None:
    """As something that will pass; then it does."""
    with closing(sqlite3.connect(file._path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RunLogError) as busy:
            await file.write(say("early"))
        assert (busy.value.code, busy.value.retryable) == ("overloaded", True)
        assert await file.read(words) == []
        other.execute("ROLLBACK")
    assert await file.write(say("late")) == "late"


async def test_a_caller_that_gave_up_disturbs_no_other(file: File) -> None:
    """Its write may be kept, and the others are told of theirs."""
    tasks = [asyncio.create_task(file.write(say(str(n)))) for n in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert told[1::2] == [str(n) for n in range(1, 20, 2)]
    assert set(told[1::2]) <= set(await file.read(words))


async def test_closing_finishes_what_was_asked_for(tmp_path: Path) -> None:
    """And refuses what comes later; closing twice is closing."""
    file = File(tmp_path / "words.sqlite", SCHEMA)
    writes = [asyncio.create_task(file.write(say(str(n)))) for n in range(50)]
    await asyncio.sleep(0)
    await file.close()
    await file.close()
    assert await asyncio.gather(*writes) == [str(n) for n in range(50)]
    for call in (file.read(words), file.write(say("late"))):
        with pytest.raises(RunLogError):
            await call
    with closing(sqlite3.connect(tmp_path / "words.sqlite")) as other:
        assert words(other) == [str(n) for n in range(50)]


def test_another_loop_may_use_it_later(tmp_path: Path) -> None:
    """A function that runs a loop for each call keeps its log."""
    file = File(tmp_path / "words.sqlite", SCHEMA)
    for n in range(3):
        assert asyncio.run(file.write(say(str(n)))) == str(n)
    asyncio.run(file.close())


async def test_a_full_disk_harms_nothing_that_was_written(tmp_path: Path) -> None:
    """A typed error that says so, before anything is paid; when there is room it goes on."""
    path = tmp_path / "runs.sqlite"
    log = SQLiteLog(path)
    run = await start_run(log)
    await log.append(run.id, [token(1)])
    connection = log._file._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(RunLogError, match="no room"):
        await log.append(run.id, [token(2, b"x" * 200_000)])
    with pytest.raises(RunLogError, match="no room"):
        await log.start(owner=None, key=None, fingerprint="f", question=b"x" * 200_000)
    assert await log.read(run.id, 0) == [token(1)]
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.execute(f"PRAGMA max_page_count={2**30}")
    await log.append(run.id, [token(2, b"x" * 200_000), final(3)])
    await log.close()


LIMITED = """
import asyncio, resource, signal, sys
from services.errors import RiverrunError
from services.runs import Entry
from services.runs.sqlite.log import SQLiteLog
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
async def main():
    log = SQLiteLog(sys.argv[1])
    run, _ = await log.start(owner=None, key=None, fingerprint="f")
    print(run.id)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    for seq in range(1, 1000):
        try:
            await log.append(run.id, [Entry(seq, "token", b"x" * 5000)])
        except RiverrunError as error:
            print(type(error).__name__, file=sys.stderr)
            break
        print(seq, flush=True)
asyncio.run(main())
"""


def test_a_file_that_may_not_grow_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    """The system refuses to write more: typed, and every acknowledged entry is there."""
    path = tmp_path / "runs.sqlite"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    run_id, *acknowledged = done.stdout.split()
    assert "RunLogError" in done.stderr.split(), done.stderr
    entries = asyncio.run(entries_in(path, run_id))
    assert [entry.seq for entry in entries] == [int(seq) for seq in acknowledged]
    assert len(entries) > 3


async def entries_in(path: Path, run_id: str) -> list[Entry]:
    """What a file has of a run, which can still be written."""
    log = SQLiteLog(path)
    entries = await log.read(run_id, 0, 1000)
    await log.append(run_id, [Entry(len(entries) + 1, "token", b"x")])
    await log.close()
    return entries


async def test_a_disk_that_fails_for_a_moment_loses_no_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The writer tries again, and the operator is told once."""
    log = SQLiteLog(tmp_path / "runs.sqlite")

    class Failing(FaultyConnection):
        left = 3

        def execute(self, statement: str, *values: Any) -> object:
            if statement == "COMMIT" and self.left:
                self.left -= 1
                raise make_error(sqlite3.SQLITE_IOERR_FSYNC)
            return self._connection.execute(statement, *values)

    run = await start_run(log)
    file = log._file
    file._connection = Failing(file._connection, random.Random(1), 0)  # type: ignore[assignment]
    await append_patiently(log, run.id, [token(1), final(2)])
    assert await log.read(run.id, 0) == [token(1), final(2)]
    assert [record.message for record in caplog.records if "fails" in record.message] == [
        f"The disk that holds {tmp_path / 'runs.sqlite'} fails: it went wrong."
    ]
    await log.close()


FORK = """
import asyncio, os, sys
from pathlib import Path
from services.errors import SetupError
from services.runs.sqlite.log import SQLiteLog

async def use(log):
    await log.list_recent()

log = SQLiteLog(Path(sys.argv[1]))
asyncio.run(use(log))
child = os.fork()
if child == 0:
    try:
        asyncio.run(use(log))
    except SetupError as error:
        os._exit(7 if "--preload" in error.message else 1)
    os._exit(2)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
asyncio.run(use(log))
asyncio.run(log.close())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_process_that_was_forked_from_the_opener_is_told_so(tmp_path: Path) -> None:
    """It would wait for a thread that it does not have; the opener goes on."""
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(tmp_path / "runs.sqlite")],
        cwd=ROOT,
        timeout=60,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
