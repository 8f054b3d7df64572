"""How soon an answer goes on whose producer was killed, and what watching for that costs.

Two servers of the product on one store; one of them is killed while it writes answers. A reader at
the other one was there before (`reader`); a client of the killed one repeats its request with the
same key half a second later, without `resume` (`repeat`). The clocks of the two differ by a second.
DynamoDB is DynamoDB Local; where it is not installed (tests/services/runs/dynamodb_local.py does
it) its rows are left out.
"""

import asyncio
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.table import Table
from services.runs import LEASE_SECONDS, Run, RunLog
from services.runs.lease import RENEWALS_PER_LEASE, end_dead_lease
from services.streaming.readers.tail import PRODUCER_CHECK_INTERVAL
from tests.functions.servers import Server
from tests.functions.table_server import environ_for
from tests.functions.wire import CutError, Response, get, post
from tests.services.runs import dynamodb_local
from tests.services.runs.tables import client_for, new_table

KILLS = 6
TOGETHER = 8
WORDS = 60
PAUSE_MS = 150
WATCHED_SECONDS = 10.0

# p50 and p99 of the version before, with its own constants, on 30 November 2026 (16 answers each).
SECONDS_BEFORE = {
    ("SQLite", "reader"): ("15.9", "16.0"),
    ("SQLite", "repeat"): ("14.6", "15.4"),
    ("DynamoDB Local", "reader"): ("14.4", "14.4"),
    ("DynamoDB Local", "repeat"): ("15.5", "16.7"),
}

# What the same cost when leases had an end and were judged by the clock: writes and reads, with the
# constants of then (a lease of 15 s, a grace of 2, a look every 2).
BEFORE = {
    "a producer that is silent": (2, 0),
    "a reader elsewhere that looks after it": (0, 5),
    "finding it dead and taking its run over": (1, 12),
}


