"""A small Jepsen: processes that share a log, things going wrong, and a check of what they saw.

`play` lets producers, readers and bystanders loose on one store, from one seed. Producers fall
asleep past their lease and wake up not knowing it. What each was told is written down; the store at
the end is the truth. `check` says whether the promises held:

- the log of a run is 1 to n without a hole, and its only terminal entry is the last;
- what was acknowledged is in it; what was refused is not; an append is there whole or not at all,
  and every word there was said by its producer;
- what a reader saw is a stretch of it, from where the reader began;
- what one producer wrote stands together: no other producer got in between unnoticed;
- a key started one run, and an epoch was given to one producer.

Nothing here waits for time, so that a seed is replayed by giving it again.
"""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeVar

from services.runs import Entry, Run, RunLog, RunLogError, SequenceConflictError
from tests.services.runs.conformance import Clock

T = TypeVar("T")

LEASE = 15.0


class Soon(Executor):
    """Does what a thread would do in the loop's own turn: so the order of things is the seed's."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Do it soon."""
        future: Future[Any] = Future()

        def do() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except Exception as error:  # noqa: BLE001 - handed to the caller
                future.set_exception(error)

        asyncio.get_running_loop().call_soon(do)
        return future


@dataclass
class AppendTry:
    """One append: who tried it, and what it was told (None: nothing came back)."""

    producer: str
    run: str
    entries: Sequence[Entry]
    told: str | None = None


@dataclass
class History:
    """What every process was told."""

    seed: int
    said: list[AppendTry] = field(default_factory=list)
    seen: list[tuple[str, int, list[Entry]]] = field(default_factory=list)
    started: dict[str, list[tuple[str, bool]]] = field(default_factory=lambda: defaultdict(list))
    lost_starts: Counter[str] = field(default_factory=Counter)
    claimed: list[tuple[str, int]] = field(default_factory=list)
    truth: dict[str, list[Entry]] = field(default_factory=dict)


@dataclass
class Actor:
    """A client of one process, with a fate of its own. `chance` is the fate."""

    name: str
    log: RunLog
    chance: random.Random
    clock: Clock
    history: History

    def list_runs(self) -> list[str]:
        """The runs that any process has heard of, in an order that does not hang on their ids."""
        started = self.history.started.values()
        return list(dict.fromkeys(run_id for made in started for run_id, _ in made))

    async def pause(self) -> None:
        """Let others go first."""
        for _ in range(self.chance.randint(0, 4)):
            await asyncio.sleep(0)


async def play(seed: int, logs: Sequence[RunLog], truth: RunLog, clock: Clock) -> History:
    """Let all clients loose on `logs`, each one process's. `truth` reads what came of it."""
    history = History(seed)
    chance = random.Random(seed)
    keys = [f"key {number}" for number in range(chance.randint(1, 3))]

    def actor(name: str, log: RunLog) -> Actor:
        return Actor(name, log, random.Random(chance.random()), clock, history)

    await asyncio.gather(
        *(_producer(actor(f"p{number}", log), keys) for number, log in enumerate(logs)),
        *(_reader(actor(f"r{number}", log)) for number, log in enumerate(logs)),
        _stopper(actor("stopper", chance.choice(logs))),
    )
    for run_id in actor("truth", truth).list_runs():
        entries: list[Entry] = []
        while page := await _surely(lambda: truth.read(run_id, len(entries), 7)):  # noqa: B023 - awaited here
            entries += page
        history.truth[run_id] = entries
    return history


async def _producer(me: Actor, keys: list[str]) -> None:
    for turn in range(3):
        run = await _hold(me, me.chance.choice(keys))
        if run is not None:
            await _produce(me, run, f"{me.name}.{turn}.{run.epoch}")
        await me.pause()


async def _hold(me: Actor, key: str) -> Run | None:
    """A run that is new, or was claimed."""
    try:
        run, new = await me.log.start(owner="ann", key=key, fingerprint=key, lease=LEASE)
    except RunLogError:
        me.history.lost_starts[key] += 1
        return None
    me.history.started[key].append((run.id, new))
    if new:
        return run
    await me.pause()
    try:
        if me.chance.random() < 0.5:  # thought dead, also when it lives
            await me.log.doubt(run)
            await me.pause()
            await me.log.expire(run)
        run = await me.log.claim(run, lease=LEASE)
    except (SequenceConflictError, RunLogError):
        return None
    me.history.claimed.append((run.id, run.epoch))
    return run


async def _produce(me: Actor, run: Run, name: str) -> None:
    """Say things until the end, or until another producer has the run.

    What nothing came back of is in doubt.
    """
    try:
        seq, ended = await _end(me.log, run.id)
        while not ended and me.chance.random() < 0.85:
            said = AppendTry(name, run.id, _words(me.chance, seq, f"{name} after {seq}"))
            me.history.said.append(said)
            await _say(me.log, said)
            last = said.entries[-1]
            if said.told == "refused":
                return
            if said.told is None and await me.log.read_last(run.id) != last:
                # It may still arrive. Go on from where it was not, if no other producer has.
                if (await _end(me.log, run.id))[0] != seq:
                    return
            else:
                seq, ended = last.seq, last.terminal
            await _live_on(me, run)
    except RunLogError:
        return


