"""One SQLite file, one connection, one thread; work is given to it from the event loop.

Writes that are waiting at the same moment go into one transaction, because a transaction costs a
flush to the disk and a flush costs milliseconds: a thousand runs that append at once share it.
Each write is a savepoint of its own, so one that is refused takes no other with it. A write is
done when its transaction is on the disk (`synchronous=FULL`), and its caller hears of it only then.
While another process holds the file's lock, writes wait in short slices and reads go on.

Knows files and transactions; what the tables mean is the business of `services.runs.sqlite.log`.
"""

import asyncio
import logging
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from ...errors import RiverrunError, SetupError
from ..errors import RunLogError
from .faults import Complaints, is_busy, is_doubtful, translate_running_error
from .opening import open_file
from .place import Place
from .requests import Request, Work, deliver
from .successor import Survivors, replace_file

logger = logging.getLogger("riverrun.runs")

T = TypeVar("T")

# How long SQLite itself waits for another process's lock, in seconds: reads wait for no longer.
LOCK_SLICE = 0.1

# How often reads look whether the file is still the one at its path, and how often there is upkeep,
# in seconds.
LOOK_INTERVAL = 0.1
UPKEEP_INTERVAL = 1.0

# How often a file that is damaged is tried again, in seconds.
REOPENING_INTERVAL = 1.0


