"""The tables of the SQLite run log, and what is read from and written to them.

Every function here runs on the file's own thread, within a transaction where it writes.
"""

import math
import sqlite3
from collections.abc import Sequence

from ..errors import UnknownRunError
from ..log import Entry, Run

# Old rows are dropped a few at a time, when a run is started, so that no start is slow.
SWEEP_RUNS = 20
SWEEP_WINDOW = 200

# `number` is the order in which runs were made. `gone` remembers for a while which runs there
# were, so that their owners are told that they are over.
SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, owner TEXT,
  scope TEXT NOT NULL, key TEXT, created REAL NOT NULL, fingerprint TEXT NOT NULL,
  question BLOB NOT NULL, epoch INTEGER NOT NULL, lease_until REAL NOT NULL,
  checkpoint BLOB NOT NULL, last INTEGER NOT NULL, ended INTEGER NOT NULL, expires REAL NOT NULL);
CREATE TABLE IF NOT EXISTS keys (
  scope TEXT NOT NULL, key TEXT NOT NULL, run TEXT NOT NULL,
  PRIMARY KEY (scope, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
  run INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, payload BLOB NOT NULL,
  terminal INTEGER NOT NULL, PRIMARY KEY (run, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS append_times (
  run INTEGER NOT NULL, last INTEGER NOT NULL, at REAL NOT NULL,
  PRIMARY KEY (run, last)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS read_marks (run INTEGER PRIMARY KEY, until REAL NOT NULL);
CREATE TABLE IF NOT EXISTS turns (
  number INTEGER PRIMARY KEY, scope TEXT NOT NULL, session TEXT NOT NULL, question BLOB NOT NULL,
  answer BLOB NOT NULL, expires REAL NOT NULL);
CREATE INDEX IF NOT EXISTS turns_of_a_session ON turns (scope, session, number);
CREATE TABLE IF NOT EXISTS gone (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, scope TEXT NOT NULL, until REAL NOT NULL)
"""

RUN = "id, owner, created, fingerprint, question, epoch, lease_until, checkpoint"


def sweep(connection: sqlite3.Connection, now: float, retention: float) -> None:
    """Drop a few of the oldest rows whose time is over. Within a transaction."""
    expired = connection.execute(
        "SELECT number, id, scope, key FROM "
        "(SELECT number, id, scope, key, expires FROM runs ORDER BY number LIMIT ?) "
        "WHERE expires <= ? LIMIT ?",
        (SWEEP_WINDOW, now, SWEEP_RUNS),
    ).fetchall()
    for number, run_id, scope, key in expired:
        connection.execute("DELETE FROM entries WHERE run = ?", (number,))
        connection.execute("DELETE FROM append_times WHERE run = ?", (number,))
        connection.execute("DELETE FROM read_marks WHERE run = ?", (number,))
        connection.execute("DELETE FROM runs WHERE number = ?", (number,))
        connection.execute(
            "DELETE FROM keys WHERE scope = ? AND key = ? AND run = ?", (scope, key, run_id)
        )
        connection.execute(
            "INSERT INTO gone VALUES (?, ?, ?, ?)", (number, run_id, scope, now + retention)
        )
    for table, until in (("gone", "until"), ("turns", "expires")):
        connection.execute(
            f"DELETE FROM {table} WHERE number IN (SELECT number FROM "  # noqa: S608 - constants
            f"(SELECT number, {until} FROM {table} ORDER BY number LIMIT ?) WHERE {until} <= ?)",
            (SWEEP_WINDOW, now),
        )


def insert_run(connection: sqlite3.Connection, run: Run, key: str | None, expires: float) -> None:
    scope = scope_of(run.owner)
    connection.execute(
        "INSERT INTO runs (id, owner, scope, key, created, fingerprint, question, epoch, "
        "lease_until, checkpoint, last, ended, expires) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?)",
        (
            *(run.id, run.owner, scope, key, run.created, run.fingerprint, run.question),
            *(run.epoch, run.lease_until, run.checkpoint, expires),
        ),
    )
    if key is not None:
        connection.execute("INSERT OR REPLACE INTO keys VALUES (?, ?, ?)", (scope, key, run.id))


def run_of_key(
    connection: sqlite3.Connection, owner: str | None, key: str, now: float
) -> Run | None:
    row = connection.execute(
        f"SELECT {RUN} FROM runs WHERE expires > ? AND id = "  # noqa: S608 - constants
        "(SELECT run FROM keys WHERE scope = ? AND key = ?)",
        (now, scope_of(owner), key),
    ).fetchone()
    return run_of(row) if row is not None else None


def state_of(connection: sqlite3.Connection, run_id: str, now: float) -> tuple[int, int, bool]:
    row = connection.execute(
        "SELECT number, last, ended FROM runs WHERE id = ? AND expires > ?", (run_id, now)
    ).fetchone()
    if row is None:
        raise UnknownRunError
    return row[0], row[1], bool(row[2])


def mark_read(connection: sqlite3.Connection, run_id: str, until: float, now: float) -> None:
    number, _, _ = state_of(connection, run_id, now)
    connection.execute(
        "INSERT INTO read_marks VALUES (?, ?) "
        "ON CONFLICT (run) DO UPDATE SET until = max(until, excluded.until)",
        (number, until),
    )


def read_mark_until(connection: sqlite3.Connection, run_id: str, now: float) -> float:
    number, _, _ = state_of(connection, run_id, now)
    row = connection.execute("SELECT until FROM read_marks WHERE run = ?", (number,)).fetchone()
    return row[0] if row is not None else -math.inf


def newest_of(connection: sqlite3.Connection, run_ids: Sequence[str]) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for run_id in run_ids:
        found += connection.execute("SELECT id, last FROM runs WHERE id = ?", (run_id,)).fetchall()
    return found


def scope_of(owner: str | None) -> str:
    # NULL equals nothing in SQL, and no owner is not the owner called "".
    return "" if owner is None else f"={owner}"


def run_of(row: Sequence[object]) -> Run:
    names = ("id", "owner", "created", "fingerprint", "question", "epoch", "lease_until")
    return Run(**dict(zip((*names, "checkpoint"), row, strict=True)))  # type: ignore[arg-type]  # the columns of RUN


def entry_of(row: tuple[int, str, bytes, int]) -> Entry:
    return Entry(row[0], row[1], row[2], bool(row[3]))
