"""The runtimes side by side, in one run and through the same emulator.

``python -m benchmarks.runtimes --quick`` for a look, without it for the figures that are kept.
Rounds are interleaved and a ratio is the median of the rounds' own ratios, so that it holds
when the machine's speed drifts. The last table holds the figures to their targets. It needs
Linux: epoll, and the weights of processes in /proc.
"""

import argparse
import asyncio
import statistics
from collections.abc import Iterator

from benchmarks import contenders as of
from benchmarks import load, plain
from benchmarks.contenders import Contender
from benchmarks.crowd import Crowd, crowd
from benchmarks.effort import QUICK, Effort
from benchmarks.figures import Figures, p99
from benchmarks.starts import cold, invocations
from benchmarks.table import Table
from benchmarks.targets import targets

SENDERS = (of.BARE, of.STARLETTE, of.WEB, of.NODE, of.WRITTEN, of.ADAPTER, of.UVICORN)
"""Those that stream what `apps.sources` says."""
AT_THE_API = (of.BARE, of.STARLETTE, of.NODE, of.WRITTEN, of.LOOP)


def tables(effort: Effort | None = None) -> Iterator[Table]:
    """Each table as soon as it is measured."""
    effort = effort or Effort()
    found = Figures()
    yield _events(effort, found)
    yield _latency(effort, found)
    yield _chunks(effort, found)
    yield cold(effort, found)
    yield invocations(effort, found)
    yield _crowd(effort, found)
    yield targets(effort, found)


def _events(effort: Effort, found: Figures) -> Table:
    with load.start_contenders(of.ALL) as running:
        for _ in range(effort.rounds):
            for one, target in running.items():
                flow = load.events(target)
                found.add("events", one, flow.rate / 1000)
                found.add("event cpu", one, flow.cpu * 1e6)
                if one.question is None:
                    found.add("first", one, load.first_byte(target, effort.first_bytes))
    rows = [
        (
            one.name,
            found.format_median("events", one),
            found.format_ratio("events", one, of.NODE),
            found.format_median("event cpu", one, ".2f"),
            found.format_median("first", one, ".2f"),
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
    with load.start_contenders((*SENDERS, of.RELAY)) as running:
        for _ in range(effort.rounds):
            for one, target in running.items():
                found.add_lags("paced", one, load.measure_lags(target, effort.paced, 0.004))
                if one is of.RELAY:
                    found.add("first", one, load.first_byte(target, effort.first_bytes))
    for _ in range(effort.rounds):
        for one in of.present(AT_THE_API):
            with plain.start_contender(one) as (api, _, _):
                asked = plain.payload("/events", count=1)
                firsts = [api.invoke(asked) for _ in range(effort.first_bytes * 2)]
                taken = statistics.median(each.first - each.asked for each in firsts)
                found.add("first at api", one, taken / 1e3)
                if one is of.LOOP:  # it has one answer, whatever is asked
                    continue
                lags = api.invoke(plain.payload("/paced", count=effort.paced, seconds=0.004)).lags
                found.add_lags("paced at api", one, lags)
    rows = [
        (
            one.name,
            found.shown_lags("paced", one),
            found.shown_lags("paced at api", one),
            found.format_median("first at api", one),
        )
        for one in of.present((*SENDERS, of.RELAY, of.LOOP))
    ]
    return Table(
        "A paced stream: from the handler's yield to the reader",
        "Microseconds, median (p99) of an event every 4 ms: to the client through the emulator, "
        "and to a plain Runtime API without it. The last column is what the runtime itself takes "
        "from an invocation to the first byte of its first event. The last two rows are what is "
        "left when all that a runtime and an emulator are for is taken away. Median of "
        f"{effort.rounds}.",
        ("runtime", "to the client", "to the Runtime API", "first byte at the Runtime API"),
        rows,
    )


def _chunks(effort: Effort, found: Figures) -> Table:
    contenders = (*SENDERS, of.CEILING)
    with load.start_contenders(contenders) as running:
        for _ in range(min(effort.rounds, 3)):
            for one, target in running.items():
                flow = load.chunks(target, effort.chunks)
                found.add("chunks", one, flow.rate)
                found.add("chunk cpu", one, flow.cpu * 1e6)
        for one, target in running.items():
            if one is not of.CEILING:
                found.add("growth", one, load.growth(target, effort.slow_chunks))
    rows = [
        (
            one.name,
            found.format_median("chunks", one),
            found.format_median("chunk cpu", one),
            found.format_median("growth", one, ".1f"),
        )
        for one in of.present(contenders)
    ]
    return Table(
        "Large chunks, and a slow reader",
        f"{effort.chunks} chunks of 64 KiB; then the peak of memory that "
        f"{effort.slow_chunks * 65536 / 1e6:.0f} MB to a reader who stops four times add to the "
        "process. MB/s end at the emulator, which copies every byte twice.",
        ("runtime", "MB/s", "CPU us/MB", "growth MB"),
        rows,
    )


def _crowd(effort: Effort, found: Figures) -> Table:
    contenders = (of.BARE, of.STARLETTE, of.WEB)
    rows = []
    with load.start_contenders(contenders, concurrency=effort.streams) as running:
        for one, target in running.items():
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


def main() -> None:
    """Print the tables as they are measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runtimes", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of everything, a minute")
    for table in tables(QUICK if parser.parse_args().quick else Effort()):
        print(table.markdown(), flush=True)


if __name__ == "__main__":
    main()
