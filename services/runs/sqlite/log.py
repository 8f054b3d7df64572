"""The run log in one SQLite file: the embedded default, for one machine, durable.

Any number of processes may share the file; each write is on the disk (write-ahead log,
`synchronous=FULL`) before its caller goes on. Knows tables; `services.runs.sqlite.file` knows
the file.
"""

import math
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import IdempotencyConflictError
from ..log import (
    DURABLE_RETENTION_SECONDS,
    LAST_SEQ,
    LEASE_SECONDS,
    LIVE_RETENTION_SECONDS,
    RELEASED,
    Entry,
    Run,
    Summary,
    check_next,
    new_run,
)
from ..notify import Notifier
from ..state_ages import StateAges
from . import ownership
from .file import File
from .leases import RENEWAL, change_lease
from .retention import Sweeper, copy_live_runs, drop_live_runs
from .rows import (
    SCHEMA,
    append_entries,
    append_times_of,
    entries_after,
    feedback_of,
    find_run,
    insert_run,
    insert_turn,
    keep_feedback,
    list_newest,
    mark_read,
    newest_entry,
    newest_of,
    read_mark_of,
    run_of_key,
    scope_of,
    state_of,
    try_to_keep,
    turns_of,
)
from .successor import Survivors

# How often a question whether the file can be written is one to the disk, in seconds.
CHECK_INTERVAL = 5.0


