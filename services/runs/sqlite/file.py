"""One SQLite file, one connection, one thread; work is given to it from the event loop.

Writes that are waiting at the same moment go into one transaction, because a transaction costs a
flush to the disk and a flush costs milliseconds: a thousand runs that append at once share it.
Each write is a savepoint of its own, so one that is refused takes no other with it. A write is
done when its transaction is on the disk (`synchronous=FULL`), and its caller hears of it only then.

Knows files and transactions; what the tables mean is the business of `services.runs.sqlite`.
"""

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..errors import RunLogError
from .opening import open_file, translate_error

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


@dataclass(slots=True)
class _Request:
    work: Work[Any]
    future: "asyncio.Future[Any]"
    flushed: bool = True
    result: Any = None
    error: BaseException | None = None


class File:
    """An open file. Opened where it is made; `close` ends its thread.

    `busy` is how long to wait for another process's write, in seconds. Raises `SetupError` when
    the file cannot be used.
    """

    def __init__(self, path: Path, schema: str, *, busy: float = 5.0) -> None:
        self._path = path
        self._connection = open_file(path, schema, busy)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="riverrun-log")
        self._lock = threading.Lock()
        self._reads: deque[_Request] = deque()
        self._writes: deque[_Request] = deque()
        self._working = False
        self._closed = False
        self._flushes = True

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
        done = self._thread.submit(self._connection.close)
        await asyncio.wrap_future(done)
        self._thread.shutdown(wait=True)

    async def _submit(self, asked: deque[_Request], work: Work[T], *, flushed: bool = True) -> T:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._closed:
                raise RunLogError("The run log is closed.")
            asked.append(_Request(work, future, flushed))
            if not self._working:
                self._working = True
                self._thread.submit(self._serve)
        return await future

    def _serve(self) -> None:
        while True:
            with self._lock:
                reads, writes = list(self._reads), list(self._writes)
                self._reads.clear()
                self._writes.clear()
                if not reads and not writes:
                    self._working = False
                    return
            # Before the writes: a read need not wait for the disk.
            if reads:
                self._read(reads)
                _deliver(reads)
            if writes:
                self._write(writes)
                _deliver(writes)

    def _read(self, reads: list[_Request]) -> None:
        for asked in reads:
            try:
                asked.result = asked.work(self._connection)
            except Exception as error:  # noqa: BLE001 - handed to the caller
                asked.error = self._translate(error)

    def _write(self, writes: list[_Request]) -> None:
        try:
            self._flush(flushed=any(asked.flushed for asked in writes))
            self._connection.execute("BEGIN IMMEDIATE")
            for asked in writes:
                self._write_one(asked)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
            for asked in writes:
                asked.error = self._translate(error)

    def _flush(self, *, flushed: bool) -> None:
        if flushed is not self._flushes:
            self._connection.execute(f"PRAGMA synchronous={'FULL' if flushed else 'NORMAL'}")
            self._flushes = flushed

    def _write_one(self, asked: _Request) -> None:
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

    def _translate(self, error: Exception) -> Exception:
        if not isinstance(error, sqlite3.Error):
            return error
        told = translate_error(error, self._path)
        told.__cause__ = error
        return told


def _deliver(done: list[_Request]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Request]] = {}
    for asked in done:
        by_loop.setdefault(asked.future.get_loop(), []).append(asked)
    for loop, theirs in by_loop.items():
        # A loop that is closed has no caller left.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, theirs)


def _settle(done: list[_Request]) -> None:
    for asked in done:
        if asked.future.done():
            continue
        if asked.error is not None:
            asked.future.set_exception(asked.error)
        else:
            asked.future.set_result(asked.result)
