"""The tables of the SQLite run log, and what is read from and written to them.

Every function here runs on the file's own thread, within a transaction where it writes.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

from ..errors import ExpiredRunError, UnknownRunError
from ..log import KEEP_TURNS, Entry, Run, Summary, new_run
from ..packing import to_bytes, to_text

# `number` is the order in which runs were made. `gone` remembers for a while which runs there
# were, so that their owners are told that they are over.
SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, owner TEXT,
  scope TEXT NOT NULL, key TEXT, created REAL NOT NULL, fingerprint TEXT NOT NULL,
  question BLOB NOT NULL, epoch INTEGER NOT NULL, lease_until REAL NOT NULL,
  checkpoint BLOB NOT NULL, renewals INTEGER NOT NULL, doubted INTEGER NOT NULL,
  last INTEGER NOT NULL, ended INTEGER NOT NULL, expires REAL NOT NULL);
CREATE TABLE IF NOT EXISTS keys (
  scope TEXT NOT NULL, key TEXT NOT NULL, run TEXT NOT NULL,
  PRIMARY KEY (scope, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
  run INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, payload BLOB NOT NULL,
  terminal INTEGER NOT NULL, PRIMARY KEY (run, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS append_times (
  run INTEGER NOT NULL, last INTEGER NOT NULL, at REAL NOT NULL,
  PRIMARY KEY (run, last)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS read_marks (
  run INTEGER PRIMARY KEY, marks INTEGER NOT NULL, seconds REAL NOT NULL);
CREATE TABLE IF NOT EXISTS feedback (run INTEGER PRIMARY KEY, said BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS checks (one INTEGER PRIMARY KEY, filler BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS turns (
  number INTEGER PRIMARY KEY, scope TEXT NOT NULL, session TEXT NOT NULL, question BLOB NOT NULL,
  answer BLOB NOT NULL, expires REAL NOT NULL);
CREATE INDEX IF NOT EXISTS turns_of_a_session ON turns (scope, session, number);
CREATE INDEX IF NOT EXISTS runs_of_an_owner ON runs (scope, number);
CREATE TABLE IF NOT EXISTS run_sessions (
  run INTEGER PRIMARY KEY, scope TEXT NOT NULL, session TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS runs_of_a_session ON run_sessions (scope, session);
CREATE TABLE IF NOT EXISTS gone (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, scope TEXT NOT NULL, until REAL NOT NULL)
"""

RUN = "id, owner, created, fingerprint, question, epoch, lease_until, checkpoint, renewals, doubted"

_RUN_FIELDS = (*RUN.split(", ")[:-1], "is_doubted")

# Which runs are kept now. One that has not ended is for as long as it is there: a clock that steps
# by days may have moved past its end between two signs of life, so the sweeper looks twice.
KEPT = "(expires > ? OR NOT ended)"

# What a store that can keep something is asked to keep, in bytes: a few pages.
CHECK_BYTES = 16 * 1024


def insert_run(
    connection: sqlite3.Connection,
    run: Run,
    key: str | None,
    session: str | None,
    expires: float,
) -> None:
    scope = scope_of(run.owner)
    made = connection.execute(
        "INSERT INTO runs (id, owner, scope, key, created, fingerprint, question, epoch, "
        "lease_until, checkpoint, renewals, doubted, last, ended, expires) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, ?)",
        (
            *(run.id, run.owner, scope, key, run.created, run.fingerprint, run.question),
            *(run.epoch, run.lease_until, run.checkpoint, expires),
        ),
    )
    if key is not None:
        connection.execute("INSERT OR REPLACE INTO keys VALUES (?, ?, ?)", (scope, key, run.id))
    if session is not None:
        connection.execute(
            "INSERT INTO run_sessions VALUES (?, ?, ?)", (made.lastrowid, scope, session)
        )


