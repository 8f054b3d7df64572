"""Small events per second through one stream: the whole facade against the usual stack."""

import json
import statistics
import time

from benchmarks.peers import EVENTS
from benchmarks.servers import post, run_server
from benchmarks.table import Table

ROUNDS = 3


def tables() -> list[Table]:
    """The peers in turn, so that the ratio holds when the machine's speed drifts."""
    uvicorn = ["-m", "uvicorn", "--log-level", "warning", "--port", "{port}"]
    with (
        run_server([*uvicorn, "benchmarks.peers:ours"], RIVERRUN_LOG="memory://") as ours,
        run_server([*uvicorn, "benchmarks.peers:sse_starlette"]) as theirs,
    ):
        rounds = [(_rate(ours), _rate(theirs)) for _ in range(ROUNDS)]
    mine = statistics.median(rate for rate, _ in rounds)
    other = statistics.median(rate for _, rate in rounds)
    ratio = statistics.median(rate / peer for rate, peer in rounds)
    return [
        Table(
            "Small events through one stream",
            f"{EVENTS:,} events of about 85 bytes, uvicorn in front of both, median of {ROUNDS}. "
            "Ours numbers, logs, encodes and watches every event; the peer only encodes.",
            ("server", "k events/s", "ratio"),
            [
                ("uvicorn + the facade (events built, memory log)", f"{mine:.0f}", f"{ratio:.2f}"),
                ("uvicorn + sse-starlette", f"{other:.0f}", "1"),
            ],
        )
    ]


def _rate(port: int) -> float:
    body = json.dumps({"query": "go", "streaming": True}).encode()
    events = 0
    tail = b""
    started = time.perf_counter()
    with post(port, "/api/chat", body) as connection:
        while chunk := connection.recv(1 << 20):
            joined = tail + chunk
            events += joined.count(b"\ndata: ") - tail.count(b"\ndata: ")
            tail = joined[-16:]
    seconds = time.perf_counter() - started
    if events < EVENTS:
        raise RuntimeError(f"{events} of {EVENTS} events arrived")
    return events / seconds / 1000