def tables() -> list[Table]:
    """Seconds from a kill to the next new event, and operations in ten seconds of silence."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stores = {"SQLite": {"RIVERRUN_LOG": f"sqlite://{folder}/runs.sqlite"}}
        costs = asyncio.run(
            _measure_costs("SQLite", partial(_open_sqlite, folder / "costs.sqlite"))
        )
        if dynamodb_local.missing_reason() is None:
            address = stack.enter_context(dynamodb_local.run_server())
            client = client_for(address)
            stores["DynamoDB Local"] = environ_for(address, new_table(client))
            costs += asyncio.run(_measure_costs("DynamoDB Local", partial(_open_table, client)))
        rows: list[list[object]] = []
        for store, environ in stores.items():
            calls = folder / f"{len(rows)}.calls"
            calls.touch()
            found = asyncio.run(_recover(environ, calls))
            for who, seconds in found.items():
                before = SECONDS_BEFORE[store, who]
                rows.append([store, who, len(seconds), *before, *_quantiles(seconds)])
    found_tables = [
        Table(
            "Recovery: from the kill of a producer to the next event",
            f"Seconds. {TOGETHER} answers at a time, clocks a second apart. Before: leases of 15 s "
            "that had an end; 7 of 16 repeats in DynamoDB Local got no answer at all then.",
            ("store", "who", "answers", "p50 before", "p99 before", "p50", "p99", "worst"),
            rows,
        )
    ]
    if costs:
        found_tables.append(
            Table(
                "Recovery: what it costs",
                f"In {WATCHED_SECONDS:g} s without an event: transactions and reads of SQLite, "
                "units of DynamoDB. Before: leases with an end, measured on 30 November 2026.",
                ("store", "what", "writes before", "reads before", "writes", "reads"),
                costs,
            )
        )
    return found_tables


def _quantiles(seconds: list[float]) -> list[str]:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return [f"{value:.1f}" for value in (cuts[49], cuts[98], max(seconds))]


async def _recover(environ: Mapping[str, str], calls: Path) -> dict[str, list[float]]:
    options = {"calls": str(calls), "lease": LEASE_SECONDS}
    servers = [Server(environ, dict(options)) for _ in range(2)]
    servers[1].clock.set(1.0)
    await asyncio.gather(*(server.start() for server in servers))
    found: dict[str, list[float]] = {"reader": [], "repeat": []}
    try:
        for turn in range(KILLS):
            names = [f"t{turn}n{number}" for number in range(TOGETHER)]
            tasks = [asyncio.create_task(_watch(name, servers, found)) for name in names]
            await asyncio.sleep(random.uniform(2.0, 4.0))
            servers[0].kill()
            killed = time.monotonic()
            for task in tasks:
                who, at = await task
                found[who].append(at - killed)
            await servers[0].start()
    finally:
        for server in servers:
            server.kill()
    return found


async def _watch(
    name: str, servers: list[Server], found: Mapping[str, list[float]]
) -> tuple[str, float]:
    """Ask the first server, and wait at the second for what comes after the kill of the first."""
    who = random.choice(list(found))
    first, second = servers
    question = {
        "query": f"{name} says {WORDS} words, {PAUSE_MS} ms apart",
        "streaming": True,
        "resume": who == "reader",
    }
    last = 0
    other: asyncio.Task[float] | None = None
    with suppress(CutError):
        async with Response(first.port, post(question, Idempotency_Key=name)) as response:
            if who == "reader":
                other = asyncio.create_task(_first_after_the_gap(second, response.run))
            while events := await response.events():
                last = max(last, *(event.seq for event in events))
    if other is not None:
        return who, await other
    await asyncio.sleep(0.5)
    async with Response(second.port, post(question, Idempotency_Key=name)) as response:
        while events := await response.events():
            if any(event.seq > last for event in events):
                return who, time.monotonic()
    raise AssertionError(f"{name}: nothing came after entry {last}")


async def _first_after_the_gap(server: Server, run: str) -> float:
    """Read a run; return when it went on after it had been silent for a second."""
    before = time.monotonic()
    target = f"/api/chat/runs/{run}/events?after=0&resume=1"
    async with Response(server.port, get(target)) as response:
        while await response.events():
            now = time.monotonic()
            if now - before > 1.0:
                return now
            before = now
    raise AssertionError(f"run {run} did not go on")


def _open_sqlite(path: Path, spent: Counter[str]) -> RunLog:
    """A log whose reads and write transactions are counted."""
    from services.runs.sqlite.log import SQLiteLog

    log = SQLiteLog(path)
    file = log._file  # noqa: SLF001 - it counts nothing itself
    read, write = file.read, file.write

    async def count_read(work: Any) -> Any:
        spent["read"] += 1
        return await read(work)

    async def count_write(work: Any, *, flushed: bool = True) -> Any:
        spent["write"] += 1
        return await write(work, flushed=flushed)

    file.__dict__.update(read=count_read, write=count_write)
    return log


def _open_table(client: Any, spent: Counter[str]) -> RunLog:
    """A log in a table of its own for each `spent`, which is told the units."""
    from services.runs.dynamodb.log import DynamoLog
    from services.runs.dynamodb.table import Table as DynamoTable

    def count(operation: str, response: Mapping[str, Any]) -> None:
        reads = operation in ("get_item", "query")
        capacity = response["ConsumedCapacity"]
        for each in capacity if isinstance(capacity, list) else [capacity]:
            spent["read" if reads else "write"] += each["CapacityUnits"]

    return DynamoLog(DynamoTable(new_table(client), client=client, spent=count))


async def _measure_costs(
    store: str, open_log: Callable[[Counter[str]], RunLog]
) -> list[list[object]]:
    spent: Counter[str] = Counter()
    log = open_log(spent)

    def note(what: str) -> list[object]:
        row = [store, what, *BEFORE[what], f"{spent['write']:g}", f"{spent['read']:g}"]
        spent.clear()
        return row

    producing = reading = log
    run, _ = await producing.start(owner=None, key=None, fingerprint="f", question=b"{}" * 100)
    spent.clear()
    rows = []
    signs = int(WATCHED_SECONDS / LEASE_SECONDS * RENEWALS_PER_LEASE)
    for _ in range(signs):
        await producing.renew(run)
    rows.append(note("a producer that is silent"))
    await _look(reading, run, WATCHED_SECONDS, producing)
    spent["write"] -= signs
    rows.append(note("a reader elsewhere that looks after it"))
    await _look(reading, run, LEASE_SECONDS + 1.0)
    claimed = await reading.claim(await reading.find(run.id, None))
    rows.append(note("finding it dead and taking its run over"))
    assert claimed.epoch == 2
    await log.close()
    return rows


async def _look(log: RunLog, run: Run, seconds: float, living: RunLog | None = None) -> None:
    for look in range(int(seconds / PRODUCER_CHECK_INTERVAL)):
        if living is not None and look % 2 == 0:
            await living.renew(run)
        await end_dead_lease(log, await log.find(run.id, None), 0)
        await asyncio.sleep(PRODUCER_CHECK_INTERVAL)


if __name__ == "__main__":
    for table in tables():
        print(table.markdown())