def run_of_key(
    connection: sqlite3.Connection, owner: str | None, key: str, now: float
) -> Run | None:
    row = connection.execute(
        f"SELECT {RUN} FROM runs WHERE {KEPT} AND id = "  # noqa: S608 - constants
        "(SELECT run FROM keys WHERE scope = ? AND key = ?)",
        (now, scope_of(owner), key),
    ).fetchone()
    return run_of(row) if row is not None else None


def state_of(connection: sqlite3.Connection, run_id: str, now: float) -> tuple[int, int, bool]:
    row = connection.execute(
        "SELECT number, last, ended, expires FROM runs WHERE id = ?", (run_id,)
    ).fetchone()
    if row is None and not is_gone(connection, run_id, now):
        raise UnknownRunError
    if row is None or (row[2] and row[3] <= now):
        raise ExpiredRunError
    return row[0], row[1], bool(row[2])


def find_run(connection: sqlite3.Connection, run_id: str, owner: str | None, now: float) -> Run:
    scope = scope_of(owner)
    row = connection.execute(
        f"SELECT {RUN}, {KEPT} FROM runs WHERE id = ? AND scope = ?",  # noqa: S608 - constants
        (now, run_id, scope),
    ).fetchone()
    if row is not None and row[-1]:
        return run_of(row[:-1])
    if row is not None or is_gone(connection, run_id, now, scope):
        raise ExpiredRunError
    raise UnknownRunError


def is_gone(
    connection: sqlite3.Connection, run_id: str, now: float, scope: str | None = None
) -> bool:
    """Whether there was such a run, of the owner with that `scope` if one is given."""
    row = connection.execute("SELECT scope, until FROM gone WHERE id = ?", (run_id,)).fetchone()
    return row is not None and row[1] > now and scope in (None, row[0])


def mark_read(connection: sqlite3.Connection, run_id: str, seconds: float, now: float) -> None:
    number, _, _ = state_of(connection, run_id, now)
    connection.execute(
        "INSERT INTO read_marks VALUES (?, 1, ?) "
        "ON CONFLICT (run) DO UPDATE SET marks = marks + 1, seconds = excluded.seconds",
        (number, seconds),
    )


def read_mark_of(
    connection: sqlite3.Connection, run_id: str, now: float
) -> tuple[int, float] | None:
    """How many signs of its readers a run has had, and for how long the last one holds."""
    number, _, _ = state_of(connection, run_id, now)
    found: tuple[int, float] | None = connection.execute(
        "SELECT marks, seconds FROM read_marks WHERE run = ?", (number,)
    ).fetchone()
    return found


def keep_feedback(connection: sqlite3.Connection, run_id: str, said: bytes, now: float) -> None:
    number, _, _ = state_of(connection, run_id, now)
    connection.execute("INSERT OR REPLACE INTO feedback VALUES (?, ?)", (number, said))


def feedback_of(connection: sqlite3.Connection, run_id: str, now: float) -> bytes:
    number, _, _ = state_of(connection, run_id, now)
    row = connection.execute("SELECT said FROM feedback WHERE run = ?", (number,)).fetchone()
    return bytes(row[0]) if row is not None else b""


def try_to_keep(connection: sqlite3.Connection, now: float) -> None:
    """Keep a filler, and a run that is taken back: room is not all that a new run needs.

    A file that is damaged where runs are added takes the one and not the other.
    """
    connection.execute("INSERT OR REPLACE INTO checks VALUES (1, zeroblob(?))", (CHECK_BYTES,))
    run = new_run(None, "", b"", created=now, lease=0.0)
    connection.execute("SAVEPOINT tried")
    insert_run(connection, run, run.id, run.id, now)
    number, _, _ = state_of(connection, run.id, now - 1)
    append_entries(connection, number, [Entry(1, "status", b"{}", False)], now, now)
    connection.execute("ROLLBACK TO tried")
    connection.execute("RELEASE tried")


def newest_of(connection: sqlite3.Connection, run_ids: Sequence[str]) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for run_id in run_ids:
        found += connection.execute("SELECT id, last FROM runs WHERE id = ?", (run_id,)).fetchall()
    return found


