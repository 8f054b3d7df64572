"""The run log in one SQLite file: the embedded default, for one machine, durable.

Any number of processes may share the file; each write is on the disk (write-ahead log,
`synchronous=FULL`) before its caller goes on. Knows tables; `services.runs.sqlite.file` knows
the file.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import (
    ExpiredRunError,
    IdempotencyConflictError,
    SequenceConflictError,
    UnknownRunError,
)
from ..log import (
    DURABLE_RETENTION_SECONDS,
    LAST_SEQ,
    LEASE_SECONDS,
    Entry,
    Run,
    Summary,
    check_next,
    new_id,
)
from ..notify import Notifier
from ..packing import to_bytes, to_text
from .file import File
from .rows import (
    RUN,
    SCHEMA,
    entry_of,
    insert_run,
    mark_read,
    newest_of,
    read_mark_until,
    run_of,
    run_of_key,
    scope_of,
    state_of,
    sweep,
)

KEEP_TURNS = 20

# How often old rows are dropped, in seconds.
SWEEP_SECONDS = 1.0


class SQLiteLog:
    """`RunLog` in the file at `path`.

    A run is kept for `retention` seconds after its last sign of life. `busy` is how long to wait
    for another process's write, in seconds; `now` gives epoch seconds. Raises `SetupError` when the
    file cannot be used.
    """

    is_durable = True

    def __init__(
        self,
        path: Path | str,
        *,
        retention: float = DURABLE_RETENTION_SECONDS,
        busy: float = 5.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._file = File(Path(path), SCHEMA, busy=busy)
        self._retention = retention
        self._now = now
        self._notifier = Notifier()
        self._swept = 0.0
        self._version: int | None = None

    async def start(
        self,
        *,
        owner: str | None,
        key: str | None,
        fingerprint: str,
        question: bytes = b"",
        lease: float = LEASE_SECONDS,
    ) -> tuple[Run, bool]:
        """See `RunLog.start`."""
        now = self._now()
        run = Run(
            id=new_id(),
            owner=owner,
            created=now,
            fingerprint=fingerprint,
            question=question,
            lease_until=now + lease,
        )

        def make(connection: sqlite3.Connection) -> tuple[Run, bool]:
            self._sweep(connection, now)
            if key is not None and (known := run_of_key(connection, owner, key, now)) is not None:
                if known.fingerprint != fingerprint:
                    raise IdempotencyConflictError
                return known, False
            insert_run(connection, run, key, now + self._retention)
            return run, True

        # The first entry is flushed and takes the run along; before it nothing was said or paid.
        return await self._file.write(make, flushed=False)

    async def find(self, run_id: str, owner: str | None) -> Run:
        """See `RunLog.find`."""
        now = self._now()

        def look(connection: sqlite3.Connection) -> Run:
            row = connection.execute(
                f"SELECT {RUN}, expires FROM runs WHERE id = ? AND scope = ?",  # noqa: S608 - constants
                (run_id, scope_of(owner)),
            ).fetchone()
            if row is not None and row[-1] > now:
                return run_of(row[:-1])
            gone = (
                row is not None
                or connection.execute(
                    "SELECT 1 FROM gone WHERE id = ? AND scope = ? AND until > ?",
                    (run_id, scope_of(owner), now),
                ).fetchone()
            )
            raise ExpiredRunError if gone else UnknownRunError

        return await self._file.read(look)

    async def append(self, run_id: str, entries: Sequence[Entry]) -> None:
        """See `RunLog.append`."""
        now = self._now()
        entries = tuple(entries)

        def add(connection: sqlite3.Connection) -> int:
            number, last, ended = state_of(connection, run_id, now)
            check_next(entries, last, ended=ended)
            if not entries:
                return last
            connection.executemany(
                "INSERT INTO entries VALUES (?, ?, ?, ?, ?)",
                [(number, *entry) for entry in entries],
            )
            newest = entries[-1]
            connection.execute(
                "INSERT INTO append_times VALUES (?, ?, ?)", (number, newest.seq, now)
            )
            connection.execute(
                "UPDATE runs SET last = ?, ended = ?, expires = ? WHERE number = ?",
                (newest.seq, newest.terminal, now + self._retention, number),
            )
            return newest.seq

        self._notifier.wake(run_id, await self._file.write(add))

    async def read(self, run_id: str, after: int, limit: int = 256) -> list[Entry]:
        """See `RunLog.read`."""
        now = self._now()
        after = min(max(0, after), LAST_SEQ)

        def look(connection: sqlite3.Connection) -> list[Entry]:
            number, _, _ = state_of(connection, run_id, now)
            rows = connection.execute(
                "SELECT seq, kind, payload, terminal FROM entries WHERE run = ? AND seq > ? "
                "ORDER BY seq LIMIT ?",
                (number, after, max(0, limit)),
            )
            return [entry_of(row) for row in rows]

        return await self._file.read(look)

    async def wait(self, run_id: str, after: int, timeout: float) -> bool:
        """See `RunLog.wait`."""
        now = self._now()
        with self._notifier.subscribe(run_id, after) as woken:
            _, last, _ = await self._file.read(lambda file: state_of(file, run_id, now))
            return last > after or await self._notifier.wait_for(woken, timeout, self._look)

    async def read_last(self, run_id: str) -> Entry | None:
        """See `RunLog.read_last`."""
        now = self._now()

        def look(connection: sqlite3.Connection) -> Entry | None:
            number, last, _ = state_of(connection, run_id, now)
            row = connection.execute(
                "SELECT seq, kind, payload, terminal FROM entries WHERE run = ? AND seq = ?",
                (number, last),
            ).fetchone()
            return entry_of(row) if row is not None else None

        return await self._file.read(look)

    async def read_append_times(self, run_id: str) -> list[tuple[int, float]]:
        """See `RunLog.read_append_times`."""
        now = self._now()

        def look(connection: sqlite3.Connection) -> list[tuple[int, float]]:
            number, _, _ = state_of(connection, run_id, now)
            return connection.execute(
                "SELECT last, at FROM append_times WHERE run = ? ORDER BY last", (number,)
            ).fetchall()

        return await self._file.read(look)

    async def claim(self, run: Run, *, lease: float = LEASE_SECONDS) -> Run:
        """See `RunLog.claim`."""
        now = self._now()
        return await self._lease(
            run, "epoch = epoch + 1, lease_until = ?", (now + lease,), over_by=now
        )

    async def renew(self, run: Run, *, lease: float = LEASE_SECONDS) -> None:
        """See `RunLog.renew`."""
        await self._lease(run, "lease_until = ?", (self._now() + lease,), flushed=False)

    async def release(self, run: Run, *, checkpoint: bytes = b"") -> None:
        """See `RunLog.release`."""
        await self._lease(run, "lease_until = ?, checkpoint = ?", (self._now(), checkpoint))

    async def mark_read(self, run_id: str, seconds: float) -> None:
        """See `RunLog.mark_read`."""
        now = self._now()
        await self._file.write(
            lambda file: mark_read(file, run_id, now + seconds, now), flushed=False
        )

    async def seconds_unread(self, run_id: str) -> float:
        """See `RunLog.seconds_unread`."""
        now = self._now()
        return now - await self._file.read(lambda file: read_mark_until(file, run_id, now))

    async def read_turns(
        self, owner: str | None, session_id: str, limit: int
    ) -> list[tuple[str, str]]:
        """See `RunLog.read_turns`."""
        asked = (scope_of(owner), session_id, self._now(), max(0, limit))

        def look(connection: sqlite3.Connection) -> list[tuple[str, str]]:
            rows = connection.execute(
                "SELECT question, answer FROM turns WHERE scope = ? AND session = ? "
                "AND expires > ? ORDER BY number DESC LIMIT ?",
                asked,
            )
            said = [(to_text(question), to_text(answer)) for question, answer in rows]
            return said[::-1]

        return await self._file.read(look)

    async def add_turn(
        self, owner: str | None, session_id: str, question: str, answer: str
    ) -> None:
        """See `RunLog.add_turn`."""
        session = (scope_of(owner), session_id)
        expires = self._now() + self._retention

        def add(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO turns (scope, session, question, answer, expires) "
                "VALUES (?, ?, ?, ?, ?)",
                (*session, to_bytes(question), to_bytes(answer), expires),
            )
            connection.execute(
                "DELETE FROM turns WHERE number IN (SELECT number FROM turns "
                "WHERE scope = ? AND session = ? ORDER BY number DESC LIMIT -1 OFFSET ?)",
                (*session, KEEP_TURNS),
            )

        await self._file.write(add)

    async def list_recent(self, limit: int = 20) -> list[Summary]:
        """See `RunLog.list_recent`."""
        asked = (self._now(), max(0, limit))

        def look(connection: sqlite3.Connection) -> list[Summary]:
            rows = connection.execute(
                f"SELECT {RUN}, last, ended FROM runs WHERE expires > ? "  # noqa: S608 - constants
                "ORDER BY number DESC LIMIT ?",
                asked,
            )
            return [Summary(run_of(row[:-2]), row[-2], bool(row[-1])) for row in rows]

        return await self._file.read(look)

    async def close(self) -> None:
        """See `RunLog.close`. The last process to close leaves one file, without a `-wal`."""
        await self._file.close()

    async def _lease(
        self,
        run: Run,
        change: str,
        values: tuple[object, ...],
        *,
        over_by: float | None = None,
        flushed: bool = True,
    ) -> Run:
        now = self._now()

        def hold(connection: sqlite3.Connection) -> Run:
            number, _, _ = state_of(connection, run.id, now)
            changed = connection.execute(
                f"UPDATE runs SET {change}, expires = ? WHERE number = ? "  # noqa: S608 - constants
                "AND epoch = ? AND (? IS NULL OR lease_until <= ?)",
                (*values, now + self._retention, number, run.epoch, over_by, over_by),
            )
            if changed.rowcount == 0:
                raise SequenceConflictError
            row = connection.execute(f"SELECT {RUN} FROM runs WHERE number = ?", (number,))  # noqa: S608 - constants
            return run_of(row.fetchone())

        return await self._file.write(hold, flushed=flushed)

    async def _look(self) -> None:
        if not self._notifier.is_due(""):
            return
        # Changes with each commit of any other connection, and costs no read of the file.
        version = await self._file.read(lambda file: file.execute("PRAGMA data_version").fetchone())
        if version[0] == self._version:
            return
        waited_for = self._notifier.list_runs()
        newest = await self._file.read(lambda file: newest_of(file, waited_for))
        self._version = version[0]
        for run_id, last in newest:
            self._notifier.wake(run_id, last)

    def _sweep(self, connection: sqlite3.Connection, now: float) -> None:
        if abs(now - self._swept) < SWEEP_SECONDS:
            return
        self._swept = now
        sweep(connection, now, self._retention)
