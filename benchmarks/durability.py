"""What a durable log adds: to the first token of an answer, and to many streams at once.

The dev server with the scripted provider, so that nothing but the log differs between the rows.
SQLite writes to the disk of the temporary directory, flushed.
"""

import json
import statistics
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.servers import post, serving
from benchmarks.serving import ask
from benchmarks.table import Table

QUESTION = "What are the best attractions in Paris?"
ROUNDS = 60
STREAMS = 100
EVENTS = 200

# As wide as a token that is joined to no other, so that a word is an event in every store.
WORD = "river " * 10


def tables() -> list[Table]:
    """Milliseconds to the first token, and events a second, in memory and on the disk."""
    rows: list[tuple[object, ...]] = []
    for log in ("memory", "sqlite"):
        with tempfile.TemporaryDirectory() as folder:
            script = _script(Path(folder, "script.json"))
            with serving(
                ["-m", "functions"],
                RIVERRUN_LOG=f"{log}://",
                RIVERRUN_DATA_DIR=folder,
                RIVERRUN_CHAT="scripted",
                RIVERRUN_SCRIPT=str(script),
            ) as port:
                ask(port, QUESTION)  # the first opens the model
                first = [ask(port, QUESTION)[1] for _ in range(ROUNDS)]
                rows.append((log, f"{statistics.median(first):.1f}", f"{_rate(port):,.0f}"))
    return [
        Table(
            "What durability adds",
            f"First token: milliseconds from sending the request, median of {ROUNDS}, one at a "
            f"time. Events a second: {STREAMS} streams of {EVENTS} tokens at once, one process, "
            "client and server on one machine, retrieval included.",
            ("log", "first token", "events/s"),
            rows,
        )
    ]


def _script(path: Path) -> Path:
    one, many = [{"text": WORD}], [{"text": WORD}] * EVENTS
    path.write_text(
        json.dumps([{"when": QUESTION, "steps": one}, {"when": "*", "steps": many}]), "utf-8"
    )
    return path


def _rate(port: int) -> float:
    counts: list[int] = []

    def one() -> None:
        body = json.dumps({"query": "Count", "streaming": True}).encode()
        received = bytearray()
        with post(port, "/api/chat", body) as connection:
            while chunk := connection.recv(1 << 18):
                received += chunk
        counts.append(received.count(b"\ndata: "))

    threads = [threading.Thread(target=one) for _ in range(STREAMS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - started
    if len(counts) < STREAMS or min(counts) < EVENTS:
        raise RuntimeError("a stream did not get every event")
    return sum(counts) / wall


if __name__ == "__main__":
    for table in tables():
        print(table.markdown())
