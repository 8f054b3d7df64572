"""What it costs a question to be let in, counted and told: `python -m benchmarks.guards`.

Keys, limits of every kind and the line of a run, on each ledger, in milliseconds and in DynamoDB's
units; and what importing them adds to a cold start.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.table import Table
from services.access import Access
from services.ledger import Ledger
from services.ledger.dynamodb import DynamoLedger
from services.ledger.memory import MemoryLedger
from services.ledger.sqlite import SQLiteLedger
from services.limits import Estimate, Limiter
from services.public_settings import AccessSettings, LimitSettings, TelemetrySettings
from services.telemetry import Reporter, RunRecord
from tests.services.runs import dynamodb_local
from tests.services.runs.tables import client_for, new_table

RUNS = 1000
UNIT_RUNS = 100
LIMITS = LimitSettings(
    visitor_runs_per_minute=10**9,
    visitor_runs_at_once=10**6,
    visitor_tokens_per_day=10**12,
    total_usd_per_day=10**6,
    total_tokens_per_day=10**12,
)
MODULES = ("services.access", "services.limits", "services.ledger", "services.telemetry")


async def measure(open_ledger: Callable[[], Ledger], runs: int = RUNS) -> list[float]:
    """Time the guards of one question after another, in milliseconds."""
    ledger = open_ledger()
    access = Access(AccessSettings(), tuple(f"key-{n:032}" for n in range(20)), lambda: ledger)
    limiter = Limiter(LIMITS, lambda: ledger)
    reporter = Reporter(TelemetrySettings(metrics="emf"), write=lambda _line: None)
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        principal = await access.identify(f"key-{7:032}")
        ticket = await limiter.reserve(principal.owner or "", Estimate(tokens=2000, usd=0.01))
        await limiter.settle(ticket, tokens=700, usd=0.004)
        reporter.report_run(RunRecord(run="r", owner=principal.owner, code="stop"))
        times.append((time.perf_counter() - start) * 1000)
    await ledger.close()
    return times


def measure_import() -> float:
    """Time the import of the guards beside what a function imports anyway, in milliseconds."""
    code = (
        f"import time; import starlette.applications, pydantic_core, anyio\n"
        f"t = time.perf_counter(); import {', '.join(MODULES)}\n"
        "print((time.perf_counter() - t) * 1000)"
    )
    command = [sys.executable, "-c", code]
    times = [float(subprocess.check_output(command, text=True)) for _ in range(7)]
    return statistics.median(times)


def tables() -> list[Table]:
    """The guards of one question by the ledger behind them, and what they add to a cold start."""
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as folder:
        stores: dict[str, Callable[[], Ledger]] = {
            "memory": MemoryLedger,
            "SQLite": lambda: SQLiteLedger(Path(folder) / "ledger.sqlite"),
        }
        for name, open_ledger in stores.items():
            times = sorted(asyncio.run(measure(open_ledger)))
            rows.append([name, f"{times[RUNS // 2]:.3f}", f"{times[RUNS * 99 // 100]:.3f}", "", ""])
    if dynamodb_local.missing_reason() is None:
        with dynamodb_local.run_server() as address:
            rows.append(["DynamoDB Local", *asyncio.run(_measure_units(address))])
    return [
        Table(
            "What it costs a question to be let in, counted and told",
            "A key among twenty, five limits reserved and settled, and the line of the run: "
            f"milliseconds a question. Importing all of it adds {measure_import():.0f} ms to a "
            "cold start. The units are those that DynamoDB says it charges, a question.",
            ("ledger", "p50 ms", "p99 ms", "WCU", "RCU"),
            rows,
        )
    ]


async def _measure_units(address: str) -> list[object]:
    client = client_for(address)
    name = new_table(client)
    units: Counter[str] = Counter()

    def ask(params: dict[str, Any], **_more: Any) -> None:
        params["ReturnConsumedCapacity"] = "TOTAL"

    def count(parsed: dict[str, Any], model: Any, **_more: Any) -> None:
        found = parsed.get("ConsumedCapacity", [])
        for each in found if isinstance(found, list) else [found]:
            reads = model.name in ("GetItem", "Query", "BatchGetItem", "TransactGetItems")
            units["RCU" if reads else "WCU"] += each["CapacityUnits"]

    client.meta.events.register("provide-client-params.dynamodb", ask)
    client.meta.events.register("after-call.dynamodb", count)
    times = sorted(await measure(lambda: DynamoLedger(name, client=client), UNIT_RUNS))
    each = [f"{units[unit] / UNIT_RUNS:.1f}" for unit in ("WCU", "RCU")]
    return [f"{times[UNIT_RUNS // 2]:.3f}", f"{times[UNIT_RUNS * 99 // 100]:.3f}", *each]


if __name__ == "__main__":
    for table in tables():
        print(table.markdown())
