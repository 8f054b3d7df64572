"""A small Jepsen over real processes: servers that die and freeze, readers that leave anywhere.

A world is two servers on one store. Each seed is one question, asked with one Idempotency-Key by
one to three readers who leave after any event, at any byte, in any way, come back to either server
with the id that they saw last, and perhaps stop the run. Meanwhile servers are killed and started
anew, or stopped for longer than a lease and let go on, not knowing it. After a while that ends, and
so must every story. Then `check` holds what everybody saw against the store:

- P1: what a reader saw, over all its connections, is the log from 1 on: nothing lost, doubled, out
  of order or different;
- P2: every id that anybody saw is in the store;
- P3: the log has one terminal entry, the last;
- P4: the key stands for one run, and the provider was called once, or once more a takeover.

What is done, a seed decides; when it happens, the machine does. `CONTINUES` is whether a run may be
taken over: then readers say so, and nobody is told `interrupted` in the end.
"""

import asyncio
import json
import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.runs import Entry, RunLog
from services.settings import ROOT
from tests.functions.deployed import word_of
from tests.functions.serving import clean
from tests.functions.wire import CutError, Leave, Response, Seen, get, post

# Whether a run goes on in another process when the one that produced it is gone.
CONTINUES = False

PATIENCE = 90.0

# A world plays so many seeds at once.
TOGETHER = 25


@dataclass
class Server:
    """One server, again and again: `kill` it and it is started anew at the same port."""

    environ: Mapping[str, str]
    options: dict[str, Any]
    port: int = 0
    process: "subprocess.Popen[bytes]" = field(init=False)

    async def start(self) -> None:
        """Start it and wait until it listens."""
        self.options["port"] = self.port
        self.process = subprocess.Popen(  # noqa: ASYNC220 - begun at once
            [sys.executable, "-m", "tests.functions.deployed"],
            cwd=ROOT,
            env=clean({**self.environ, "DEPLOYED": json.dumps(self.options)}),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
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
    """One reader's fate and what it saw."""

    name: str
    seen: list[Seen] = field(default_factory=list)
    partial: list[Seen] = field(default_factory=list)
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
    def run(self) -> str:
        """The one run of the key."""
        runs = {run for reader in self.readers for run in reader.runs}
        assert len(runs) == 1, f"the key stands for {len(runs)} runs"
        return runs.pop()


async def play(
    seeds: Sequence[int],
    environ: Mapping[str, str],
    calls: Path,
    *,
    lease: float = 1.0,
    line: float = 0.0,
    locked: Path | None = None,
) -> list[Story]:
    """A world of `seeds`, in which trouble comes about twice a `lease` (seconds).

    `line` is the share of DynamoDB calls that go wrong; `locked` is a SQLite file that a stranger
    locks now and then.
    """
    chance = random.Random(f"world {seeds[0]}")
    options = {"calls": str(calls), "lease": lease, "line": [line, seeds[0]]}
    servers = [Server(environ, dict(options)) for _ in range(2)]
    await asyncio.gather(*(server.start() for server in servers))
    trouble = asyncio.create_task(_trouble(servers, chance, lease, locked))
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
    servers: list[Server], chance: random.Random, lease: float, locked: Path | None
) -> None:
    for _ in range(chance.randint(6, 12)):
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
    story = Story(seed, name, words, [Reader(f"{name}/{n}") for n in range(chance.randint(1, 3))])
    question = {
        "query": f"{name} says {words} words, {pause} ms apart",
        "streaming": True,
        **({"resume": True} if CONTINUES else {}),
    }
    stop_at = chance.uniform(0.05, 2.0) if chance.random() < 0.15 else None
    readers = [
        _read(reader, question, f"key-{name}", servers, random.Random(f"{reader.name}"))
        for reader in story.readers
    ]
    stopping = asyncio.create_task(_stop(story, stop_at, servers, chance))
    try:
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*readers)
    except TimeoutError as error:
        told = [(reader.name, len(reader.seen), reader.told[-5:]) for reader in story.readers]
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
        runs = {run for reader in story.readers for run in reader.runs}
        if runs:
            story.stopped = True
            request = get(f"/api/chat/runs/{runs.pop()}/stop").replace(b"GET", b"POST", 1)
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
    while True:
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
                if response.status == 200 and await _hear(me, response, most):
                    return
                if response.status == 204:
                    assert me.seen, "nothing left to resume, and nothing was seen"
                    return
                me.told.append(str(response.status))
                assert response.status in (200, 429, 500, 503), f"status {response.status}"
        except CutError as error:
            me.told.append(str(error)[:40])
        await asyncio.sleep(chance.uniform(0.01, 0.2))


