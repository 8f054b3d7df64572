"""A small Jepsen over real processes: servers that die and freeze, readers that leave anywhere.

A world is two servers on one store, each an ASGI server or a Web Function. Each seed is one
question, asked with one Idempotency-Key by one to three readers who leave after any event, at any
byte, in any way, come back to either server with the id that they saw last, or ask anew with the
key, and perhaps stop the run. Meanwhile servers are killed and started anew, ended with notice, or
stopped for longer than a lease and let go on, not knowing it; some have so little time that they
let go of runs by themselves. After a while that ends, and so must every story.
`tests.functions.checking` holds what all readers saw against the store.

In most stories the readers say `resume` and obey `paused`, so that a producer that is gone is taken
over; in the others they do not, and come back by hand. What is done, a seed decides; when it
happens, the machine does.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.runs import RunLog
from tests.functions.incidents import journal_of
from tests.functions.losses import Losses
from tests.functions.readers import Reader, read
from tests.functions.servers import HURRIES, AnyServer, Server
from tests.functions.troubles import Troubles
from tests.functions.web_servers import WebServer
from tests.functions.wire import CutError, Response, get

PATIENCE = 180.0

# What a Web Function has instead: a response is cut, its process lives on.
WEB_HURRIES: tuple[Mapping[str, str], ...] = (
    {},
    {},
    {"RIVERRUN_WEB_TIMEOUT": "3", "RIVERRUN_WEB_MARGIN": "1"},
    {"RIVERRUN_DEADLINE": "2.4"},
)

# A world plays so many seeds at once.
TOGETHER = 25


@dataclass
class Story:
    """One seed: a key and its readers."""

    seed: int
    name: str
    words: int
    readers: list[Reader]
    stopped: bool = False

    @property
    def runs(self) -> set[str]:
        """The runs that the key was seen to stand for."""
        return {run for reader in self.readers for run in reader.runs}


async def play(
    seeds: Sequence[int],
    environ: Mapping[str, str],
    calls: Path,
    log: RunLog,
    *,
    lease: float = 1.0,
    line: float = 0.0,
    losses: Losses,
    retention: float | None = None,
    broken: str = "",
    troubles: int = 12,
    hosts: Sequence[tuple[bool, bool]] = ((False, False),),
) -> list[Story]:
    """A world of `seeds`, in which trouble comes about twice a `lease` (seconds), `troubles` times.

    `line` is the share of the store's calls that go wrong; `losses` is told what the store may
    lose, of which there is more where `retention` (seconds) is short or a file is removed; `broken`
    is the promise that the servers break on purpose; `hosts` are what the world may have: which of
    its two servers are Web Functions.
    """
    if retention is not None:
        environ = {**environ, "RIVERRUN_RETENTION_SECONDS": str(retention)}
    chance = random.Random(f"world {seeds[0]}")
    options = {"calls": str(calls), "lease": lease, "line": [line, seeds[0]], "broken": broken}
    on_webs = random.Random(f"hosts {seeds[0]}").choice(hosts)
    hurries = chance.choice(HURRIES), chance.choice(HURRIES)
    servers: list[AnyServer] = [
        WebServer({**environ, **WEB_HURRIES[HURRIES.index(hurry)]}, dict(options))
        if on_web
        else Server({**environ, **hurry}, dict(options))
        for hurry, on_web in zip(hurries, on_webs, strict=True)
    ]
    await asyncio.gather(*(server.start() for server in servers))
    comes = Troubles(servers, chance, lease, log, journal_of(calls), losses)
    comes.removes = losses.path is not None and retention is None
    troubled = asyncio.create_task(comes.come(troubles))
    played = asyncio.gather(*(_story(seed, servers, lease) for seed in seeds))
    tasks: tuple[asyncio.Future[Any], ...] = (played, troubled)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if troubled.done():
            # What went wrong there says more than a reader that waits for a server that is gone.
            troubled.result()
        return list(await played)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await asyncio.gather(*(server.close() for server in servers))


async def _story(seed: int, servers: Sequence[AnyServer], lease: float) -> Story:
    chance = random.Random(f"story {seed}")
    await asyncio.sleep(chance.uniform(0, 1.5) * lease)
    words, pause = chance.choice((0, 1, 3, 12, 40)), chance.choice((0, 0, 5, 30))
    name = f"s{seed}"
    resume = chance.random() < 0.8
    readers = [Reader(f"{name}/{n}", resume) for n in range(chance.randint(1, 3))]
    story = Story(seed, name, words, readers)
    question = {
        "query": f"{name} says {words} words, {pause} ms apart",
        "streaming": True,
        "resume": resume,
    }
    stop_at = chance.uniform(0.05, 2.0) if chance.random() < 0.15 else None
    fates = [
        read(reader, question, f"key-{name}", servers, random.Random(f"{reader.name}"))
        for reader in readers
    ]
    stopping = asyncio.create_task(_stop(story, stop_at, servers, chance))
    try:
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*fates)
    except TimeoutError as error:
        told = [(one.name, len(one.seen), Counter(one.told).most_common(5)) for one in readers]
        raise AssertionError(f"seed {seed}: a reader waits for ever: {told}") from error
    finally:
        stopping.cancel()
    return story


async def _stop(
    story: Story, when: float | None, servers: Sequence[AnyServer], chance: random.Random
) -> None:
    if when is None:
        return
    await asyncio.sleep(when)
    while True:
        if story.runs:
            story.stopped = True
            request = get(f"/api/chat/runs/{story.runs.pop()}/stop").replace(b"GET", b"POST", 1)
            with suppress(CutError):
                async with Response(chance.choice(servers).port, request) as response:
                    if response.status == 202:
                        return
        await asyncio.sleep(0.05)
