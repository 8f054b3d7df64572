"""`python -m benchmarks`: every table, printed as it comes and kept in benchmarks/RESULTS.md."""

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import (
    answers,
    at_once,
    cold,
    dev_server,
    dialects,
    durability,
    environment,
    estimates,
    events,
    guards,
    log,
    models,
    pythons,
    reading,
    recovery,
    retrieval,
    runtimes,
    warm,
)
from benchmarks.table import Table

RESULTS = Path(__file__).parent / "RESULTS.md"


def main() -> int:
    """Measure everything. Returns 0."""
    tables: list[Table] = []
    for measure in (
        retrieval.tables,
        answers.tables,
        reading.tables,
        at_once.tables,
        warm.tables,
        dev_server.tables,
        events.tables,
        log.tables,
        durability.tables,
        recovery.tables,
        guards.tables,
        estimates.tables,
        models.tables,
        dialects.tables,
        runtimes.tables,
        environment.tables,
        pythons.tables,
        cold.tables,
    ):
        for table in measure():
            print(table.markdown(), flush=True)
            tables.append(table)
    RESULTS.write_text(_heading() + "\n".join(table.markdown() for table in tables), "utf-8")
    print(f"Kept in {RESULTS.name}.")
    return 0


def _heading() -> str:
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    return (
        "# Results\n\n"
        "The last run of `make bench`.\n"
        "Absolute figures move from machine to machine; trust ratios taken in one run.\n\n"
        f"{when}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}.\n\n"
    )


if __name__ == "__main__":
    sys.exit(main())
