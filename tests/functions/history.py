"""A small Jepsen over real processes: servers that die and freeze, readers that leave anywhere.

A world is two servers on one store. Each seed is one question, asked with one Idempotency-Key by
one to three readers who leave after any event, at any byte, in any way, come back to either server
with the id that they saw last, or ask anew with the key, and perhaps stop the run. Meanwhile
servers are killed and started anew, or stopped for longer than a lease and let go on, not knowing
it; some have so little time that they let go of runs by themselves. After a while that ends, and so
must every story. `tests.functions.checking` holds what everybody saw against the store.

In most stories the readers say `resume` and obey `paused`, so that whoever is gone is taken over;
in the others they do not, and come back by hand. What is done, a seed decides; when it happens, the
machine does.
"""

import asyncio
import json
import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.settings import ROOT
from tests.functions.serving import clean
from tests.functions.wire import CutError, Leave, Response, Seen, get, post

PATIENCE = 90.0

# A world plays so many seeds at once.
TOGETHER = 25

# A server may have so little time for a body, or for an invocation.
HURRIES: tuple[Mapping[str, str], ...] = (
    {},
    {},
    {"RIVERRUN_FRONT_CAP": "1"},
    {"RIVERRUN_DEADLINE": "2.4"},
)


class BrokenPromiseError(AssertionError):
    """One was broken; the message begins with its name."""


