"""The dev server as a client sees it: first byte, first event, the whole answer, many at once."""

import json
import statistics
import tempfile
import threading
import time

from benchmarks.servers import post, run_server
from benchmarks.table import Table

QUESTIONS = (
    "What are the best restaurants in Tokyo?",
    "What are the best attractions in Paris?",
    "Plan a trip to Japan",
)
ROUNDS = 20
STREAMS = 200


def tables() -> list[Table]:
    """One request at a time, then `STREAMS` at once, with the log in memory and on the disk."""
    rows: list[tuple[object, ...]] = []
    for log in ("memory", "sqlite"):
        with (
            tempfile.TemporaryDirectory() as folder,
            run_server(
                ["-m", "functions"], RIVERRUN_LOG=f"{log}://", RIVERRUN_DATA_DIR=folder
            ) as port,
        ):
            ask(port, QUESTIONS[0])  # the first opens the model
            alone = [ask(port, question) for _ in range(ROUNDS) for question in QUESTIONS]
            started = time.perf_counter()
            crowd = _at_once(port)
            wall = time.perf_counter() - started
        rows.append((f"{log}, one at a time", len(alone), *_columns(alone), ""))
        rows.append((f"{log}, {STREAMS} at once", len(crowd), *_columns(crowd), f"{wall:.1f} s"))
    return [
        Table(
            "The embedded answer through the dev server",
            "Milliseconds from sending the request, median (p99); warm process, loopback.",
            ("log, load", "answers", "first byte", "first token", "complete", "wall"),
            rows,
        )
    ]


def ask(port: int, question: str) -> tuple[float, float, float]:
    """Milliseconds to the first byte, the first token and the end of one streamed answer."""
    body = json.dumps({"query": question, "streaming": True}).encode()
    started = time.perf_counter()
    first = token = 0.0
    received = b""
    with post(port, "/api/chat", body) as connection:
        while chunk := connection.recv(65536):
            first = first or time.perf_counter()
            received += chunk
            if not token and b'"type":"token"' in received:
                token = time.perf_counter()
    ended = time.perf_counter()
    if b'"type":"final"' not in received:
        raise RuntimeError(f"no final event: {received[-500:]!r}")
    return (first - started) * 1000, (token - started) * 1000, (ended - started) * 1000


def _at_once(port: int) -> list[tuple[float, float, float]]:
    results: list[tuple[float, float, float]] = []

    def one(index: int) -> None:
        results.append(ask(port, QUESTIONS[index % len(QUESTIONS)]))

    threads = [threading.Thread(target=one, args=(index,)) for index in range(STREAMS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def _columns(times: list[tuple[float, float, float]]) -> list[str]:
    columns = []
    for values in zip(*times, strict=True):
        ordered = sorted(values)
        p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        columns.append(f"{statistics.median(ordered):.1f} ({p99:.1f})")
    return columns