class File:
    """An open file. Opened where it is made; `close` ends its thread.

    `busy` is how long a write waits for another process's, in seconds. `upkeep` does a little of
    what keeps the file small, in a transaction of its own, and says whether there is more to do.
    `live` says what must not be lost of a file that was removed.
    `monotonic` says when upkeep is due. Raises `SetupError` when the file cannot be used, and
    `RunLogError` when it is locked.
    """

    def __init__(
        self,
        path: Path,
        schema: str,
        *,
        busy: float = 5.0,
        upkeep: Work[bool] | None = None,
        live: Survivors | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._opened_by = os.getpid()
        self._schema = schema
        self._busy = busy
        self._upkeep = upkeep
        self._live = live
        self._monotonic = monotonic
        self._flushes = True
        self._place = Place(path)
        self._connection = self._adopt(open_file(path, schema, busy))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="riverrun-log")
        self._lock = threading.Lock()
        self._reads: deque[Request] = deque()
        self._writes: deque[Request] = deque()
        self._working = False
        self._closed = False
        self._looked_at = 0.0
        self._kept_up_at = 0.0
        self._complaints = Complaints()
        self._is_doubted = False
        self._reopens_at = 0.0

    async def read(self, work: Work[T]) -> T:
        """Run `work`, which only reads, and return what it returns."""
        return await self._submit(self._reads, work)

    async def write(self, work: Work[T], *, flushed: bool = True) -> T:
        """Run `work` in a transaction and return what it returns once that is on the disk.

        Not `flushed`, it is safe from the end of this process at once, and from that of the
        machine with the next write that is: a flush takes everything before it along.

        What `work` raises undoes it, and only it. Raises `RunLogError` or `SetupError` when the
        file is at fault.
        """
        return await self._submit(self._writes, work, flushed=flushed)

    async def close(self) -> None:
        """Finish what was asked for, then close. Closing again changes nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        done = self._thread.submit(self._close)
        await asyncio.wrap_future(done)
        self._thread.shutdown(wait=True)

    async def _submit(self, asked: deque[Request], work: Work[T], *, flushed: bool = True) -> T:
        if os.getpid() != self._opened_by:
            # SQLite can be neither used nor opened anew there, and this file's thread is elsewhere.
            raise SetupError(
                "The run log was opened before this process was forked from another one. Open it "
                "afterwards: with gunicorn, leave out --preload."
            )
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._closed:
                raise RunLogError("The run log is closed.")
            asked.append(Request(work, future, flushed, time.monotonic()))
            if not self._working:
                self._working = True
                self._thread.submit(self._serve)
        return await future

    def _close(self) -> None:
        self._connection.close()  # the one that is open then
        self._place.release()

    def _serve(self) -> None:
        while True:
            with self._lock:
                reads, writes = list(self._reads), list(self._writes)
                self._reads.clear()
                self._writes.clear()
            # Before the writes: a read need not wait for the disk.
            if reads:
                self._read(reads)
                deliver(reads)
            if writes:
                waiting = self._write(writes)
                deliver([asked for asked in writes if asked not in waiting])
                with self._lock:
                    self._writes.extendleft(reversed(waiting))
            more = self._keep_up()
            with self._lock:
                if not self._reads and not self._writes and not (more and not self._closed):
                    self._working = False
                    return

    def _read(self, reads: list[Request]) -> None:
        if (now := self._monotonic()) - self._looked_at >= LOOK_INTERVAL:
            self._looked_at = now
            if self._is_doubted or self._place.has_changed(self._connection):
                self._write([])
        for asked in reads:
            try:
                asked.result = asked.work(self._connection)
            except Exception as error:  # noqa: BLE001 - handed to the caller
                asked.error = self._translate(error)

    def _write(self, writes: list[Request]) -> list[Request]:
        """Do `writes` in one transaction. Returns those that go on waiting for a lock."""
        try:
            self._begin(flushed=any(asked.flushed for asked in writes))
        except (sqlite3.Error, RiverrunError, OSError) as error:
            self._roll_back()
            now = time.monotonic()
            locked = isinstance(error, sqlite3.Error) and is_busy(error)
            waiting = [asked for asked in writes if locked and now - asked.since < self._busy]
            for asked in writes:
                asked.error = None if asked in waiting else self._translate(error)
            return waiting
        try:
            for asked in writes:
                self._write_one(asked)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            for asked in writes:
                asked.error = self._translate(error)
        return []

    def _begin(self, *, flushed: bool) -> None:
        self._reopen_doubted()
        try:
            if flushed is not self._flushes:
                self._connection.execute(f"PRAGMA synchronous={'FULL' if flushed else 'NORMAL'}")
                self._flushes = flushed
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            # What was cut off cannot be locked either, so there is no one to be waited for.
            if is_busy(error) or not self._place.has_changed(self._connection):
                raise
        else:
            # Looked at with the lock held: no process writes into a file that another has left.
            if not self._place.has_changed(self._connection):
                return
        self._move()
        self._connection.execute("BEGIN IMMEDIATE")

    def _move(self) -> None:
        """Go on in a new file: the one that is open is not, or not whole, at its path any more."""
        old = self._connection
        self._place.put_aside(old)
        new = replace_file(
            self._path,
            self._schema,
            self._busy,
            removed=(old, self._place.identity),
            live=self._live,
        )
        logger.warning(
            "%s was removed, replaced or cut off while it was in use. Live answers go on in the"
            " file that is there now.",
            self._path,
        )
        with suppress(sqlite3.Error):
            old.execute("ROLLBACK")
        old.close()
        self._connection = self._adopt(new)

    def _adopt(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        connection.execute(f"PRAGMA busy_timeout={int(min(self._busy, LOCK_SLICE) * 1000)}")
        self._flushes = True
        self._is_doubted = False
        self._place.note_opened()
        return connection

    def _write_one(self, asked: Request) -> None:
        self._connection.execute("SAVEPOINT one")
        try:
            asked.result = asked.work(self._connection)
        except (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.ProgrammingError) as error:
            asked.error = error
        except sqlite3.DatabaseError:
            raise  # the file is at fault, not the one who asked
        except Exception as error:  # noqa: BLE001 - handed to the caller
            asked.error = error
        if asked.error is not None:
            self._connection.execute("ROLLBACK TO one")
        self._connection.execute("RELEASE one")

    def _keep_up(self) -> bool:
        now = self._monotonic()
        if self._upkeep is None or now - self._kept_up_at < UPKEEP_INTERVAL:
            return False
        try:
            self._begin(flushed=False)
            more = self._upkeep(self._connection)
            self._connection.execute("COMMIT")
        except (sqlite3.Error, RiverrunError, OSError):
            self._roll_back()  # who writes next is told what is at fault
            more = False
        if not more:
            self._kept_up_at = now
        return more

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def _reopen_doubted(self) -> None:
        """Open a file anew that was damaged in place: it may be sound again, what is cached is not.

        Where it is not, the one that is open goes on: some of it may be read.
        """
        began = time.monotonic()
        if not self._is_doubted or began < self._reopens_at or self._place.is_left():
            return
        try:
            new = open_file(self._path, self._schema, min(self._busy, LOCK_SLICE))
        except RiverrunError as error:
            self._translate(error)
            # A large file is looked through for long.
            now = time.monotonic()
            self._reopens_at = now + max(REOPENING_INTERVAL, 20 * (now - began))
            return
        self._connection.close()
        self._connection = self._adopt(new)

    def _translate(self, error: Exception) -> Exception:
        if not isinstance(error, (sqlite3.Error, OSError, SetupError)):
            return error
        told, fault = translate_running_error(error, self._path)
        if fault is not None:
            self._complaints.tell(fault)
        self._is_doubted = self._is_doubted or is_doubtful(error)
        told.__cause__ = error
        return told
