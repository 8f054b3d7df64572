"""What keeps the SQLite run log as small as its retention says, and what survives its removal.

Every function here runs on the file's own thread, within a transaction.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .faults import is_unreadable
from .rows import RUN

# Old rows are dropped a few at a time, so that no caller waits for long.
SWEEP_RUNS = 50
SWEEP_ENTRIES = 2000
SWEEP_WINDOW = 500

# For how long a run that has not ended is seen to be over, without a sign of life, before it is
# dropped: its producer gives one every 15 s, and a clock that steps may be ahead of the last one.
OVERDUE_SECONDS = 60.0
MOST_OVERDUE = 10_000

_COLUMNS = f"{RUN}, scope, key, last, ended, expires"


class Sweeper:
    """Drops the rows whose time is over, a few at a time, the oldest runs first.

    `now` gives epoch seconds, `monotonic` seconds that only grow; that a run was there is
    remembered for `retention` seconds more.
    """

    def __init__(
        self, now: Callable[[], float], monotonic: Callable[[], float], retention: float
    ) -> None:
        self._now = now
        self._monotonic = monotonic
        self._retention = retention
        self._after = 0
        # By the numbers of runs that have not ended: how often its lease was renewed and its last
        # entry, which are its signs of life, and since when it was seen to be over with these.
        self._overdue: dict[int, tuple[tuple[int, ...], float]] = {}

    def __call__(self, connection: sqlite3.Connection) -> bool:
        """Drop a few. Within a transaction. Returns whether there may be more to drop."""
        now = self._now()
        expired = self._find_expired(connection, now)
        entries = 0
        for number, run_id, scope, key, last in expired:
            if entries and entries + last > SWEEP_ENTRIES:
                break
            entries += last
            if last > SWEEP_ENTRIES and _cut(connection, number):
                break  # the rest of it another time
            drop_run(connection, number, run_id, scope, key)
            until = now + self._retention
            connection.execute(
                "INSERT INTO gone VALUES (?, ?, ?, ?)", (number, run_id, scope, until)
            )
        dropped = [
            connection.execute(
                f"DELETE FROM {table} WHERE number IN (SELECT number FROM "  # noqa: S608 - constants
                f"(SELECT number, {until} FROM {table} ORDER BY number LIMIT ?) "
                f"WHERE {until} <= ?)",
                (SWEEP_WINDOW, now),
            ).rowcount
            for table, until in (("gone", "until"), ("turns", "expires"))
        ]
        return bool(expired) or SWEEP_WINDOW in dropped

    def _find_expired(self, connection: sqlite3.Connection, now: float) -> list[Any]:
        """Of the oldest runs those that are over; where none is, of a few others, in turn."""
        window: list[Any] = []
        for after in (0, self._after):
            window = connection.execute(
                "SELECT number, expires, ended, renewals, last FROM runs "
                "WHERE number > ? ORDER BY number LIMIT ?",
                (after, SWEEP_WINDOW),
            ).fetchall()
            expired = [
                number
                for number, expires, ended, *sign in window
                if expires <= now and (ended or self._is_overdue(number, tuple(sign)))
            ][:SWEEP_RUNS]
            if expired:
                return [
                    connection.execute(
                        "SELECT number, id, scope, key, last FROM runs WHERE number = ?", (number,)
                    ).fetchone()
                    for number in expired
                ]
        self._after = window[-1][0] if len(window) == SWEEP_WINDOW else 0
        return []

    def _is_overdue(self, number: int, sign: tuple[int, ...]) -> bool:
        # The end of its time is none of its signs: a clock that steps back says the same one again.
        now = self._monotonic()
        known, since = self._overdue.get(number, (sign, now))
        if len(self._overdue) >= MOST_OVERDUE and number not in self._overdue:
            self._overdue.clear()
        self._overdue[number] = (sign, since if known == sign else now)
        return known == sign and now - since >= OVERDUE_SECONDS


def _cut(connection: sqlite3.Connection, number: int) -> bool:
    """Drop the last entries of a long run. Returns whether there are more."""
    first = connection.execute(
        "SELECT seq FROM entries WHERE run = ? ORDER BY seq DESC LIMIT 1 OFFSET ?",
        (number, SWEEP_ENTRIES),
    ).fetchone()
    if first is None:
        return False
    connection.execute("DELETE FROM entries WHERE run = ? AND seq > ?", (number, first[0]))
    return True


def drop_run(
    connection: sqlite3.Connection, number: int, run_id: str, scope: str, key: str | None
) -> None:
    """Drop all that is kept of a run."""
    for table in ("entries", "append_times", "read_marks", "feedback", "run_sessions"):
        connection.execute(f"DELETE FROM {table} WHERE run = ?", (number,))  # noqa: S608 - constants
    connection.execute("DELETE FROM runs WHERE number = ?", (number,))
    connection.execute(
        "DELETE FROM keys WHERE scope = ? AND key = ? AND run = ?", (scope, key, run_id)
    )


def drop_live_runs(connection: sqlite3.Connection) -> None:
    """Drop the runs that had not ended. Within a transaction."""
    live = connection.execute("SELECT number, id, scope, key FROM runs WHERE NOT ended").fetchall()
    for run in live:
        drop_run(connection, *run)


def copy_live_runs(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    """Copy the runs that have not ended from one file to another. Within a transaction of `new`.

    Where `old` cannot be read any more in some place, only what stood there is lost.
    """
    live = []
    with _keep_readable(new):
        # What is newest was read or written last, so it is in memory, whatever the file has lost.
        newest = "WHERE NOT ended ORDER BY number DESC"
        for row in old.execute(f"SELECT number, {_COLUMNS} FROM runs {newest}"):  # noqa: S608 - constants
            live.append(row)  # noqa: PERF402 - what was read before a fault is kept
    for number, *values in reversed(live):
        with _keep_readable(new):
            _copy_run(old, new, number, values)


def _copy_run(
    old: sqlite3.Connection, new: sqlite3.Connection, number: int, values: list[Any]
) -> None:
    marks = ", ".join("?" * len(values))
    named = dict(zip(_COLUMNS.split(", "), values, strict=True))
    # A backup that was moved over the file has it as it was; another process may have been faster.
    stale = new.execute(
        "SELECT number, id, scope, key FROM runs WHERE id = ? AND epoch <= ? AND last < ? "
        "AND NOT ended",
        (named["id"], named["epoch"], named["last"]),
    ).fetchone()
    if stale is not None:
        drop_run(new, *stale)
    made = new.execute(f"INSERT OR IGNORE INTO runs ({_COLUMNS}) VALUES ({marks})", values)  # noqa: S608 - constants
    if made.rowcount == 0:
        return

    def copy(table: str, columns: str) -> None:
        rows = old.execute(f"SELECT {columns} FROM {table} WHERE run = ?", (number,))  # noqa: S608 - constants
        marks = ", ".join("?" * (1 + len(columns.split(", "))))
        new.executemany(
            f"INSERT INTO {table} (run, {columns}) VALUES ({marks})",  # noqa: S608 - constants
            ((made.lastrowid, *each) for each in rows),
        )

    copy("entries", "seq, kind, payload, terminal")
    for table, columns in (
        ("append_times", "last, at"),
        ("read_marks", "marks, seconds"),
        ("feedback", "said"),
        ("run_sessions", "scope, session"),
    ):
        with _keep_readable(new):
            copy(table, columns)
    with _keep_readable(new):
        known = (named["scope"], named["key"], named["id"])
        key = "SELECT scope, key, run FROM keys WHERE scope = ? AND key = ? AND run = ?"
        new.executemany("INSERT OR IGNORE INTO keys VALUES (?, ?, ?)", old.execute(key, known))


@contextmanager
def _keep_readable(new: sqlite3.Connection) -> Iterator[None]:
    """All of what is written into `new` here, or nothing where it cannot be read any more."""
    new.execute("SAVEPOINT part")
    try:
        yield
    except sqlite3.DatabaseError as error:
        if not is_unreadable(error):
            raise
        new.execute("ROLLBACK TO part")
    new.execute("RELEASE part")
