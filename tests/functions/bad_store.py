"""A store whose calls go wrong: before they were carried out, after it, twice, and too late."""

import random
import sqlite3
from typing import Any

from services.runs import RunLog
from services.runs.dynamodb.log import DynamoLog
from services.runs.sqlite.log import SQLiteLog
from tests.services.runs.disk_faults import FaultyConnection


def spoil_store(log: RunLog, share: float, seed: int) -> None:
    """Let `share` of what `log` asks of its store go wrong, in the way that `seed` decides."""
    chance = random.Random(seed)
    if isinstance(log, DynamoLog):
        from tests.services.runs.faults import FaultyClient

        table = log._table
        table._client = FaultyClient(table._get_client(), chance, share)
    if isinstance(log, SQLiteLog):
        file = log._file
        adopt = file._adopt

        def adopt_spoiled(connection: sqlite3.Connection) -> Any:
            return FaultyConnection(adopt(connection), chance, share)

        # Also the connection to the file that follows one that was removed.
        file.__dict__["_adopt"] = adopt_spoiled
        file.__dict__["_connection"] = FaultyConnection(file._connection, chance, share)
