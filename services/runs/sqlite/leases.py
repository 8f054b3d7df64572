"""The leases of the SQLite run log: who should write a run.

Runs on the file's own thread, within a transaction.
"""

import sqlite3

from ..errors import SequenceConflictError
from ..log import Run
from .rows import RUN, run_of, state_of

# What each sign of a producer's life changes.
RENEWAL = "renewals = renewals + 1, doubted = 0"


def change_lease(
    connection: sqlite3.Connection,
    run: Run,
    change: tuple[str, tuple[object, ...], str],
    now: float,
    expires: tuple[float, float],
) -> Run:
    """Change the row of `run` while its epoch is the same and a condition holds.

    `change` is what is set, its values, and the condition. `expires` is until when the run is
    kept: one that runs, and one that has ended. Raises `SequenceConflictError`.
    """
    assignments, values, condition = change
    number, _, ended = state_of(connection, run.id, now)
    changed = connection.execute(
        f"UPDATE runs SET {assignments}, expires = ? WHERE number = ? "  # noqa: S608 - constants
        f"AND epoch = ? AND {condition}",
        (*values, expires[ended], number, run.epoch),
    )
    if changed.rowcount == 0:
        raise SequenceConflictError
    row = connection.execute(f"SELECT {RUN} FROM runs WHERE number = ?", (number,))  # noqa: S608 - constants
    return run_of(row.fetchone())
