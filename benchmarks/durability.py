"""What a durable log adds: to the first token of an answer, and to many streams at once.

The dev server with the scripted provider, so that nothing but the log differs between the rows.
SQLite writes to the disk of the temporary directory, flushed. Says what it finds as it goes.
"""

import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from benchmarks.dev_server import ask
from benchmarks.servers import post, run_server
from benchmarks.table import Table

QUESTION = "What are the best attractions in Paris?"
LOGS = ("memory", "sqlite")
ROUNDS = 60
STREAMS = 100
EVENTS = 100

# A busy machine is asked less often, so that it is over within a minute.
SECONDS = 12.0

# As wide as a token that is joined to no other, so that a word is an event in every store.
WORD = "river " * 10


def tables() -> list[Table]:
    """Milliseconds to the first token, and events a second, in memory and on the disk."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        script = _script(folder / "script.json")
        ports = {
            log: stack.enter_context(
                run_server(
                    ["-m", "functions"],
                    RIVERRUN_LOG=f"{log}://",
                    RIVERRUN_DATA_DIR=str(folder),
                    RIVERRUN_CHAT="scripted",
                    RIVERRUN_SCRIPT=str(script),
                )
            )
            for log in LOGS
        }
        first = _first_tokens(ports)
        rates = {log: _rate(port) for log, port in ports.items()}
        for log, rate in rates.items():
            _say(f"{log}: {rate:,.0f} events/s")
        flush = _flush(folder / "flushed")
    middle = {log: statistics.median(times) for log, times in first.items()}
    rows = [
        (
            log,
            f"{middle[log]:.1f}",
            f"{middle[log] - middle[LOGS[0]]:+.1f}",
            f"{min(first[log]):.1f}",
            f"{rates[log]:,.0f}",
        )
        for log in LOGS
    ]
    return [
        Table(
            "What durability adds",
            "First token: milliseconds from sending the request, median of "
            f"{len(first[LOGS[0]])} and the least,"
            " one at a time, the logs in turn. Events a second: "
            f"{STREAMS} streams of {EVENTS} tokens at once, one process, client and server on one "
            f"machine, retrieval included. A flush of this disk took {flush:.2f} ms.",
            ("log", "first token", "added", "least", "events/s"),
            rows,
        )
    ]


def _first_tokens(ports: Mapping[str, int]) -> dict[str, list[float]]:
    for port in ports.values():
        ask(port, QUESTION)  # the first opens the model
    first: dict[str, list[float]] = {log: [] for log in ports}
    end = time.monotonic() + SECONDS
    for number in range(ROUNDS):
        if time.monotonic() > end:
            break
        # In turn, so that whatever else the machine does falls on both.
        for log, port in ports.items():
            first[log].append(ask(port, QUESTION)[1])
        if number % 15 == 14:
            told = ", ".join(f"{log} {statistics.median(first[log]):.1f} ms" for log in ports)
            _say(f"first token after {number + 1} rounds: {told}")
    return first


def _flush(path: Path) -> float:
    times = []
    with path.open("wb", buffering=0) as file:
        for _ in range(20):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


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
