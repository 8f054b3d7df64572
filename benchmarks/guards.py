"""What it costs a question to be let in, counted and told: `python -m benchmarks.guards`.

Keys, limits of every kind and the line of a run, on a memory ledger and on SQLite, in milliseconds;
and what importing them adds to a cold start.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from services.access import Access
from services.ledger import Ledger
from services.ledger.memory import MemoryLedger
from services.ledger.sqlite import SQLiteLedger
from services.limits import Estimate, Limiter
from services.public_settings import AccessSettings, LimitSettings, TelemetrySettings
from services.telemetry import Reporter, RunRecord

RUNS = 1000
LIMITS = LimitSettings(
    visitor_runs_per_minute=10**9,
    visitor_runs_at_once=10**6,
    visitor_tokens_per_day=10**12,
    total_usd_per_day=10**6,
    total_tokens_per_day=10**12,
)
MODULES = ("services.access", "services.limits", "services.ledger", "services.telemetry")


async def measure(open_ledger: Callable[[], Ledger]) -> list[float]:
    """Time the guards of one question after another, in milliseconds."""
    ledger = open_ledger()
    access = Access(AccessSettings(), tuple(f"key-{n:032}" for n in range(20)), lambda: ledger)
    limiter = Limiter(LIMITS, lambda: ledger)
    reporter = Reporter(TelemetrySettings(metrics="emf"), write=lambda _line: None)
    times = []
    for _ in range(RUNS):
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


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        stores: dict[str, Callable[[], Ledger]] = {
            "memory": MemoryLedger,
            "sqlite": lambda: SQLiteLedger(Path(folder) / "ledger.sqlite"),
        }
        for name, open_ledger in stores.items():
            times = sorted(asyncio.run(measure(open_ledger)))
            print(f"{name:8} p50 {times[RUNS // 2]:.3f} ms, p99 {times[RUNS * 99 // 100]:.3f} ms")
    print(f"import   {measure_import():.1f} ms")
    print("dynamodb 4 write units and 2 read units a run, with limits for each and for all")


if __name__ == "__main__":
    main()
