"""The run log: appends a second for each store, and what an answer costs in DynamoDB.

SQLite writes to the disk of the temporary directory, flushed (`synchronous=FULL`). DynamoDB is
DynamoDB Local, which counts capacity as the service does; its speed says nothing. Where it is not
installed (tests/services/runs/dynamodb_local.py does it) that table is left out.
"""

import asyncio
import os
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.table import Table
from services.runs import Entry, RunLog, follow
from services.runs.memory import MemoryLog
from services.runs.sqlite.log import SQLiteLog
from tests.services.runs import dynamodb_local
from tests.services.runs.tables import client_for, new_table

# An answer as the recorder appends it: a few statuses and the sources one by one, 300 tokens in
# batches of 20, the end.
STATUSES = 6
BATCHES = 15
TOKENS = 20
SECONDS = 3.0


def tables() -> list[Table]:
    """Appends a second, and capacity units an answer."""
    found = [asyncio.run(_appends())]
    if dynamodb_local.missing_reason() is None:
        with dynamodb_local.run_server() as address:
            found.append(asyncio.run(_capacity(address)))
    return found


def _token(seq: int) -> Entry:
    return Entry(seq, "token", b'{"type":"token","text":"river "}')


def _answer() -> list[list[Entry]]:
    statuses = [
        [Entry(seq, "status", b'{"type":"status","status":{"description":"%s"}}' % (b"x" * 150))]
        for seq in range(1, STATUSES + 1)
    ]
    sources = [[Entry(STATUSES + 1, "sources", os.urandom(1500).hex().encode())]]
    first = STATUSES + 2
    tokens = [
        [_token(first + batch * TOKENS + n) for n in range(TOKENS)] for batch in range(BATCHES)
    ]
    end = Entry(first + BATCHES * TOKENS, "final", os.urandom(2000).hex().encode(), terminal=True)
    return [*statuses, *sources, *tokens, [end]]


async def _appends() -> Table:
    rows = []
    for runs in (1, 50, 1000):
        memory = MemoryLog()
        row: list[object] = [runs, f"{await _rate(memory, runs):,.0f}"]
        with tempfile.TemporaryDirectory() as folder:
            log = SQLiteLog(Path(folder, "runs.sqlite"))
            row.append(f"{await _rate(log, runs):,.0f}")
            await log.close()
        rows.append(row)
    return Table(
        "Run log: appends a second",
        "Batches of 5 tokens, each run appends the next when the last one is acknowledged.",
        ("runs at once", "memory", "SQLite, flushed"),
        rows,
    )


async def _rate(log: RunLog, runs: int) -> float:
    end = time.perf_counter() + SECONDS

    async def write() -> int:
        run, _ = await log.start(owner=None, key=None, fingerprint="f")
        seq = 0
        while time.perf_counter() < end:
            await log.append(run.id, [_token(seq + n) for n in range(1, 6)])
            seq += 5
            await asyncio.sleep(0)
        return seq // 5

    begun = time.perf_counter()
    appended = sum(await asyncio.gather(*(write() for _ in range(runs))))
    return appended / (time.perf_counter() - begun)


async def _capacity(address: str) -> Table:
    from services.runs.dynamodb.log import DynamoLog
    from services.runs.dynamodb.table import Table as DynamoTable

    spent: Counter[str] = Counter()
    rows: list[list[object]] = []

    def count_transaction(params: Mapping[str, Any], **_more: Any) -> None:
        # DynamoDB Local says 4 of every transaction. AWS charges two units for each item of a KB.
        spent["WCU"] += 2 * len(params["TransactItems"])

    def count(operation: str, response: Mapping[str, Any]) -> None:
        reads = operation in ("get_item", "query")
        capacity = response["ConsumedCapacity"]
        spent["calls to read" if reads else "calls to write"] += 1
        if operation == "transact_write_items":
            return
        for each in capacity if isinstance(capacity, list) else [capacity]:
            spent["RCU" if reads else "WCU"] += each["CapacityUnits"]

    def note(what: str) -> None:
        names = ("calls to write", "WCU", "calls to read", "RCU")
        rows.append([what, *(f"{spent[name]:g}" for name in names)])
        spent.clear()

    client = client_for(address)
    client.meta.events.register(
        "provide-client-params.dynamodb.TransactWriteItems", count_transaction
    )
    name = new_table(client)
    log, elsewhere = (DynamoLog(DynamoTable(name, client=client, spent=count)) for _ in range(2))
    run, _ = await log.start(owner="ann", key="k", fingerprint="f", question=b"{}" * 100)
    note("start, with an owner and a key")
    for batch in _answer():
        await log.append(run.id, batch)
    note(f"{len(_answer())} appends of {sum(map(len, _answer()))} entries")
    await log.renew(run)
    note("renew")
    async for _entry in follow(elsewhere, run.id):
        pass
    note("read whole, in another process")
    assert not await elsewhere.wait(run.id, 1000, 1.0)
    note("wait a second in vain, in another process")
    await log.close()
    await elsewhere.close()
    return Table(
        "Run log: what an answer costs in DynamoDB",
        "300 tokens in 15 batches, six statuses, 3 KB of sources and 4 KB at the end, which do not "
        "shrink.",
        ("what", "calls to write", "WCU", "calls to read", "RCU"),
        rows,
    )


if __name__ == "__main__":
    for table in tables():
        print(table.markdown())
