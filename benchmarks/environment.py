"""One environment of a Web Function full of streams: the whole product, provider to socket.

The service and the application are processes of their own, the readers are in this one: the
processor time is that of the application's process, its server included, for a token that the
service sent. Beside it stands what the server alone takes for as many streams.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import load, processes
from benchmarks.contenders import UVICORN_COMMAND, Contender
from benchmarks.load import Target
from benchmarks.servers import run_server
from benchmarks.table import Table
from fakes.aws_account import ACCOUNT

TOKENS = 300
PACE = 0.02
STREAMS = (64, 128)
# How late the last token of a stream may be, of the seconds that its answer takes at the least.
STARVED = 2.0
# Seconds from the last first token, and of tokens: what an answer's beginning and end take is not
# in it.
SETTLING = 0.5
WINDOW = 2.5

QUESTION = b'{"query":"What is there to see in Paris?","streaming":true}'


def tables() -> list[Table]:
    """Full environments, by service and log, and the server alone."""
    rows = []
    for streams in STREAMS:
        rows.append(["the server alone, ready-made bytes", "", streams, *measure_server(streams)])
        rows.append(["openai, its bytes passed on", "", streams, *measure_client(streams)])
        rows += [
            [service, log, streams, *measure(service, log, streams)]
            for service in ("bedrock", "openai")
            for log in ("memory", "sqlite")
        ]
    return [
        Table(
            "A full environment of a Web Function",
            f"`main:app` under uvicorn, {TOKENS} tokens a stream, one every {PACE * 1000:.0f} ms, "
            f"so {TOKENS * PACE:.0f} s are the least; all streams begin within the first second; "
            "service and readers are other processes on this machine. A token's processor time is "
            "taken while all streams flow; that of an answer has retrieval, the request to the "
            "service and the result in it too. The lag is how late the event loop wakes a task "
            "every 5 ms; own is without the time that no processor was free. "
            "At 128 streams its 99th percentile is to stay under 10 ms, at 60 us a token. Starved "
            f"is a stream that flows {STARVED:.0f} s too long or lacks a token. The server alone "
            "is uvicorn with an application that sends as many ready-made events at the same pace; "
            "passed on is one that sends what httpx2 reads of the service, chunk by chunk: no "
            "parsing, no log, and each chunk an event.",
            (
                "service",
                "log",
                "streams",
                "CPU us a token",
                "CPU ms an answer",
                "own lag p99 ms, flowing",
                "whole time",
                "with the machine's",
                "first token s",
                "longest flow s",
                "starved",
                "events a token",
                "MB",
            ),
            rows,
        )
    ]


def measure_server(streams: int) -> list[object]:
    """Measure what the server takes for streams that an application has ready."""
    return _measure({"LOOP_WATCH_APP": "benchmarks.apps.bare:app"}, streams)


def measure_client(streams: int) -> list[object]:
    """Measure what server and client take for streams that an application only passes on."""
    with _service("openai") as url:
        environ = {"LOOP_WATCH_APP": "benchmarks.apps.pass_on:app", "OPENAI_BASE_URL": url}
        return _measure(environ, streams, QUESTION)


@contextmanager
def _service(name: str) -> Iterator[str]:
    command = ["-m", "benchmarks.apps.token_service", "--port", "{port}", "--service", name]
    command += ["--count", str(TOKENS), "--seconds", str(PACE)]
    with run_server(command) as port:
        yield f"http://127.0.0.1:{port}"


def measure(service: str, log: str, streams: int) -> list[object]:
    """Measure the product with streams of `service`."""
    with _service(service) as url, tempfile.TemporaryDirectory() as folder:
        environ = {
            **ACCOUNT,
            "RIVERRUN_CHAT": service,
            "RIVERRUN_CHAT_MODEL": "m",
            "RIVERRUN_MAX_STREAMS": "256",
            "RIVERRUN_LOG": "memory://" if log == "memory" else f"sqlite://{Path(folder)}/runs",
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": url,
            "OPENAI_BASE_URL": url,
            "OPENAI_API_KEY": "k",
        }
        return _measure(environ, streams, QUESTION)


def _measure(
    environ: Mapping[str, str], streams: int, question: bytes | None = None
) -> list[object]:
    contender = Contender(
        name="environment",
        command=(sys.executable, *UVICORN_COMMAND, "benchmarks.apps.loop_watch:app"),
        environ={**os.environ, **environ},
        direct=True,
        question=question,
    )
    with load.start_contenders([contender]) as running:
        return asyncio.run(_crowd(running[contender], streams))


async def _crowd(target: Target, streams: int) -> list[object]:
    await _read(target, _Reader())  # the client is made, and the index
    await asyncio.to_thread(_lags, target)
    readers = [_Reader() for _ in range(streams)]
    cpu = processes.cpu_seconds(target.group)
    reading = [
        asyncio.create_task(_read(target, reader, number / streams))
        for number, reader in enumerate(readers)
    ]
    await asyncio.gather(*(reader.begun.wait() for reader in readers))
    await asyncio.sleep(SETTLING)
    rush = await asyncio.to_thread(_lags, target)
    flowing, before = processes.cpu_seconds(target.group), sum(one.words for one in readers)
    await asyncio.sleep(WINDOW)
    flowed = processes.cpu_seconds(target.group) - flowing
    words = sum(reader.words for reader in readers) - before
    memory = processes.memory(target.group)
    steady = await asyncio.to_thread(_lags, target)
    await asyncio.gather(*reading)
    spent = processes.cpu_seconds(target.group) - cpu
    whole = rush + steady + await asyncio.to_thread(_lags, target)
    starved = sum(one.words != TOKENS or one.seconds > TOKENS * PACE + STARVED for one in readers)
    return [
        f"{flowed / words * 1e6:.0f}",
        f"{spent / streams * 1000:.0f}",
        *(_p99(own for _, own in lags) for lags in (steady, whole)),
        _p99(late for late, _ in whole),
        f"{statistics.median(reader.first for reader in readers):.2f}",
        f"{max(reader.seconds for reader in readers):.2f}",
        starved,
        f"{statistics.mean(reader.events for reader in readers) / TOKENS:.2f}",
        f"{memory / 1e6:.0f}",
    ]


def _lags(target: Target) -> list[tuple[float, float]]:
    """The lags since the last look, whole and own."""
    with urllib.request.urlopen(f"http://127.0.0.1:{target.port}/lags") as answer:
        lags: list[tuple[float, float]] = json.load(answer)
    return lags


def _p99(lags: Iterable[float]) -> str:
    return f"{statistics.quantiles(lags, n=100, method='inclusive')[98]:.1f}"


@dataclass(eq=False)
class _Reader(asyncio.Protocol):
    """One answer: its words, the events they came in, and the seconds it took."""

    words: int = 0
    events: int = 0
    began: float = 0.0
    first: float = 0.0
    seconds: float = 0.0
    rest: bytes = b""
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    def data_received(self, data: bytes) -> None:
        """Count what has come whole, and no more: the readers share the machine."""
        *blocks, self.rest = (self.rest + data).split(b"\n\n")
        for block in blocks:
            if b'"type":' not in block or b'"type":"token"' in block:
                self.words += block.count(b"w")
                self.events += b"w" in block
        if self.words and not self.first:
            self.first = time.perf_counter() - self.began
            self.begun.set()

    def connection_lost(self, _error: Exception | None) -> None:
        """The answer is over."""
        self.seconds = time.perf_counter() - self.began - self.first
        self.begun.set()
        self.left.set()


async def _read(target: Target, reader: _Reader, delay: float = 0.0) -> None:
    await asyncio.sleep(delay)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(lambda: reader, "127.0.0.1", target.port)
    reader.began = time.perf_counter()
    path = f"/paced?count={TOKENS}&seconds={PACE}"
    transport.write(load.request(path, target.contender.question))
    await reader.left.wait()


if __name__ == "__main__":
    for table in tables():
        print(table.markdown())
