"""Models' services: many streams in one process, a stop, and what a start costs.

The services are `fakes`, in a process of their own on the same machine: no figure
here says anything about a real one, all say what our side adds.
"""

import asyncio
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import token_cost
from benchmarks.table import Table
from fakes import bedrock, openai
from fakes.aws_account import ACCOUNT
from fakes.steps import Step
from services import aws
from services.chat import ChatProvider, Piece, Prompt, Text, answer
from services.chat.providers.bedrock import BedrockProvider
from services.chat.providers.openai import OpenAIProvider
from services.settings import ROOT

TOKENS = 300
PACE = 0.01
STREAMS = (1, 16, 64)
STOPS = 20

PROMPT = Prompt("Why?", ())


def tables() -> list[Table]:
    """Streams at once, stops, cold starts, what it takes to read a token."""
    os.environ.update(ACCOUNT)
    return [_crowds(), _stops(), _starts(), token_cost.make_table()]


def _serve(name: str, hangs: bool, pipe: Connection) -> None:
    kind: Any = bedrock if name == "bedrock" else openai
    # While the first token is awaited, for a stop at zero tokens: the head and nothing more.
    steps: list[Step] = [0.05, kind.START] if hangs else [kind.START]
    for number in range(TOKENS):
        steps += [kind.text(f"word{number} "), PACE]
    steps += ["hang"] if hangs else [kind.stop(), kind.usage(10, TOKENS)]
    with (bedrock.bedrock if name == "bedrock" else openai.openai)() as fake:
        fake.play(kind.stream(*steps))
        pipe.send(fake.url)
        call = None
        while (order := pipe.recv()) != "end":
            if order == "next" or call is None:
                call = fake.call()
                pipe.send(0.0)
            else:
                call.over.wait(30)
                pipe.send(call.left_at)


@contextmanager
def _service(name: str, *, hangs: bool = False) -> Iterator[tuple[ChatProvider, Connection]]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(name, hangs, theirs))
    process.start()
    try:
        url = ours.recv()
        os.environ["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"] = url
        aws.forget()
        yield (
            BedrockProvider(model="m")
            if name == "bedrock"
            else OpenAIProvider(model="m", base_url=url),
            ours,
        )
    finally:
        ours.send("end")
        process.join(10)
        process.kill()


def _crowds() -> Table:
    rows = []
    for name in ("bedrock", "openai"):
        for streams in STREAMS:
            with _service(name) as (provider, _):
                rows.append([name, streams, *asyncio.run(_crowd(provider, streams))])
    return Table(
        "Models: many streams in one process",
        f"{TOKENS} tokens each, one every {PACE * 1000:.0f} ms, so {TOKENS * PACE:.1f} s are the "
        "least. The lag is how late the event loop wakes a task every 5 ms: at 64 streams its "
        "99th percentile is to stay under 10 ms. Steady is from the last first token to the first "
        "end. Own is without the time that the loop's thread waited for a processor: what others "
        "on the machine do is in the other two.",
        (
            "service",
            "streams",
            "all done s",
            "first token ms, median",
            "lag p99 ms, whole",
            "steady",
            "steady, own",
            "CPU us a token",
        ),
        rows,
    )


async def _crowd(provider: ChatProvider, streams: int) -> list[object]:
    await _read(provider)  # the client is made, and a connection
    lags: list[_Lag] = []
    watch = asyncio.create_task(_watch(lags))
    began, cpu = time.perf_counter(), time.process_time()
    read = await asyncio.gather(*(_read(provider) for _ in range(streams)))
    took, spent = time.perf_counter() - began, time.process_time() - cpu
    watch.cancel()
    if isinstance(provider, OpenAIProvider):
        await provider.close()
    last_first, first_end = max(first for first, _ in read), min(end for _, end in read)
    steady = [lag for lag in lags if last_first <= lag.at <= first_end]
    return [
        f"{took:.2f}",
        f"{(statistics.median(first for first, _ in read) - began) * 1000:.0f}",
        _p99([lag.late for lag in lags]),
        _p99([lag.late for lag in steady]),
        _p99([max(0.0, lag.late - lag.waited) for lag in steady]),
        f"{spent / streams / TOKENS * 1e6:.0f}",
    ]


