"""Mixed load with a crash every minute: no answer is lost that a client keeps asking for.

An hour in the soak (`RIVERRUN_SOAK_SECONDS`), some seconds of faster crashes in every run. The
file stays as large as what the retention holds.
"""

import asyncio
import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.functions.deployed import word_of
from tests.functions.readers import Reader, read
from tests.functions.servers import Server

SOAK_SECONDS = float(os.environ.get("RIVERRUN_SOAK_SECONDS", "3600"))
PATIENCE = 120.0

# How often the size of the file is taken in the time of a retention.
LOOKS = 4


@dataclass
class Load:
    """Clients that ask one question after the other until `end`, and what came of it."""

    servers: list[Server]
    end: float
    happened: Counter[str] = field(default_factory=Counter)
    sizes: list[int] = field(default_factory=list)

    async def ask(self, client: int) -> None:
        """Ask, leave and come back until each answer is whole; then ask the next."""
        chance = random.Random(f"client {client}")
        for number in range(1_000_000):
            if time.monotonic() > self.end:
                return
            name, words = f"c{client}q{number}", chance.choice((1, 5, 40, 120))
            question = {
                "query": f"{name} says {words} words, {chance.choice((0, 5, 30))} ms apart",
                "streaming": True,
                "resume": True,
            }
            me = Reader(name)
            async with asyncio.timeout(PATIENCE):
                await read(me, question, f"key-{name}", self.servers, chance)
            self._check(me, name, words)

    def _check(self, me: Reader, name: str, words: int) -> None:
        last = me.seen[-1].event
        assert [seen.seq for seen in me.seen] == list(range(1, len(me.seen) + 1)), name
        assert last["type"] == "final", f"{name} ended as {last}"
        assert last["result"]["answer"] == "".join(word_of(name, n) for n in range(words)), name
        assert len(me.runs) == 1, name
        self.happened["answers"] += 1
        self.happened["connections"] += me.connections

    async def crash(self, every: float) -> None:
        """Kill a server now and then, and start it anew a moment later."""
        chance = random.Random("crashes")
        due = time.monotonic() + every
        while due < self.end:
            # However long the last one took to start.
            await asyncio.sleep(due - time.monotonic())
            due += every
            server = chance.choice(self.servers)
            server.kill()
            self.happened["crashes"] += 1
            await asyncio.sleep(chance.uniform(0.0, 3.0))
            await server.start()

    async def measure(self, path: Path, every: float) -> None:
        """Note how large the file is, with its write-ahead log."""
        while time.monotonic() < self.end:
            await asyncio.sleep(every)
            found = path.parent.glob(f"{path.name}*")
            self.sizes.append(sum(one.stat().st_size for one in found))


async def play(folder: Path, seconds: float, *, every: float, clients: int, keep: float) -> None:
    """Load for so many `seconds`, with a crash `every` so many, runs kept for `keep`."""
    path, calls = folder / "runs.sqlite", folder / "calls"
    calls.touch()
    environ = {"RIVERRUN_LOG": f"sqlite://{path}", "RIVERRUN_RETENTION_SECONDS": str(keep)}
    servers = [Server(environ, {"calls": str(calls), "lease": 4.0}) for _ in range(2)]
    await asyncio.gather(*(server.start() for server in servers))
    load = Load(servers, time.monotonic() + seconds)
    try:
        async with asyncio.TaskGroup() as group:
            for client in range(clients):
                group.create_task(load.ask(client))
            group.create_task(load.crash(every))
            group.create_task(load.measure(path, keep / LOOKS))
    finally:
        for server in servers:
            server.kill()
    print(f"crashes: {dict(load.happened)}, {load.sizes[LOOKS:]} bytes")  # noqa: T201 - figures to report
    assert load.happened["crashes"] > 0
    check_bounded(load.sizes)


def check_bounded(sizes: list[int]) -> None:
    """A file of which `LOOKS` sizes were taken a retention does not grow after the third of them.

    What is kept after two of them is kept later, too, and no more.
    """
    settled = max(sizes[LOOKS : 3 * LOOKS], default=0)
    assert all(size <= 1.5 * settled for size in sizes[3 * LOOKS :]), f"{sizes} bytes: it grows"


def test_a_file_that_grows_is_found() -> None:
    """Slowly or fast; one that fills up first, and one that varies, is bounded."""
    check_bounded([10, 20, 30, 40, 45, 44, 45, 50, *[40, 60] * 50])
    for growing in (range(1, 30), [*[40] * 20, *range(40, 70)], [50 + n for n in range(100)]):
        with pytest.raises(AssertionError, match="it grows"):
            check_bounded(list(growing))


@pytest.mark.slow
def test_a_few_seconds_of_crashes(tmp_path: Path) -> None:
    """One every four; answers end later, and end whole."""
    asyncio.run(play(tmp_path, 11.0, every=4.0, clients=6, keep=4.0))


@pytest.mark.soak
def test_an_hour_with_a_crash_every_minute(tmp_path: Path) -> None:
    """Twenty clients at once. In a shorter run the retention is shorter, too."""
    keep = max(10.0, SOAK_SECONDS / 30)
    asyncio.run(play(tmp_path, SOAK_SECONDS, every=max(4.0, keep / 2), clients=20, keep=keep))
