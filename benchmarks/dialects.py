"""What each dialect takes to encode an event of a run, beside the native one."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.table import Table
from services.runs import Entry
from services.settings import ROOT
from services.streaming.encoders import MODULES, RunInfo, find_dialect

TOKENS = 2_000


def make_table() -> Table:
    """Encode one long run in every dialect, in turns, and compare."""
    run = make_run()
    took: dict[str, list[float]] = {name: [] for name in MODULES}
    for _ in range(9):
        for name, times in took.items():
            times.append(_time_run(name, run))
    middle = {name: statistics.median(times) * 1e6 for name, times in took.items()}
    rows = [
        [name, f"{cost:.2f}", f"{cost - middle['native']:+.2f}"] for name, cost in middle.items()
    ]
    return Table(
        "Dialects: encoding an event",
        f"The middle of nine runs of {TOKENS:,} tokens with their steps, sources and end, in "
        "processor time. At most 5 us over the native one are wanted.",
        ("dialect", "us an event", "over native"),
        rows,
    )


def make_run() -> list[Entry]:
    """Return the entries of one long answer, as a log keeps them."""
    source = {"id": "a", "title": "A page", "uri": "https://example.org/a", "snippet": "Words."}
    status = {"step": 1, "description": "Searching", "status": "executing", "timestamp": 1}
    done = status | {"status": "completed"}
    answer = "word " * TOKENS
    usage = {"inputTokens": 9, "outputTokens": TOKENS}
    result = {
        "answer": answer,
        "success": True,
        "finishReason": "stop",
        "steps": [done],
        "sources": [source],
        "usage": usage,
        "runId": "run",
        "model": "m",
    }
    said: list[dict[str, Any]] = [
        {"type": "status", "status": status},
        {"type": "status", "status": done},
        {"type": "sources", "sources": [source]},
        *({"type": "token", "text": "word "} for _ in range(TOKENS)),
        {"type": "usage", "usage": usage},
        {"type": "final", "result": result},
    ]
    return [
        Entry(
            seq,
            str(event["type"]),
            json.dumps(event, separators=(",", ":")).encode(),
            event["type"] == "final",
        )
        for seq, event in enumerate(said, 1)
    ]


def _time_run(name: str, run: Sequence[Entry]) -> float:
    encode = find_dialect(name).encoder(RunInfo(run_id="run", model="m"))
    began = time.thread_time()
    for entry in run:
        encode(entry)
    return (time.thread_time() - began) / len(run)


def make_start_table() -> Table:
    """Import each function in a fresh process: how long, and what it brings of the dialects."""
    rows = []
    for function in ("chat", "openai", "ui", "agui"):
        tries = [_import_function(function) for _ in range(5)]
        found = ", ".join(tries[0][1]) or "none"
        rows.append([f"functions.{function}", f"{min(took for took, _ in tries):.0f}", found])
    return Table(
        "Dialects: cold start",
        "The best of five imports in fresh processes, and the dialects' modules that are there "
        "before the first question.",
        ("function", "import ms", "dialects imported"),
        rows,
    )


IMPORT = """
import sys, time
began = time.perf_counter()
import functions.{function}
print((time.perf_counter() - began) * 1000)
print(*sorted(name.rpartition(".")[2] for name in sys.modules if ".encoders." in name))
"""


def _import_function(function: str) -> tuple[float, list[str]]:
    command = (sys.executable, "-c", IMPORT.format(function=function))
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    took, found = run.stdout.splitlines()[:2]
    return float(took), [name for name in found.split() if name in MODULES]


def tables() -> list[Table]:
    """All measurements of the dialects."""
    return [make_table(), make_start_table()]


if __name__ == "__main__":
    for made in tables():
        print(made.markdown())