class SQLiteLog:
    """`RunLog` in the file at `path`.

    A run is kept for `retention` seconds after its last sign of life. `busy` is how long to wait
    for another process's write, in seconds; `now` gives epoch seconds, `monotonic` seconds that
    only grow. Raises `SetupError` when the file cannot be used, and `RunLogError` when it is
    locked.
    """

    is_durable = True

    def __init__(
        self,
        path: Path | str,
        *,
        retention: float = DURABLE_RETENTION_SECONDS,
        busy: float = 5.0,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state_ages = StateAges(monotonic)
        self._file = File(
            Path(path),
            SCHEMA,
            busy=busy,
            upkeep=Sweeper(now, monotonic, retention),
            live=Survivors(copy_live_runs, drop_live_runs),
            monotonic=monotonic,
        )
        self._retention = retention
        self._now = now
        self._monotonic = monotonic
        self._notifier = Notifier()
        self._version: int | None = None
        self._checked_at = -CHECK_INTERVAL

    async def start(
        self,
        *,
        owner: str | None,
        key: str | None,
        fingerprint: str,
        question: bytes = b"",
        session: str | None = None,
        lease: float = LEASE_SECONDS,
    ) -> tuple[Run, bool]:
        """See `RunLog.start`."""
        now = self._now()
        run = new_run(owner, fingerprint, question, created=now, lease=lease)

        def make(connection: sqlite3.Connection) -> tuple[Run, bool]:
            if key is not None and (known := run_of_key(connection, owner, key, now)) is not None:
                if known.fingerprint != fingerprint:
                    raise IdempotencyConflictError
                return known, False
            insert_run(connection, run, key, session, now + self._keep(ended=False))
            return run, True

        # The first entry is flushed and takes the run along; before it nothing was said or paid.
        return await self._file.write(make, flushed=False)

    async def find(self, run_id: str, owner: str | None) -> Run:
        """See `RunLog.find`."""
        now = self._now()
        return await self._file.read(lambda file: find_run(file, run_id, owner, now))

    async def append(self, run_id: str, entries: Sequence[Entry]) -> None:
        """See `RunLog.append`."""
        now = self._now()
        entries = tuple(entries)

        def add(connection: sqlite3.Connection) -> int:
            number, last, ended = state_of(connection, run_id, now)
            check_next(entries, last, ended=ended)
            if not entries:
                return last
            newest = entries[-1]
            append_entries(connection, number, entries, now, now + self._keep(newest.terminal))
            return newest.seq

        self._notifier.wake(run_id, await self._file.write(add))

    async def read(self, run_id: str, after: int, limit: int = 256) -> list[Entry]:
        """See `RunLog.read`."""
        now = self._now()
        after = min(max(0, after), LAST_SEQ)
        return await self._file.read(lambda file: entries_after(file, run_id, after, limit, now))

    async def wait(self, run_id: str, after: int, timeout: float) -> bool:
        """See `RunLog.wait`."""
        now = self._now()
        with self._notifier.subscribe(run_id, after) as woken:
            _, last, _ = await self._file.read(lambda file: state_of(file, run_id, now))
            return last > after or await self._notifier.wait_for(woken, timeout, self._look)

    async def read_last(self, run_id: str) -> Entry | None:
        """See `RunLog.read_last`."""
        now = self._now()
        return await self._file.read(lambda file: newest_entry(file, run_id, now))

    async def read_append_times(self, run_id: str) -> list[tuple[int, float]]:
        """See `RunLog.read_append_times`."""
        now = self._now()
        return await self._file.read(lambda file: append_times_of(file, run_id, now))

    async def claim(self, run: Run, *, lease: float = LEASE_SECONDS) -> Run:
        """See `RunLog.claim`."""
        change = f"epoch = epoch + 1, {RENEWAL}, lease_until = ?"
        return await self._change_lease(run, change, (self._now() + lease,), "lease_until <= 0")

    async def renew(self, run: Run, *, lease: float = LEASE_SECONDS) -> None:
        """See `RunLog.renew`."""
        change = (f"{RENEWAL}, lease_until = ?", (self._now() + lease,), "lease_until >= 0")
        await self._change_lease(run, *change, flushed=False)

    async def release(self, run: Run, *, checkpoint: bytes = b"") -> None:
        """See `RunLog.release`."""
        await self._change_lease(
            run, f"{RENEWAL}, lease_until = ?, checkpoint = ?", (RELEASED, checkpoint)
        )

    async def doubt(self, run: Run) -> None:
        """See `RunLog.doubt`."""
        unrenewed = f"lease_until > 0 AND renewals = {run.renewals}"
        await self._change_lease(run, "doubted = 1", (), unrenewed, flushed=False)

    async def expire(self, run: Run) -> None:
        """See `RunLog.expire`."""
        unrenewed = f"lease_until > 0 AND doubted AND renewals = {run.renewals}"
        await self._change_lease(run, "doubted = 0, lease_until = 0", (), unrenewed)

    async def mark_read(self, run_id: str, seconds: float) -> None:
        """See `RunLog.mark_read`."""
        now = self._now()
        await self._file.write(lambda file: mark_read(file, run_id, seconds, now), flushed=False)

    async def seconds_unread(self, run_id: str) -> float:
        """See `RunLog.seconds_unread`."""
        now = self._now()
        mark = await self._file.read(lambda file: read_mark_of(file, run_id, now))
        if mark is None:
            return math.inf
        return self.state_ages.measure_age(("read", run_id), mark[0]) - mark[1]

    async def keep_feedback(self, run_id: str, feedback: bytes) -> None:
        """See `RunLog.keep_feedback`."""
        now = self._now()
        await self._file.write(lambda file: keep_feedback(file, run_id, feedback, now))

    async def read_feedback(self, run_id: str) -> bytes:
        """See `RunLog.read_feedback`."""
        now = self._now()
        return await self._file.read(lambda file: feedback_of(file, run_id, now))

    async def read_turns(
        self, owner: str | None, session_id: str, limit: int
    ) -> list[tuple[str, str]]:
        """See `RunLog.read_turns`."""
        asked = (scope_of(owner), session_id, self._now(), limit)
        return await self._file.read(lambda file: turns_of(file, *asked))

    async def add_turn(
        self, owner: str | None, session_id: str, question: str, answer: str
    ) -> None:
        """See `RunLog.add_turn`."""
        expires = self._now() + self._retention
        turn = (scope_of(owner), session_id, (question, answer), expires)
        await self._file.write(lambda file: insert_turn(file, *turn))

    async def list_recent(self, limit: int = 20) -> list[Summary]:
        """See `RunLog.list_recent`."""
        now = self._now()
        return await self._file.read(lambda file: list_newest(file, now, limit))

    async def list_owned(self, owner: str, limit: int = 20) -> list[Summary]:
        """See `RunLog.list_owned`."""
        asked = (self._now(), limit, scope_of(owner))
        return await self._file.read(lambda file: list_newest(file, *asked))

    async def list_session(self, owner: str | None, session_id: str) -> list[str]:
        """See `RunLog.list_session`."""
        asked = (owner, session_id, self._now())
        return await self._file.read(lambda file: ownership.runs_of_session(file, *asked))

    async def delete(self, run_id: str, owner: str | None) -> bool:
        """See `RunLog.delete`."""
        asked = (run_id, owner, self._now())
        return await self._file.write(lambda file: ownership.drop_ended_run(file, *asked))

    async def forget_turns(self, owner: str | None, session_id: str) -> bool:
        """See `RunLog.forget_turns`."""
        asked = (owner, session_id, self._now())
        return await self._file.write(lambda file: ownership.drop_turns(file, *asked))

    async def check(self) -> None:
        """See `RunLog.check`. Asked again within a few seconds, it writes nothing."""
        if self._monotonic() - self._checked_at >= CHECK_INTERVAL:
            now = self._now()
            await self._file.write(lambda file: try_to_keep(file, now))
            self._checked_at = self._monotonic()

    async def close(self) -> None:
        """See `RunLog.close`. The last process to close leaves one file, without a `-wal`."""
        await self._file.close()

    def _keep(self, ended: bool) -> float:
        return self._retention if ended else max(self._retention, LIVE_RETENTION_SECONDS)

    async def _change_lease(
        self,
        run: Run,
        change: str,
        values: tuple[object, ...],
        condition: str = "1",
        *,
        flushed: bool = True,
    ) -> Run:
        now = self._now()
        expires = (now + self._keep(ended=False), now + self._keep(ended=True))
        asked = (change, values, condition)
        return await self._file.write(
            lambda file: change_lease(file, run, asked, now, expires), flushed=flushed
        )

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
