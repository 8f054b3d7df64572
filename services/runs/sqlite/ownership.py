"""What an owner may see and forget in the SQLite run log: its runs, and its sessions.

Every function here runs on the file's own thread, within a transaction where it writes.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from .retention import drop_run
from .rows import KEPT, find_run, scope_of


def drop_ended_run(
    connection: sqlite3.Connection, run_id: str, owner: str | None, now: float
) -> bool:
    """Drop a run of `owner` that has ended, and the memory that it was there; False if it lives."""
    find_run(connection, run_id, owner, now)
    number, scope, key, ended = connection.execute(
        "SELECT number, scope, key, ended FROM runs WHERE id = ?", (run_id,)
    ).fetchone()
    if ended:
        with _overwrite_deleted(connection):
            drop_run(connection, number, run_id, scope, key)
    return bool(ended)


def runs_of_session(
    connection: sqlite3.Connection, owner: str | None, session: str, now: float
) -> list[str]:
    """The ids of the runs of a session that are kept."""
    rows = connection.execute(
        "SELECT id FROM runs JOIN run_sessions ON run = number "  # noqa: S608 - constants
        f"WHERE run_sessions.scope = ? AND session = ? AND {KEPT} ORDER BY number",
        (scope_of(owner), session, now),
    )
    return [run_id for (run_id,) in rows]


def drop_turns(connection: sqlite3.Connection, owner: str | None, session: str, now: float) -> bool:
    """Drop the turns of a session. False where none was kept."""
    asked = (scope_of(owner), session)
    kept = connection.execute(
        "SELECT 1 FROM turns WHERE scope = ? AND session = ? AND expires > ? LIMIT 1", (*asked, now)
    ).fetchone()
    with _overwrite_deleted(connection):
        connection.execute("DELETE FROM turns WHERE scope = ? AND session = ?", asked)
    return kept is not None


@contextmanager
def _overwrite_deleted(connection: sqlite3.Connection) -> Iterator[None]:
    """What is deleted meanwhile is overwritten in the file: its owner asked for it to be gone.

    What has merely expired is not: that would double the writes of the upkeep.
    """
    (was,) = connection.execute("PRAGMA secure_delete").fetchone()
    connection.execute("PRAGMA secure_delete=ON")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA secure_delete={('OFF', 'ON', 'FAST')[was]}")