def scope_of(owner: str | None) -> str:
    # NULL equals nothing in SQL, and no owner is not the owner called "".
    return "" if owner is None else f"={owner}"


def run_of(row: Sequence[Any]) -> Run:
    values = dict(zip(_RUN_FIELDS, row, strict=True))
    return Run(**{**values, "is_doubted": bool(values["is_doubted"])})


def entry_of(row: tuple[int, str, bytes, int]) -> Entry:
    return Entry(row[0], row[1], row[2], bool(row[3]))


def entries_after(
    connection: sqlite3.Connection, run_id: str, after: int, limit: int, now: float
) -> list[Entry]:
    number, _, _ = state_of(connection, run_id, now)
    rows = connection.execute(
        "SELECT seq, kind, payload, terminal FROM entries WHERE run = ? AND seq > ? "
        "ORDER BY seq LIMIT ?",
        (number, after, max(0, limit)),
    )
    return [entry_of(row) for row in rows]


def newest_entry(connection: sqlite3.Connection, run_id: str, now: float) -> Entry | None:
    number, last, _ = state_of(connection, run_id, now)
    row = connection.execute(
        "SELECT seq, kind, payload, terminal FROM entries WHERE run = ? AND seq = ?",
        (number, last),
    ).fetchone()
    return entry_of(row) if row is not None else None


def append_times_of(
    connection: sqlite3.Connection, run_id: str, now: float
) -> list[tuple[int, float]]:
    number, _, _ = state_of(connection, run_id, now)
    return connection.execute(
        "SELECT last, at FROM append_times WHERE run = ? ORDER BY last", (number,)
    ).fetchall()


def append_entries(
    connection: sqlite3.Connection, run: int, entries: Sequence[Entry], now: float, expires: float
) -> None:
    newest = entries[-1]
    connection.executemany(
        "INSERT INTO entries VALUES (?, ?, ?, ?, ?)", [(run, *entry) for entry in entries]
    )
    connection.execute("INSERT INTO append_times VALUES (?, ?, ?)", (run, newest.seq, now))
    connection.execute(
        "UPDATE runs SET last = ?, ended = ?, doubted = 0, expires = ? WHERE number = ?",
        (newest.seq, newest.terminal, expires, run),
    )


def turns_of(
    connection: sqlite3.Connection, scope: str, session: str, now: float, limit: int
) -> list[tuple[str, str]]:
    rows = connection.execute(
        "SELECT question, answer FROM turns WHERE scope = ? AND session = ? "
        "AND expires > ? ORDER BY number DESC LIMIT ?",
        (scope, session, now, max(0, limit)),
    )
    return [(to_text(question), to_text(answer)) for question, answer in rows][::-1]


def insert_turn(
    connection: sqlite3.Connection, scope: str, session: str, turn: tuple[str, str], expires: float
) -> None:
    connection.execute(
        "INSERT INTO turns (scope, session, question, answer, expires) VALUES (?, ?, ?, ?, ?)",
        (scope, session, *map(to_bytes, turn), expires),
    )
    connection.execute(
        "DELETE FROM turns WHERE number IN (SELECT number FROM turns "
        "WHERE scope = ? AND session = ? ORDER BY number DESC LIMIT -1 OFFSET ?)",
        (scope, session, KEEP_TURNS),
    )


def list_newest(
    connection: sqlite3.Connection, now: float, limit: int, scope: str | None = None
) -> list[Summary]:
    """The newest runs, of the owner with that `scope` if one is given."""
    rows = connection.execute(
        f"SELECT {RUN}, last, ended FROM runs WHERE {KEPT} "  # noqa: S608 - constants
        f"{'' if scope is None else 'AND scope = ? '}ORDER BY number DESC LIMIT ?",
        (now, *(() if scope is None else (scope,)), max(0, limit)),
    )
    return [Summary(run_of(row[:-2]), row[-2], bool(row[-1])) for row in rows]