async def _read(provider: ChatProvider) -> tuple[float, float]:
    """When the first token came, and when the answer was whole."""
    first = 0.0
    async for piece in answer(provider, PROMPT):
        if isinstance(piece, Text) and not first:
            first = time.perf_counter()
    return first, time.perf_counter()


class _Lag(NamedTuple):
    """One waking, in seconds: when, how late, and for how much of it no processor was free."""

    at: float
    late: float
    waited: float


async def _watch(lags: list[_Lag]) -> None:
    queued = _queue_seconds()
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.005)
        now, before, queued = time.perf_counter(), queued, _queue_seconds()
        lags.append(_Lag(now, now - began - 0.005, queued - before))


def _queue_seconds() -> float:
    """How long this thread has been ready and not run, in seconds; 0 where that is not counted."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


def _p99(lags: list[float]) -> str:
    # Of a stall that left few wakings, no percentile is made up.
    if len(lags) < 2:
        return "none seen"
    return f"{statistics.quantiles(lags, n=100, method='inclusive')[98] * 1000:.1f}"


def _stops() -> Table:
    rows = []
    for name in ("bedrock", "openai"):
        for seen in (0, 1, TOKENS):
            with _service(name, hangs=True) as (provider, pipe):
                took = asyncio.run(_stop(provider, pipe, seen))
            row = [name, seen, f"{statistics.median(took) * 1000:.1f}", f"{max(took) * 1000:.1f}"]
            rows.append(row)
    return Table(
        "Models: from a stop to the service seeing its connection closed",
        f"{STOPS} stops each, after so many tokens; 0: while the first one is awaited. The promise "
        "is 250 ms.",
        ("service", "tokens", "median ms", "longest ms"),
        rows,
    )


async def _stop(provider: ChatProvider, pipe: Connection, seen: int) -> list[float]:
    took = []
    for _ in range(STOPS):
        stream = answer(provider, PROMPT)
        task = asyncio.create_task(_some(stream, seen))
        pipe.send("next")
        await asyncio.to_thread(pipe.recv)
        if seen:
            await asyncio.wait({task})
        stopped = time.monotonic()
        task.cancel()
        await asyncio.wait({task})
        await stream.aclose()
        pipe.send("left")
        took.append(max(0.0, await asyncio.to_thread(pipe.recv) - stopped))
    if isinstance(provider, OpenAIProvider):
        await provider.close()
    return took


async def _some(stream: AsyncGenerator[Piece, None], seen: int) -> None:
    for _ in range(seen):
        await anext(stream)
    if not seen:
        await anext(stream)


_START = """
import sys, time
began = time.perf_counter()
import functions.chat
from services.streaming.app import default_app
default_app().chat
imported = time.perf_counter() - began
early = "boto3" in sys.modules or "openai" in sys.modules
# Not what `resource` says: that begins with the peak of the process that started this one.
status = lambda: open("/proc/self/status").read()
rss = lambda: int(status().partition("VmHWM:")[2].split()[0]) // 1024
before = rss()
began = time.perf_counter()
{client}
print(imported * 1000, early, before, (time.perf_counter() - began) * 1000, rss())
"""

_CLIENTS = {
    "extractive": "",
    "bedrock": "from services import aws; aws.client('bedrock-runtime')",
    "openai": "import httpx2; httpx2.AsyncClient()",
}


def _starts() -> Table:
    rows = []
    for chat, client in _CLIENTS.items():
        environ = {**os.environ, **ACCOUNT, "RIVERRUN_CHAT": chat, "OPENAI_API_KEY": "k"}
        code = _START.format(client=client)
        runs = [
            subprocess.run(
                [sys.executable, "-c", code],
                cwd=ROOT, env=environ, capture_output=True, text=True, check=True,
            ).stdout.split()
            for _ in range(5)
        ]  # fmt: skip
        best = min(runs, key=lambda run: float(run[0]))
        client_ms = min(float(run[3]) for run in runs)
        made = f"{client_ms:.0f}" if client else "none"
        rows.append([chat, f"{float(best[0]):.0f}", best[1] == "True", best[2], made, best[4]])
    return Table(
        "Models: a cold start",
        "Importing functions/chat.py and opening its provider, before any request: at most 250 ms "
        "and no client imported. Then making the client, which the first question pays. The best "
        "of five.",
        ("RIVERRUN_CHAT", "import ms", "client imported", "MB", "client ms", "MB with it"),
        rows,
    )


if __name__ == "__main__":
    for table in tables():
        print(table.markdown())