@dataclass
class Server:
    """One server, again and again: `kill` it and it is started anew at the same port.

    What it has to complain of is in the file of its calls with `.errors` behind its name.
    """

    environ: Mapping[str, str]
    options: dict[str, Any]
    port: int = 0
    process: "subprocess.Popen[bytes]" = field(init=False)

    async def start(self) -> None:
        """Start it and wait until it listens."""
        self.options["port"] = self.port
        with Path(f"{self.options['calls']}.errors").open("ab") as errors:  # noqa: ASYNC230 - at once
            self.process = subprocess.Popen(  # noqa: ASYNC220 - begun at once
                [sys.executable, "-m", "tests.functions.deployed"],
                cwd=ROOT,
                env=clean({**self.environ, "DEPLOYED": json.dumps(self.options)}),
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        assert self.process.stdout is not None
        line = await asyncio.to_thread(self.process.stdout.readline)
        self.port = int(line)

    def kill(self) -> None:
        """As the platform does: without a word."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@dataclass
class Reader:
    """One reader's fate and what it saw.

    `seen` is what came since it last asked from the beginning, `before` what it had seen each time
    when it did; `told` what was no part of the run.
    """

    name: str
    resume: bool = True
    seen: list[Seen] = field(default_factory=list)
    before: list[list[Seen]] = field(default_factory=list)
    runs: set[str] = field(default_factory=set)
    connections: int = 0
    told: list[str] = field(default_factory=list)


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
    *,
    lease: float = 1.0,
    line: float = 0.0,
    locked: Path | None = None,
    broken: str = "",
    troubles: int = 12,
) -> list[Story]:
    """A world of `seeds`, in which trouble comes about twice a `lease` (seconds), `troubles` times.

    `line` is the share of DynamoDB calls that go wrong; `locked` is a SQLite file that a stranger
    locks now and then; `broken` is the promise that the servers break on purpose.
    """
    chance = random.Random(f"world {seeds[0]}")
    options = {"calls": str(calls), "lease": lease, "line": [line, seeds[0]], "broken": broken}
    hurries = chance.choice(HURRIES), chance.choice(HURRIES)
    servers = [Server({**environ, **hurry}, dict(options)) for hurry in hurries]
    await asyncio.gather(*(server.start() for server in servers))
    trouble = asyncio.create_task(_trouble(servers, chance, lease, locked, troubles))
    try:
        stories = await asyncio.gather(*(_story(seed, servers, lease) for seed in seeds))
        if trouble.done():
            trouble.result()
        return list(stories)
    finally:
        trouble.cancel()
        await asyncio.wait({trouble})
        for server in servers:
            with suppress(ProcessLookupError):
                server.process.send_signal(signal.SIGCONT)
            server.kill()


async def _trouble(
    servers: list[Server],
    chance: random.Random,
    lease: float,
    locked: Path | None,
    most: int,
) -> None:
    for _ in range(chance.randint(most // 2, most)):
        await asyncio.sleep(chance.uniform(0.05, 0.8) * lease)
        server = chance.choice(servers)
        what = chance.choice(("kill", "kill", "freeze", "lock"))
        if what == "kill":
            server.kill()
            await asyncio.sleep(chance.uniform(0.0, 0.3))
            await server.start()
        elif what == "freeze":
            server.process.send_signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(chance.uniform(0.05, 2.5) * lease)
            finally:
                server.process.send_signal(signal.SIGCONT)
        elif locked is not None:
            with closing(sqlite3.connect(locked, isolation_level=None, timeout=5)) as file:
                with suppress(sqlite3.OperationalError):
                    file.execute("BEGIN IMMEDIATE")
                await asyncio.sleep(chance.uniform(0.01, 0.4))


async def _story(seed: int, servers: list[Server], lease: float) -> Story:
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
        _read(reader, question, f"key-{name}", servers, random.Random(f"{reader.name}"))
        for reader in readers
    ]
    stopping = asyncio.create_task(_stop(story, stop_at, servers, chance))
    try:
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*fates)
    except TimeoutError as error:
        told = [(one.name, len(one.seen), Counter(one.told).most_common(5)) for one in readers]
        raise AssertionError(f"seed {seed}: somebody waits for ever: {told}") from error
    finally:
        stopping.cancel()
    return story


async def _stop(
    story: Story, when: float | None, servers: list[Server], chance: random.Random
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


async def _read(
    me: Reader,
    question: Mapping[str, Any],
    key: str,
    servers: list[Server],
    chance: random.Random,
) -> None:
    """Read to the end, as an `EventSource` with a patient person behind it does."""
    cuts = chance.randint(0, 6)
    wait = 0.0
    while True:
        await asyncio.sleep(wait + chance.uniform(0.01, 0.2))
        wait = 0.0
        me.connections += 1
        request = _request(me, question, key, chance)
        ways: tuple[Leave, ...] = ("fin", "rst", "half")
        budget, most = None, 10_000
        if cuts > 0:
            cuts -= 1
            # At any byte, or after any event.
            if chance.random() < 0.5:
                budget = int(chance.expovariate(1 / 1500))
            else:
                most = chance.randint(0, 8)
        port = chance.choice(servers).port
        try:
            async with Response(port, request, budget, chance.choice(ways)) as response:
                if response.run:
                    me.runs.add(response.run)
                if response.status == 204:
                    assert me.seen, "nothing left to resume, and nothing was seen"
                    return
                if response.status == 200:
                    wait = await _hear(me, response, most)
                    if _ended(me):
                        return
                    continue
                me.told.append(str(response.status))
                if response.status == 400:
                    raise BrokenPromiseError(f"P2, {me.name}: the log lacks what it was shown")
                assert response.status in (429, 500, 503), f"status {response.status}"
                # Whoever does not wait as long as they are told keeps a busy server busy.
                wait = response.retry_after * chance.uniform(0.5, 1.5)
        except CutError as error:
            me.told.append(str(error)[:40])


def _request(me: Reader, question: Mapping[str, Any], key: str, chance: random.Random) -> bytes:
    resume = "resume=1" if me.resume else "resume=0"
    if not me.seen:
        if me.runs and chance.random() < 0.3:
            run = min(me.runs)
            return get(f"/api/chat/runs/{run}/events?after=0&{resume}")
        return post(question, Idempotency_Key=key)
    if chance.random() < 0.2:
        me.before.append(me.seen)
        me.seen = []
        return post(question, Idempotency_Key=key)
    last = me.seen[-1].id
    run, _, seq = last.rpartition("-")
    if chance.random() < 0.5:
        return get(f"/api/chat/runs/{run}/events?after={seq}&{resume}")
    return get(f"/api/chat?{resume}", Last_Event_ID=last)


def _ended(me: Reader) -> bool:
    return bool(me.seen) and me.seen[-1].event["type"] in ("final", "error")


async def _hear(me: Reader, response: Response, most: int) -> float:
    """Take events until the end of the run or of the body, or enough of them.

    Returns how long this reader was asked to stay away, in seconds.
    """
    wait = 0.0
    sent_off = False
    while most > 0 and not _ended(me):
        found = await response.events()
        if not found:
            break
        for seen in found:
            assert not sent_off, "something follows what ends a body"
            if seen.id:
                me.seen.append(seen)
                most -= 1
            else:
                # Told to this reader alone, and in no log.
                wait, sent_off = _sent_off(me, seen), True
            if most == 0 or _ended(me):
                break
    return wait


def _sent_off(me: Reader, seen: Seen) -> float:
    event = seen.event
    if event["type"] == "paused":
        assert me.resume, "paused, for a reader who did not say resume"
        me.told.append(f"paused {event['reason']}")
    else:
        assert event["type"] == "error", f"{event['type']} without an id"
        me.told.append(event["code"])
    if event["type"] == "paused" or event["code"] == "deadline":
        last = me.seen[-1].seq if me.seen else 0
        cursor = event["cursor"]
        assert cursor in {f"{run}-{last}" for run in me.runs}, f"sent off at {cursor}, read {last}"
    return float(event.get("resumeAfterMs", 0) or event.get("retryAfterMs", 0)) / 1000
