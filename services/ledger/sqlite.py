"""The ledger in one SQLite file, shared by the processes of one machine.

A file of its own beside the run log's: a count must not wait for an answer that is being written.
A commit is in the operating system's hands, not on the disk (`synchronous=NORMAL` with a
write-ahead log): a machine that loses power may forget the last counts, a process that is killed
forgets none.
"""

import asyncio
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from ..errors import SetupError
from ..json_input import parse_json
from .protocol import LedgerError, Record

T = TypeVar("T")

BUSY_SECONDS = 1.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
  key TEXT PRIMARY KEY, value TEXT NOT NULL, version INTEGER NOT NULL, expires REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counters (
  key TEXT NOT NULL, name TEXT NOT NULL, value INTEGER NOT NULL, expires REAL NOT NULL,
  PRIMARY KEY (key, name)
) WITHOUT ROWID;
"""

# So often, in writes, rows that expired are deleted.
_SWEEP_EVERY = 500


class SQLiteLedger:
    """Records and counters in two tables of `path`. Calls run in a thread."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._writes = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=NORMAL")
                self._db.executescript(_SCHEMA)
            except BaseException:
                self._db.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise SetupError(f"The ledger {path} cannot be opened: {error}.") from error

    async def read(self, key: str) -> Record | None:
        """Read a record, or None where there is none (any more)."""
        return await self._run(self._read, key)

    async def write(
        self, key: str, value: Mapping[str, Any], *, version: int, expires: float
    ) -> bool:
        """Replace the record of `version` (0: there is none yet); False when it has another."""

        def write() -> bool:
            found = self._read(key)
            if (found.version if found else 0) != version:
                return False
            row = (key, json.dumps(dict(value)), version + 1, expires)
            self._db.execute("REPLACE INTO records VALUES (?, ?, ?, ?)", row)
            return True

        return await self._run(self._in_transaction, write)

    async def add(
        self,
        key: str,
        amounts: Mapping[str, int],
        *,
        limits: Mapping[str, int] | None = None,
        expires: float,
    ) -> bool:
        """Add `amounts` to the counters of `key`; False, and nothing added, at a limit."""

        def add() -> bool:
            found = self._counters(key)
            if any(found.get(name, 0) >= limit for name, limit in (limits or {}).items()):
                return False
            rows = [(key, n, found.get(n, 0) + amount, expires) for n, amount in amounts.items()]
            self._db.executemany("REPLACE INTO counters VALUES (?, ?, ?, ?)", rows)
            return True

        return await self._run(self._in_transaction, add)

    async def counters(self, key: str) -> Mapping[str, int]:
        """Read the counters of `key`; empty where there are none (any more)."""
        return await self._run(self._counters, key)

    async def close(self) -> None:
        """Close the file."""
        await asyncio.to_thread(self._db.close)

    def _read(self, key: str) -> Record | None:
        row = self._db.execute(
            "SELECT value, version FROM records WHERE key = ? AND expires > ?",
            (key, self._clock()),
        ).fetchone()
        return Record(parse_json(row[0]), row[1]) if row else None

    def _counters(self, key: str) -> dict[str, int]:
        query = "SELECT name, value FROM counters WHERE key = ? AND expires > ?"
        return dict(self._db.execute(query, (key, self._clock())).fetchall())

    def _in_transaction(self, step: Callable[[], bool]) -> bool:
        with closing(self._db.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                done = step()
                self._sweep()
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")
        return done

    def _sweep(self) -> None:
        self._writes += 1
        if self._writes % _SWEEP_EVERY == 0:
            for table in ("records", "counters"):
                self._db.execute(f"DELETE FROM {table} WHERE expires <= ?", (self._clock(),))  # noqa: S608 - two known names

    async def _run(self, call: Callable[..., T], *arguments: Any) -> T:
        def run_locked() -> T:
            with self._lock:
                return call(*arguments)

        try:
            return await asyncio.to_thread(run_locked)
        except (sqlite3.Error, OSError) as error:
            raise LedgerError from error
