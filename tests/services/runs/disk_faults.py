"""SQLite on a bad disk: it fails before it did it, and after."""

import random
import sqlite3
from typing import Any


class FaultyConnection:
    """A SQLite connection on a bad disk: `share` of the transactions go wrong.

    Locked by another process, or full in the middle (SQLite may undo everything by itself); a
    commit that fails, or that says so and is on the disk all the same.
    """

    def __init__(self, connection: sqlite3.Connection, chance: random.Random, share: float) -> None:
        self._connection = connection
        self._chance = chance
        self._share = share

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, *values: Any) -> Any:
        """As a connection does, or not."""
        verb = statement.partition(" ")[0]
        share = {"BEGIN": 0.3, "COMMIT": 0.5, "INSERT": 0.1, "UPDATE": 0.1}.get(verb, 0.0)
        if self._chance.random() >= share * self._share:
            return self._connection.execute(statement, *values)
        if verb == "BEGIN":
            raise make_error(sqlite3.SQLITE_BUSY)
        if verb == "COMMIT" and self._chance.random() < 0.5:
            self._connection.execute(statement)
            raise make_error(sqlite3.SQLITE_BUSY)
        if self._chance.random() < 0.5:
            self._connection.execute("ROLLBACK")
        raise make_error(sqlite3.SQLITE_BUSY)


def make_error(code: int) -> sqlite3.OperationalError:
    """What SQLite raises."""
    error = sqlite3.OperationalError("it went wrong")
    error.sqlite_errorcode = code
    return error