def _words(chance: random.Random, seq: int, words: str) -> list[Entry]:
    entries = [
        Entry(
            seq + n, "token", f"{words} {chance.random()} {'x' * chance.randint(0, 900)}".encode()
        )
        for n in range(1, chance.choice((1, 1, 2, 3, 8)) + 1)
    ]
    if chance.random() < 0.15:
        entries[-1] = entries[-1]._replace(kind="final", terminal=True)
    return entries


async def _live_on(me: Actor, run: Run) -> None:
    await me.pause()
    with suppress(SequenceConflictError, RunLogError):
        # What they are told here they do not heed: the log must hold against such, too.
        if me.chance.random() < 0.1:
            me.clock.seconds += LEASE + 1  # frozen; it does not know
        elif me.chance.random() < 0.3:
            await me.log.renew(run, lease=LEASE)
        elif me.chance.random() < 0.05:
            await me.log.release(run, checkpoint=b"later")


async def _stopper(me: Actor) -> None:
    for turn in range(3):
        for _ in range(me.chance.randint(1, 30)):
            await asyncio.sleep(0)
        runs = me.list_runs()
        if not runs or me.chance.random() < 0.5:
            continue
        run_id = me.chance.choice(runs)
        try:
            seq, ended = await _end(me.log, run_id)
        except RunLogError:
            continue
        if not ended:
            end = Entry(seq + 1, "error", b"stop %d" % turn, terminal=True)
            said = AppendTry(f"{me.name}.{turn}", run_id, [end])
            me.history.said.append(said)
            await _say(me.log, said)


async def _say(log: RunLog, said: AppendTry) -> None:
    try:
        await log.append(said.run, said.entries)
        said.told = "done"
    except SequenceConflictError:
        said.told = "refused"
    except RunLogError:
        said.told = None


async def _reader(me: Actor) -> None:
    for _ in range(4):
        await me.pause()
        runs = me.list_runs()
        if not runs:
            continue
        run_id = me.chance.choice(runs)
        begin = cursor = me.chance.choice((0, 0, 1, 2, 5))
        seen: list[Entry] = []
        me.history.seen.append((run_id, begin, seen))
        for _ in range(me.chance.randint(1, 8)):
            with suppress(RunLogError):
                seen += await me.log.read(run_id, cursor, me.chance.choice((1, 3, 256)))
            cursor = seen[-1].seq if seen else begin
            await me.pause()


async def _end(log: RunLog, run_id: str) -> tuple[int, bool]:
    newest = await log.read_last(run_id)
    return (newest.seq, newest.terminal) if newest is not None else (0, False)


async def _surely(call: Callable[[], Awaitable[T]]) -> T:
    while True:
        try:
            return await call()
        except RunLogError:
            await asyncio.sleep(0)


def check(history: History) -> None:
    """Raise `AssertionError`, with the seed, where a promise was broken."""
    __tracebackhide__ = True
    try:
        for run_id, truth in history.truth.items():
            _check_run(truth, [said for said in history.said if said.run == run_id])
        for run_id, begin, seen in history.seen:
            assert seen == history.truth[run_id][begin : begin + len(seen)], "a reader saw else"
        for key, made in history.started.items():
            assert len({run_id for run_id, _ in made}) == 1, "a key started two runs"
            told = [new for _, new in made].count(True)
            assert told <= 1, "two were told that a run is new"
            assert told == 1 or history.lost_starts[key], "no process was told that a run is new"
        assert len(set(history.claimed)) == len(history.claimed), "an epoch was given twice"
    except AssertionError as error:
        raise AssertionError(f"seed {history.seed}: {error}") from error


def _check_run(truth: list[Entry], tried: list[AppendTry]) -> None:
    assert [entry.seq for entry in truth] == list(range(1, len(truth) + 1)), "a hole"
    assert not any(entry.terminal for entry in truth[:-1]), "something follows the end"
    kept = set(truth)
    explained: set[Entry] = set()
    for said in tried:
        there = sum(entry in kept for entry in said.entries)
        assert there in (0, len(said.entries)), "half an append"
        if said.told == "done":
            assert there, "an acknowledged append is not there"
        if said.told == "refused":
            assert not there, "a refused append is there"
        explained.update(said.entries)
    assert kept <= explained, "something that no producer said"
    writers = {entry: said.producer for said in tried for entry in said.entries}
    stretches = [writers[entry] for entry in truth]
    changes = sum(one != two for one, two in pairwise(stretches))
    assert changes + 1 <= len(set(stretches)) or not truth, "two producers mixed"
