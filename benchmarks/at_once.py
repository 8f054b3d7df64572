"""Two hundred questions at once in one process, embedded engine and all, and one alone.

``python -m benchmarks.at_once`` prints the table. Each log has a process of its own, started warm:
what is counted begins when model and index are open.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from benchmarks.table import Table
from services.settings import ROOT

QUESTIONS = 200

# A process of its own, whose processor time is that of the answers alone. The questions are those
# of the shipped set, the last few of them said twice, in other letters: none is known before.
PROGRAM = """
import asyncio, json, sys, time
from pathlib import Path
from dataclasses import replace
from services.settings import Settings
from services.streaming import App, handle_streaming_request

log, count = sys.argv[1], int(sys.argv[2])
asked = [one["question"] for one in json.loads(Path("knowledge/questions.json").read_text())]
asked = [*asked, *(f"Please, {one}" for one in asked)][:count]


async def read(question, app):
    began = time.perf_counter()
    response = await handle_streaming_request({"query": question, "streaming": True}, app=app)
    first, whole = 0.0, b""
    async for part in response.body_iterator:
        part = part if isinstance(part, bytes) else part.encode()
        if not first and b'"type":"token"' in part:
            first = time.perf_counter() - began
        whole += part
    assert b'"type":"final"' in whole, whole[-300:]
    return first, time.perf_counter() - began


async def main():
    app = App(replace(Settings(), log=log))
    await app.context.prepare()
    for warm in ("What is banchan?", "Where do I eat in Lisbon?"):
        await read(warm, app)
    began, busy, loop = time.perf_counter(), time.process_time(), time.thread_time()
    found = await asyncio.gather(*(read(one, app) for one in asked))
    figures = [
        time.perf_counter() - began, time.process_time() - busy, time.thread_time() - loop,
        max(first for first, _ in found),
    ]
    alone = []
    for one in asked[:40]:
        began = time.perf_counter()
        await app.context.retrieve("Tell me: " + one, 5)
        alone.append((time.perf_counter() - began) * 1000)
    print(json.dumps([round(one, 2) for one in figures] + [round(sorted(alone)[20], 1)]))

asyncio.run(main())
"""


def measure(log: str, questions: int = QUESTIONS) -> Sequence[float]:
    """Return seconds: all, of the processor, of the loop's thread, the last first word; and ms."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, log, str(questions)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    figures: list[float] = json.loads(done.stdout)
    return figures


def tables() -> list[Table]:
    """Return the figures as a table."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            (name, *measure(log))
            for name, log in (("memory", "memory://"), ("SQLite", f"sqlite://{folder}/runs.sqlite"))
        ]
    return [
        Table(
            f"{QUESTIONS} questions at once",
            "Streamed by the embedded engine, in one process whose model and index are open: "
            "seconds until all are answered, of the processor, of the loop's thread, and until "
            "the last one has its first word; then retrieval of one question alone, milliseconds.",
            ("log", "all", "processor", "loop", "last first word", "one alone, ms"),
            rows,
        )
    ]


if __name__ == "__main__":
    for table in tables():
        print(table.markdown())
