"""One environment of a Web Function full of streams: the whole product, provider to socket.

The service is a fake in a process of its own, the readers are in this one: the processor time is
that of the application's process, its server included, for a token that the service sent.
"""

import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks import load, processes
from benchmarks.contenders import UVICORN_COMMAND, Contender
from benchmarks.load import Target
from benchmarks.table import Table
from fakes import bedrock, openai
from fakes.aws_account import ACCOUNT
from fakes.steps import Step

TOKENS = 300
PACE = 0.02
STREAMS = (64, 128)
# How late the last token of a stream may be, of the seconds that its answer takes at the least.
STARVED = 2.0


def tables() -> list[Table]:
    """Full environments, by service and log."""
    rows = [
        [service, log, streams, *_measure(service, log, streams)]
        for service in ("bedrock", "openai")
        for log in ("memory", "sqlite")
        for streams in STREAMS
    ]
    return [
        Table(
            "A full environment of a Web Function",
            f"`main:app` under uvicorn, {TOKENS} tokens a stream, one every {PACE * 1000:.0f} ms, "
            f"so {TOKENS * PACE:.0f} s are the least; readers on this machine. The lag is how late "
            "the event loop wakes a task every 5 ms, the least of the whole answer's time: at 128 "
            "streams its 99th percentile is to stay under 10 ms, at 60 us of processor time a "
            f"token. Starved is a stream that ends {STARVED:.0f} s late or lacks a token.",
            (
                "service",
                "log",
                "streams",
                "CPU us a token",
                "lag p99 ms",
                "last end s",
                "starved",
                "events a token",
            ),
            rows,
        )
    ]


def _serve(name: str, pipe: Connection) -> None:
    kind = bedrock if name == "bedrock" else openai
    steps: list[Step] = [kind.START]
    for number in range(TOKENS):
        steps += [kind.text(f"word{number} "), PACE]
    steps += [kind.stop(), kind.usage(10, TOKENS)]
    with (bedrock.bedrock if name == "bedrock" else openai.openai)() as fake:
        fake.play(kind.stream(*steps))
        pipe.send(fake.url)
        pipe.recv()


@contextmanager
def _service(name: str) -> Iterator[str]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(name, theirs))
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("end")
        process.join(10)
        process.kill()


def _measure(service: str, log: str, streams: int) -> list[object]:
    with _service(service) as url, tempfile.TemporaryDirectory() as folder:
        environ = {
            **os.environ,
            **ACCOUNT,
            "RIVERRUN_CHAT": service,
            "RIVERRUN_CHAT_MODEL": "m",
            "RIVERRUN_MAX_STREAMS": "256",
            "RIVERRUN_LOG": "memory://" if log == "memory" else f"sqlite://{Path(folder)}/runs",
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": url,
            "OPENAI_BASE_URL": url,
            "OPENAI_API_KEY": "k",
        }
        contender = Contender(
            name=service,
            command=(sys.executable, *UVICORN_COMMAND, "benchmarks.apps.loop_watch:app"),
            environ=environ,
            direct=True,
            question=b'{"query":"What is there to see in Paris?","streaming":true}',
        )
        with load.start_contenders([contender]) as running:
            return asyncio.run(_crowd(running[contender], streams))


async def _crowd(target: Target, streams: int) -> list[object]:
    await _read(target)  # the client is made, and the index
    await asyncio.to_thread(_lags, target)
    cpu = processes.cpu_seconds(target.group)
    found = await asyncio.gather(*(_read(target) for _ in range(streams)))
    spent = processes.cpu_seconds(target.group) - cpu
    lags = await asyncio.to_thread(_lags, target)
    starved = sum(
        words != TOKENS or seconds > TOKENS * PACE + STARVED for seconds, words, _ in found
    )
    return [
        f"{spent / streams / TOKENS * 1e6:.0f}",
        f"{statistics.quantiles(lags, n=100, method='inclusive')[98]:.1f}",
        f"{max(seconds for seconds, _, _ in found):.2f}",
        starved,
        f"{statistics.mean(events for _, _, events in found) / TOKENS:.2f}",
    ]


def _lags(target: Target) -> list[float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{target.port}/lags") as answer:
        lags: list[float] = json.load(answer)
    return lags


async def _read(target: Target) -> tuple[float, int, int]:
    """The seconds of one answer, its words, and the events they came in."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port, limit=1 << 20)
    began = time.perf_counter()
    writer.write(load.request("", target.contender.question))
    words = events = 0
    try:
        async for line in reader:
            if line.startswith(b'data: {"type":"token"'):
                words += line.count(b"word")
                events += 1
    finally:
        writer.close()
    return time.perf_counter() - began, words, events


if __name__ == "__main__":
    for table in tables():
        print(table.markdown())
