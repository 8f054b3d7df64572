"""The runtimes side by side, in one run and through the same emulator.

``python -m benchmarks.runtimes --quick`` for a look, without it for the figures that are kept.
Rounds are interleaved and a ratio is the median of the rounds' own ratios, so that it holds
when the machine's speed drifts. The last table holds the figures to their targets. It needs
Linux: epoll, and the weights of processes in /proc.
"""

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from benchmarks import asking, plain, processes
from benchmarks import contenders as of
from benchmarks.contenders import Contender
from benchmarks.crowd import Crowd, crowd
from benchmarks.figures import Figures, held, p99
from benchmarks.table import Table

SENDERS = (of.BARE, of.STARLETTE, of.NODE, of.WRITTEN, of.ADAPTER, of.UVICORN)
"""Those that stream what `apps.sources` says."""
AT_THE_API = (of.BARE, of.STARLETTE, of.NODE, of.WRITTEN)
CHAT = replace(
    of.BARE, name="Riverrun, functions/chat.py", environ={"_HANDLER": "functions.chat.app"}
)
COLD = (of.BARE, of.STARLETTE, CHAT, of.NODE, of.MANGUM, of.ADAPTER)
KEPT = replace(
    of.BARE,
    name="Riverrun, bare ASGI, RIVERRUN_KEEP_ALIVE=1",
    environ={**of.BARE.environ, "RIVERRUN_KEEP_ALIVE": "1"},
)
QUEUE = (of.BARE, KEPT, of.STARLETTE, of.NODE, of.MANGUM, of.CEILING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is done for a figure."""

    rounds: int = 5
    first_bytes: int = 40
    paced: int = 300
    chunks: int = 1600
    slow_chunks: int = 3190  # 200 MB at Lambda's limit is 200 MiB
    cold_starts: int = 7
    invocations: int = 1500
    streams: int = 1000
    seconds: float = 10.0


QUICK = Effort(
    rounds=1,
    first_bytes=20,
    paced=100,
    chunks=400,
    slow_chunks=800,
    cold_starts=2,
    invocations=300,
    streams=200,
    seconds=4.0,
)


def tables(effort: Effort | None = None) -> Iterator[Table]:
    """Each table as soon as it is measured."""
    effort = effort or Effort()
    found = Figures()
    yield _events(effort, found)
    yield _latency(effort, found)
    yield _chunks(effort, found)
    yield _cold(effort, found)
    yield _invocations(effort, found)
    yield _crowd(effort, found)
    yield _targets(effort, found)


def _events(effort: Effort, found: Figures) -> Table:
    with asking.running(of.ALL) as targets:
        for _ in range(effort.rounds):
            for one, target in targets.items():
                flow = asking.events(target)
                found.add("events", one, flow.rate / 1000)
                found.add("event cpu", one, flow.cpu * 1e6)
                if one.question is None:
                    found.add("first", one, asking.first_byte(target, effort.first_bytes))
    rows = [
        (
            one.name,
            found.shown("events", one),
            _ratio(found, "events", one, of.NODE),
            found.shown("event cpu", one, ".2f"),
            found.shown("first", one, ".2f"),
        )
        if not one.missing
        else (one.name, one.missing, "", "", "")
        for one in of.ALL
    ]
    return Table(
        "Small events through one stream, by runtime",
        f"100,000 events of 80 bytes (50,000 buffered), one emulator for all, median of "
        f"{effort.rounds}. The processor time is the contender's own, its server included. The "
        "facade and sse-starlette say the same 100,000 tokens. The first byte is that of an "
        "answer of one event; the emulator's share of it is in its own row.",
        ("runtime", "k events/s", "against Node", "CPU us/event", "first byte ms"),
        rows,
    )


def _latency(effort: Effort, found: Figures) -> Table:
    with asking.running(SENDERS) as targets:
        for _ in range(effort.rounds):
            for one, target in targets.items():
                _keep_lags(found, "paced", one, asking.paced(target, effort.paced, 0.004))
    for _ in range(effort.rounds):
        for one in _present(AT_THE_API):
            with plain.started(one) as (api, _, _):
                asked = plain.payload("/events", count=1)
                firsts = [api.invoke(asked) for _ in range(effort.first_bytes * 2)]
                taken = statistics.median(each.first - each.asked for each in firsts)
                found.add("first at api", one, taken / 1e3)
                lags = api.invoke(plain.payload("/paced", count=effort.paced, seconds=0.004)).lags
                _keep_lags(found, "paced at api", one, lags)
    rows = [
        (
            one.name,
            _median_andp99(found, "paced", one),
            _median_andp99(found, "paced at api", one),
            found.shown("first at api", one),
        )
        for one in _present(SENDERS)
    ]
    return Table(
        "A paced stream: from the handler's yield to the reader",
        "Microseconds, median (p99) of an event every 4 ms: to the client through the emulator, "
        "and to a plain Runtime API without it. The last column is what the runtime itself takes "
        f"from an invocation to the first byte of its first event. Median of {effort.rounds}.",
        ("runtime", "to the client", "to the Runtime API", "first byte at the Runtime API"),
        rows,
    )


def _chunks(effort: Effort, found: Figures) -> Table:
    contenders = (*SENDERS, of.CEILING)
    with asking.running(contenders) as targets:
        for _ in range(min(effort.rounds, 3)):
            for one, target in targets.items():
                flow = asking.chunks(target, effort.chunks)
                found.add("chunks", one, flow.rate)
                found.add("chunk cpu", one, flow.cpu * 1e6)
        for one, target in targets.items():
            if one is not of.CEILING:
                found.add("growth", one, asking.growth(target, effort.slow_chunks))
    rows = [
        (
            one.name,
            found.shown("chunks", one),
            found.shown("chunk cpu", one),
            found.shown("growth", one, ".1f"),
        )
        for one in _present(contenders)
    ]
    return Table(
        "Large chunks, and a slow reader",
        f"{effort.chunks} chunks of 64 KiB; then the peak of memory that "
        f"{effort.slow_chunks * 65536 / 1e6:.0f} MB to a reader who stops four times add to the "
        "process. MB/s end at the emulator, which copies every byte twice.",
        ("runtime", "MB/s", "CPU us/MB", "growth MB"),
        rows,
    )


def _cold(effort: Effort, found: Figures) -> Table:
    for number in range(effort.cold_starts + 1):
        for one in _present(COLD):
            with plain.started(one) as (_, group, milliseconds):
                if number:  # the first writes the .pyc files and fills the page cache
                    found.add("cold", one, milliseconds)
                    found.add("cold cpu", one, processes.cpu_seconds(group) * 1000)
    rows = [
        (
            one.name,
            found.shown("cold", one),
            _ratio(found, "cold", one, of.MANGUM),
            found.shown("cold cpu", one),
        )
        if not one.missing
        else (one.name, one.missing, "", "")
        for one in COLD
    ]
    return Table(
        "Cold start",
        "Milliseconds from the start of the process to its first `/next`, with `.pyc` files, "
        f"median of {effort.cold_starts}; and the processor time in them.",
        ("runtime", "ms", "against awslambdaric", "CPU ms"),
        rows,
    )


def _invocations(effort: Effort, found: Figures) -> Table:
    for _ in range(effort.rounds):
        for one in _present(QUEUE):
            with plain.started(one) as (api, group, _):
                asked = plain.payload("/events", count=1)
                for _ in range(50):
                    api.invoke(asked)
                cpu, began = processes.cpu_seconds(group), time.perf_counter()
                for _ in range(effort.invocations):
                    api.invoke(asked)
                api.wait_for_next()
                took = time.perf_counter() - began
                found.add("invocations", one, effort.invocations / took)
                used = (processes.cpu_seconds(group) - cpu) / effort.invocations
                found.add("invocation cpu", one, used * 1e6)
    rows = [
        (
            "ready-made bytes, no runtime" if one is of.CEILING else one.name,
            found.shown("invocations", one),
            found.shown("invocation cpu", one),
        )
        for one in _present(QUEUE)
    ]
    return Table(
        "Invocations, one after the other",
        "An answer of one event to a plain Runtime API on blocking sockets, whose own time is in "
        "every row: the last one is a runtime that does nothing else. Median of "
        f"{effort.rounds}.",
        ("runtime", "a second", "CPU us each"),
        rows,
    )


def _crowd(effort: Effort, found: Figures) -> Table:
    contenders = (of.BARE, of.STARLETTE)
    rows = []
    with asking.running(contenders, concurrency=effort.streams) as targets:
        for one, target in targets.items():
            seen = asyncio.run(crowd(target, effort.streams, int(effort.seconds), 1.0))
            _keep_crowd(found, one, seen)
            rows.append(
                (
                    one.name,
                    seen.starved,
                    f"{statistics.median(seen.lags):.1f} ({p99(seen.lags):.1f})",
                    f"{statistics.median(seen.ways):.1f} ({p99(seen.ways):.1f})",
                    f"{seen.memory / 1000:.0f}",
                )
            )
    return Table(
        f"{effort.streams:,} paced streams in one process",
        f"An event a second each, for {effort.seconds:.0f} s. How late the handler got to yield, "
        "and how long its bytes took to the client (there the emulator and the client, both one "
        "process, are the limit): milliseconds, median (p99). Memory is the runtime's.",
        ("runtime", "starved", "late ms", "way ms", "KB a stream"),
        rows,
    )


def _keep_crowd(found: Figures, one: Contender, seen: Crowd) -> None:
    found.add("crowd lag", one, p99(seen.lags))
    found.add("crowd memory", one, seen.memory / 1000)
    found.add("starved", one, seen.starved)


def _targets(effort: Effort, found: Figures) -> Table:
    ratio, middle = found.ratio, found.middle
    rows = [
        held(
            "events/s, bare ASGI, against Node's pipeline", ratio("events", of.BARE, of.NODE), 3.0
        ),
        held("with Starlette, against Node", ratio("events", of.STARLETTE, of.NODE), 1.45),
        held("with Starlette, against uvicorn", ratio("events", of.STARLETTE, of.UVICORN), 6.0),
        held(
            "the whole facade, against uvicorn + sse-starlette",
            ratio("events", of.FACADE, of.SSE_STARLETTE),
            4.0,
        ),
        held("first byte, against Node", ratio("first", of.BARE, of.NODE), -0.55),
        held(
            "first byte at the Runtime API, against Node",
            ratio("first at api", of.BARE, of.NODE),
            -0.55,
        ),
        held("yield to client, median us", middle("paced", of.BARE), -150),
        held("yield to client, p99 us", middle("paced p99", of.BARE), -400),
        held(
            "64 KiB chunks, CPU per byte against Node", ratio("chunk cpu", of.BARE, of.NODE), -1.0
        ),
        held("growth for a slow reader, MB", middle("growth", of.BARE), -0.5),
        held(
            "cold start, Starlette, against awslambdaric",
            ratio("cold", of.STARLETTE, of.MANGUM),
            -0.9,
        ),
        held("cold start of functions/chat.py, the same", ratio("cold", CHAT, of.MANGUM), -1.5),
        held(f"{effort.streams:,} streams: starved", middle("starved", of.BARE), -0.0),
        held("... late by, p99 ms", middle("crowd lag", of.BARE), -50),
        held("... KB each", middle("crowd memory", of.BARE), -60),
        held("invocations a second, minimal ASGI app", middle("invocations", of.BARE), 3000),
    ]
    return Table(
        "The targets",
        "What this run says of the figures the project has set itself. "
        f"The load average at its end was {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; "
        "above the number of cores, times and their p99 are of the scheduler, and only the "
        "processor times hold.",
        ("figure", "target", "measured", ""),
        rows,
    )


def _present(contenders: Sequence[Contender]) -> list[Contender]:
    return [one for one in contenders if not one.missing]


def _ratio(found: Figures, figure: str, one: Contender, other: Contender) -> str:
    value = found.ratio(figure, one, other)
    return "" if value is None else f"{value:.2f}"


def _keep_lags(found: Figures, figure: str, one: Contender, lags: Sequence[float]) -> None:
    found.add(figure, one, statistics.median(lags))
    found.add(f"{figure} p99", one, p99(lags))


def _median_andp99(found: Figures, figure: str, one: Contender) -> str:
    middle = found.shown(figure, one)
    return f"{middle} ({found.shown(f'{figure} p99', one)})" if middle else ""


def main() -> None:
    """Print the tables as they are measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runtimes", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of everything, a minute")
    for table in tables(QUICK if parser.parse_args().quick else Effort()):
        print(table.markdown(), flush=True)


if __name__ == "__main__":
    main()
