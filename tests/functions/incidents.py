"""What befell each server, and when: P7, no live run is taken from its producer or ended.

A producer that was killed, ended or frozen, that released its run, or that its machine or its store
kept waiting, may lose the run to another process; one that nothing befell may not. Those who bring
trouble write it into one file, as do the servers themselves where they were late: times are of the
monotonic clock, which is one for all processes of a machine.
"""

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from services.runs import Run, RunLog, RunLogError

# A server waits for 2 s for its bodies to end: one whose loop stood still for a good part of that
# may be too late for the last ones.
STARVED_SECONDS = 0.5


class Incident(NamedTuple):
    """What befell the process `pid` from `since` to `until`."""

    pid: int
    since: float
    until: float
    kind: str


class Call(NamedTuple):
    """A call of the provider by the process `pid`."""

    pid: int
    at: float


@dataclass(frozen=True)
class Journal:
    """The file at `path`, an incident a line."""

    path: Path

    def note(self, pid: int, kind: str, since: float, until: float = math.inf) -> None:
        """Add an incident."""
        with self.path.open("ab", buffering=0) as file:
            file.write(f"{pid} {since} {until} {kind}\n".encode())

    def list_unclear(self) -> set[str]:
        """The runs of which no server knows whether it holds them."""
        return {one.kind.partition(":")[2] for one in self.read() if one.kind.startswith("unclear")}

    def read(self) -> list[Incident]:
        """All incidents so far."""
        if not self.path.exists():
            return []
        lines = [line.split() for line in self.path.read_text().splitlines()]
        return [
            Incident(int(pid), float(since), float(until), kind)
            for pid, since, until, kind in lines
        ]


def journal_of(calls: Path) -> Journal:
    """The journal of the servers whose provider lists its calls at `calls`."""
    return Journal(calls.with_name(f"{calls.name}.journal"))


def read_calls(calls: Path) -> dict[str, list[Call]]:
    """The calls of the provider by story, in order."""
    found: dict[str, list[Call]] = defaultdict(list)
    for line in calls.read_text().splitlines():
        name, pid, _, at = line.split()
        found[name].append(Call(int(pid), float(at)))
    return found


def find_taken(
    calls: Sequence[Call], incidents: Sequence[Incident], *, interrupted: bool
) -> Call | None:
    """The producer of one run from which it was taken though nothing had befallen it, if any.

    `calls` are those of its provider; a run that ended `interrupted` was taken from the last one.
    """
    lost = [(before, after.at) for before, after in pairwise(calls)]
    if interrupted and calls:
        lost.append((calls[-1], math.inf))
    for producer, at in lost:
        if not any(
            one.pid == producer.pid and one.since <= at and one.until >= producer.at
            for one in incidents
        ):
            return producer
    return None


def was_starved(pid: int, at: float, incidents: Sequence[Incident]) -> bool:
    """Whether the machine kept the loop of a process from its readers before it ended at `at`.

    From the notice on, for so long that its own patience was over before it was done.
    """
    own = [one for one in incidents if one.pid == pid]
    notice = min((one.since for one in own if one.kind == "ended"), default=at)
    late = [one for one in own if one.kind == "late" and notice < one.until <= at]
    return sum(one.until - max(one.since, notice) for one in late) >= STARVED_SECONDS


def note_delays(log: RunLog, journal: Journal, pid: int, patience: float) -> None:
    """Have a server note what it does to its own leases.

    When its loop or its store took longer than `patience` seconds, when a sign of life failed, when
    it released a run, and of which run it does not know whether it holds it: that failed.
    """
    tasks: set[asyncio.Task[None]] = set()
    start, release, claim = log.start, log.release, log.claim

    async def start_watched(**asked: Any) -> Any:
        if not tasks:
            tasks.add(asyncio.create_task(_watch_loop(journal, pid, patience)))
        return await start(**asked)

    async def release_noted(run: Run, **more: Any) -> None:
        journal.note(pid, "released", time.monotonic())
        with note_unclear(run):
            await release(run, **more)

    async def claim_noted(run: Run, **more: Any) -> Run:
        with note_unclear(run):
            return await claim(run, **more)

    @contextmanager
    def note_unclear(run: Run) -> Iterator[None]:
        try:
            yield
        except RunLogError:
            journal.note(pid, f"unclear:{run.id}", time.monotonic())
            raise

    log.__dict__.update(
        start=start_watched,
        append=_note_slow(log.append, journal, pid, patience),
        renew=_note_slow(log.renew, journal, pid, patience),
        # What a producer waits for between two signs of life.
        read=_note_slow(log.read, journal, pid, patience),
        read_last=_note_slow(log.read_last, journal, pid, patience),
        release=release_noted,
        claim=claim_noted,
    )


async def _watch_loop(journal: Journal, pid: int, patience: float) -> None:
    while True:
        since = time.monotonic()
        await asyncio.sleep(patience / 2)
        if (now := time.monotonic()) - since > 1.5 * patience:
            journal.note(pid, "late", since, now)


def _note_slow(
    method: Callable[..., Awaitable[Any]], journal: Journal, pid: int, patience: float
) -> Callable[..., Awaitable[Any]]:
    async def sign(*asked: Any, **more: Any) -> Any:
        since, has_failed = time.monotonic(), False
        try:
            return await method(*asked, **more)
        except RunLogError:
            has_failed = True
            raise
        finally:
            now = time.monotonic()
            if has_failed or now - since > patience:
                journal.note(pid, "store", since, now)

    return sign