def _request(me: Reader, question: Mapping[str, Any], key: str, chance: random.Random) -> bytes:
    if not me.seen:
        if me.runs and chance.random() < 0.3:
            (run,) = me.runs
            return get(f"/api/chat/runs/{run}/events?after=0{'&resume=1' * CONTINUES}")
        return post(question, Idempotency_Key=key)
    last = me.seen[-1].id
    run, _, seq = last.rpartition("-")
    if chance.random() < 0.5:
        return get(f"/api/chat/runs/{run}/events?after={seq}{'&resume=1' * CONTINUES}")
    return get(f"/api/chat{'?resume=1' * CONTINUES}", Last_Event_ID=last)


async def _hear(me: Reader, response: Response, most: int) -> bool:
    """Take events until the terminal one (True), the end of the body, or enough of them."""
    while most > 0:
        for seen in (found := await response.events()):
            if not seen.id:
                # Told to this reader alone: what could not be kept or read; nothing to resume from.
                me.told.append(str(seen.event.get("code", seen.event["type"])))
                continue
            me.seen.append(seen)
            most -= 1
            if seen.event["type"] in ("final", "error"):
                return True
            if most == 0:
                return False
        if not found:
            return False
    return False


async def check(stories: Sequence[Story], log: RunLog, calls: Path) -> Counter[str]:
    """Raise `AssertionError`, with the seed, where a promise was broken. Returns what happened."""
    __tracebackhide__ = True
    called = Counter(line.split()[0] for line in calls.read_text().splitlines())  # noqa: ASYNC240 - a test may wait
    happened: Counter[str] = Counter()
    for story in stories:
        try:
            run = await log.find(story.run, None)
            entries = await log.read(run.id, 0, 10_000)
            _check_log(entries, story)
            for reader in story.readers:
                _check_reader(reader, entries, run.id)
            takeovers = run.epoch - 1 if CONTINUES else 0
            assert called[story.name] <= 1 + takeovers, (
                f"the provider was called {called[story.name]} times, {takeovers} takeovers"
            )
            happened["takeovers"] += takeovers
        except AssertionError as error:
            raise AssertionError(f"seed {story.seed}: {error}") from error
        happened[_end_of(entries)] += 1
        happened["events"] += len(entries)
        happened["readers"] += len(story.readers)
        happened["connections"] += sum(reader.connections for reader in story.readers)
    return happened


def _end_of(entries: Sequence[Entry]) -> str:
    event = json.loads(entries[-1].payload)
    return str(event.get("code") or event["result"]["finishReason"])


def _check_log(entries: Sequence[Entry], story: Story) -> None:
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1)), "a hole"
    assert [entry.terminal for entry in entries].count(True) == 1, "not one end"
    assert entries[-1].terminal, "something follows the end"
    events = [json.loads(entry.payload) for entry in entries]
    said = "".join(event["text"] for event in events if event["type"] == "token")
    whole = "".join(word_of(story.name, number) for number in range(story.words))
    assert whole.startswith(said), "tokens lost, doubled or out of order"
    end = events[-1]
    if end["type"] == "final":
        assert end["result"]["answer"] == said, "the answer is not its tokens"
        if end["result"]["finishReason"] == "stop":
            assert said == whole, "half an answer for a whole one"
        else:
            assert story.stopped, "stopped by nobody"
    else:
        assert end.get("partial", {}).get("answer", "") == said, "the partial is not its tokens"
        allowed = {"interrupted", "cancelled", "provider_truncated", "internal"}
        if CONTINUES:
            allowed.discard("interrupted")
        assert end["code"] in allowed, f"ended with {end['code']}"


def _check_reader(reader: Reader, entries: Sequence[Entry], run_id: str) -> None:
    ids = [seen.id for seen in reader.seen]
    assert ids == [f"{run_id}-{entry.seq}" for entry in entries], (
        f"{reader.name} saw {len(ids)} of {len(entries)} events, or others"
    )
    for seen, entry in zip(reader.seen, entries, strict=True):
        assert seen.data == entry.payload, f"{reader.name} saw another {seen.id}"


@asynccontextmanager
async def moto() -> AsyncIterator[str]:
    """moto's DynamoDB in a process of its own, one request at a time. Yields its address."""
    process = subprocess.Popen(  # noqa: ASYNC220 - begun at once
        [sys.executable, "-c", _MOTO],
        cwd=ROOT,
        env=clean({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        line = await asyncio.to_thread(process.stdout.readline)
        yield f"http://127.0.0.1:{int(line)}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


# Several at once would let two puts pass one condition. What a frozen client has not sent yet is
# waited for outside the lock, so that it stops nobody else.
_MOTO = """
import io, threading
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
inner = DomainDispatcherApplication(create_backend_app)
lock = threading.Lock()
def app(environ, start_response):
    size = int(environ.get("CONTENT_LENGTH") or 0)
    environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(size))
    with lock:
        return [b"".join(inner(environ, start_response))]
server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.port, flush=True)
server.serve_forever()
"""
