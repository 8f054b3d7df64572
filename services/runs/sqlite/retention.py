"""What keeps the SQLite run log as small as its retention says, and what survives its removal.

Every function here runs on the file's own thread, within a transaction.
"""

import sqlite3
from collections.abc import Callable
from typing import Any

from .rows import RUN

# Old rows are dropped a few at a time, so that no caller waits for long.
SWEEP_RUNS = 50
SWEEP_ENTRIES = 2000
SWEEP_WINDOW = 500


class Sweeper:
    """Drops the rows whose time is over, a few at a time, the oldest runs first.

    `now` gives epoch seconds; that a run was there is remembered for `retention` seconds more.
    """

    def __init__(self, now: Callable[[], float], retention: float) -> None:
        self._now = now
        self._retention = retention
        self._after = 0

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
                "SELECT number, expires FROM runs WHERE number > ? ORDER BY number LIMIT ?",
                (after, SWEEP_WINDOW),
            ).fetchall()
            expired = [number for number, expires in window if expires <= now][:SWEEP_RUNS]
            if expired:
                return [
                    connection.execute(
                        "SELECT number, id, scope, key, last FROM runs WHERE number = ?", (number,)
                    ).fetchone()
                    for number in expired
                ]
        self._after = window[-1][0] if len(window) == SWEEP_WINDOW else 0
        return []


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


def copy_live_runs(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    """Copy the runs that have not ended from one file to another. Within a transaction of `new`."""
    columns = f"{RUN}, scope, key, last, ended, expires"
    marks = ", ".join("?" * len(columns.split(", ")))
    for number, *row in old.execute(f"SELECT number, {columns} FROM runs WHERE NOT ended"):  # noqa: S608 - constants
        made = new.execute(f"INSERT OR IGNORE INTO runs ({columns}) VALUES ({marks})", row)  # noqa: S608 - constants
        if made.rowcount == 0:
            continue  # another process was faster
        copied = made.lastrowid
        for table, others in (
            ("entries", "seq, kind, payload, terminal"),
            ("append_times", "last, at"),
            ("read_marks", "marks, seconds"),
            ("feedback", "said"),
            ("run_sessions", "scope, session"),
        ):
            rows = old.execute(f"SELECT {others} FROM {table} WHERE run = ?", (number,))  # noqa: S608 - constants
            places = ", ".join("?" * (1 + len(others.split(", "))))
            new.executemany(
                f"INSERT INTO {table} (run, {others}) VALUES ({places})",  # noqa: S608 - constants
                ((copied, *each) for each in rows),
            )
    keys = "SELECT scope, key, run FROM keys WHERE run IN (SELECT id FROM runs WHERE NOT ended)"
    new.executemany("INSERT OR IGNORE INTO keys VALUES (?, ?, ?)", old.execute(keys))
