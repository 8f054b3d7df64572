"""What every store of runs must do, as a function of the store.

A store's own test module says how to open one and gets its tests:

    test_it_keeps_the_rules_of_the_log = conformance(open_log)

A rule is given an empty log and the clock it was opened with. Nothing here knows how a store
keeps anything, nor waits for time to pass: a test moves the clock.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Any

import pytest

from services.errors import RiverrunError
from services.runs import (
    Entry,
    IdempotencyConflictError,
    NotNextError,
    Run,
    RunLog,
    UnknownRunError,
    follow,
)


@dataclass(slots=True)
class Clock:
    """Epoch seconds that only a test moves."""

    seconds: float = 1_767_225_600.0

    def __call__(self) -> float:
        """The time."""
        return self.seconds


OpenLog = Callable[[Clock], AbstractAsyncContextManager[RunLog]]
Rule = Callable[[RunLog, Clock], Awaitable[None]]
RULES: list[Rule] = []


def conformance(open_log: OpenLog) -> Callable[..., Awaitable[None]]:
    """The test that runs every rule on a store of its own."""

    @pytest.mark.anyio
    @pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
    async def keeps(rule: Rule) -> None:
        clock = Clock()
        async with open_log(clock) as log:
            await rule(log, clock)

    return keeps


def rule(check: Rule) -> Rule:
    """Make `check` one of the rules."""
    RULES.append(check)
    return check


def token(seq: int, payload: bytes | None = None) -> Entry:
    """An entry that goes on."""
    return Entry(seq, "token", payload or b'{"type":"token","text":"%d"}' % seq)


def final(seq: int) -> Entry:
    """An entry that ends its run."""
    return Entry(seq, "final", b'{"type":"final"}', terminal=True)


async def begun(log: RunLog, owner: str | None = None, key: str | None = None) -> Run:
    """A run."""
    run, _ = await log.start(owner=owner, key=key, fingerprint="f")
    return run


async def collected(log: RunLog, run_id: str, after: int = 0) -> list[Entry]:
    """What a reader of a run gets."""
    async with aclosing(follow(log, run_id, after)) as entries:
        return [entry async for entry in entries if entry is not None]


@rule
async def a_run_is_new_and_nobody_can_guess_it(log: RunLog, clock: Clock) -> None:
    """128 random bits in hexadecimal, and what it was started with."""
    ids = set()
    for owner in (None, "somebody"):
        run, new = await log.start(owner=owner, key=None, fingerprint="f")
        assert new
        assert (run.owner, run.fingerprint, run.created) == (owner, "f", clock())
        assert len(run.id) == 32
        assert int(run.id, 16) >= 0
        assert not run.stop.done()
        assert await log.last(run.id) is None
        assert await log.read(run.id, 0) == []
        ids.add(run.id)
    assert len(ids) == 2


@rule
async def entries_are_read_as_they_were_written(log: RunLog, clock: Clock) -> None:
    """Byte for byte, whatever the bytes, singly or many at a time."""
    run = await begun(log)
    bodies = [
        b"",
        b"{}",
        b"\0\r\n\xff\xfe",
        "👩‍👩‍👧\u2028".encode(),
        bytes(range(256)),
        b"x" * 60_000,
    ]
    written = [token(seq, body) for seq, body in enumerate(bodies, 1)]
    await log.append(run.id, written[:1])
    await log.append(run.id, written[1:])
    await log.append(run.id, [final(7)])
    assert await log.read(run.id, 0) == [*written, final(7)]
    assert await log.last(run.id) == final(7)


@rule
async def a_page_begins_after_its_cursor_and_ends_at_its_limit(log: RunLog, clock: Clock) -> None:
    """Every cursor, every limit; what is not there is an empty page."""
    run = await begun(log)
    entries = [*map(token, range(1, 8)), final(8)]
    await log.append(run.id, entries)
    for after in range(10):
        for limit in (1, 3, 256):
            assert await log.read(run.id, after, limit) == entries[after : after + limit]


@rule
async def a_run_has_no_gap_no_repeat_and_one_end(log: RunLog, clock: Clock) -> None:
    """What does not go on where the run is, is refused whole."""
    run = await begun(log)
    await log.append(run.id, [token(1)])
    for wrong in ([token(1)], [token(3)], [token(0)], [token(2), token(2)], [token(2), token(4)]):
        with pytest.raises(NotNextError):
            await log.append(run.id, wrong)
        assert await log.read(run.id, 0) == [token(1)]
    with pytest.raises(NotNextError):
        await log.append(run.id, [final(2), token(3)])
    await log.append(run.id, [final(2)])
    for late in (token(3), final(3), final(2)):
        with pytest.raises(NotNextError):
            await log.append(run.id, [late])
    assert await log.read(run.id, 0) == [token(1), final(2)]


@rule
async def runs_do_not_mix(log: RunLog, clock: Clock) -> None:
    """Two runs written in turn are each whole."""
    one, two = await begun(log), await begun(log)
    for seq in range(1, 20):
        await log.append(one.id, [token(seq, b"one")])
        await log.append(two.id, [token(seq, b"two")])
    assert {entry.payload for entry in await log.read(one.id, 0)} == {b"one"}
    assert {entry.payload for entry in await log.read(two.id, 0)} == {b"two"}


@rule
async def what_was_read_is_the_readers_own(log: RunLog, clock: Clock) -> None:
    """To change it changes no log."""
    run = await begun(log)
    given = [token(1)]
    await log.append(run.id, given)
    given.clear()
    (await log.read(run.id, 0)).clear()
    assert await log.read(run.id, 0) == [token(1)]


@rule
async def only_its_owner_finds_a_run(log: RunLog, clock: Clock) -> None:
    """To anybody else it looks exactly like one that is not there."""
    nobodys, anns = await begun(log), await begun(log, "ann")
    assert (await log.find(anns.id, "ann")).id == anns.id
    assert (await log.find(nobodys.id, None)).id == nobodys.id
    told = set()
    for run_id, owner in (
        (anns.id, "bob"),
        (anns.id, None),
        (anns.id, ""),
        (nobodys.id, "ann"),
        ("0" * 32, "ann"),
        ("0" * 32, None),
        ("", None),
    ):
        with pytest.raises(UnknownRunError) as refused:
            await log.find(run_id, owner)
        told.add((type(refused.value), refused.value.message, refused.value.hint))
    assert len(told) == 1


@rule
async def a_run_that_is_not_there_is_unknown_to_every_method(log: RunLog, clock: Clock) -> None:
    """Typed, with the contract's code."""
    missing = "f" * 32
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: log.append(missing, [token(1)]),
        lambda: log.read(missing, 0),
        lambda: log.wait(missing, 0, 0.01),
        lambda: log.last(missing),
        lambda: log.stop(missing),
        lambda: collected(log, missing),
    ]
    for call in calls:
        with pytest.raises(UnknownRunError) as refused:
            await call()
        assert refused.value.code == "not_found"


@rule
async def one_key_starts_one_run(log: RunLog, clock: Clock) -> None:
    """While it runs and after it has ended; twenty at once are one, too."""
    made = await asyncio.gather(
        *(log.start(owner="ann", key="k", fingerprint="f") for _ in range(20))
    )
    assert [new for _, new in made].count(True) == 1
    assert len({run.id for run, _ in made}) == 1
    run = made[0][0]
    await log.append(run.id, [final(1)])
    again, new = await log.start(owner="ann", key="k", fingerprint="f")
    assert (again.id, new) == (run.id, False)


@rule
async def a_key_belongs_to_its_owner(log: RunLog, clock: Clock) -> None:
    """Two people may think of the same one, and so may nobody in particular."""
    runs = {(await begun(log, owner, "k")).id for owner in ("ann", "bob", None, "")}
    assert len(runs) == 4
    assert (await begun(log, "ann")).id not in runs
    assert (await begun(log, "ann", "other")).id not in runs


@rule
async def a_key_for_another_question_is_a_conflict(log: RunLog, clock: Clock) -> None:
    """And leaves the first run as it was."""
    run = await begun(log, "ann", "k")
    with pytest.raises(IdempotencyConflictError) as refused:
        await log.start(owner="ann", key="k", fingerprint="other")
    assert refused.value.code == "idempotency_conflict"
    assert (await begun(log, "ann", "k")).id == run.id


@rule
async def waiting_ends_with_an_entry_or_with_patience(log: RunLog, clock: Clock) -> None:
    """True for an entry that is there or comes, False for none in time."""
    run = await begun(log)
    assert not await log.wait(run.id, 0, 0.01)
    waiting = asyncio.create_task(log.wait(run.id, 0, 30.0))
    await asyncio.sleep(0)
    await log.append(run.id, [token(1)])
    assert await waiting
    assert await log.wait(run.id, 0, 30.0)
    assert not await log.wait(run.id, 1, 0.01)


@rule
async def stopping_is_heard_by_whoever_runs_it(log: RunLog, clock: Clock) -> None:
    """However often it is asked, also when the run has ended."""
    run = await begun(log)
    await log.stop(run.id)
    await asyncio.wait_for(asyncio.shield(run.stop), 30.0)
    await log.stop(run.id)
    await log.append(run.id, [final(1)])
    await log.stop(run.id)
    assert await log.read(run.id, 0) == [final(1)]


@rule
async def a_reader_from_anywhere_gets_exactly_the_rest(log: RunLog, clock: Clock) -> None:
    """After every k: k + 1 to n, and nothing at all after the end."""
    run = await begun(log)
    entries = [*map(token, range(1, 300)), final(300)]
    await log.append(run.id, entries)
    for after in (0, 1, 2, 255, 256, 257, 298, 299, 300, 301):
        assert await collected(log, run.id, after) == entries[after:]


@rule
async def many_readers_of_a_growing_run_all_get_all_of_it(log: RunLog, clock: Clock) -> None:
    """Joined at any moment; those who leave disturb nobody."""
    run = await begun(log)
    entries = [*map(token, range(1, 40)), final(40)]

    async def leave_early() -> None:
        async with aclosing(follow(log, run.id)) as said:
            await anext(said)

    readers = []
    for entry in entries:
        readers.append(asyncio.create_task(collected(log, run.id)))
        readers.append(asyncio.create_task(leave_early()))  # type: ignore[arg-type]  # one of each
        await asyncio.sleep(0)
        await log.append(run.id, [entry])
    read = await asyncio.gather(*readers)
    assert read[::2] == [entries] * len(entries)


@rule
async def a_silent_run_is_told_as_silent(log: RunLog, clock: Clock) -> None:
    """Each interval of it, and the entry that ends it comes at once."""
    run = await begun(log)
    async with aclosing(follow(log, run.id, heartbeat=0.01)) as entries:
        assert await anext(entries) is None
        assert await anext(entries) is None
        await log.append(run.id, [final(1)])
        assert [entry async for entry in entries if entry] == [final(1)]


@rule
async def a_run_is_gone_when_its_time_is_over(log: RunLog, clock: Clock) -> None:
    """Its owner is told so, others are told nothing, and its key is free again."""
    run = await begun(log, "ann", "k")
    await log.append(run.id, [final(1)])
    clock.seconds += 3000
    assert (await log.find(run.id, "ann")).id == run.id
    clock.seconds += 30 * 24 * 3600
    again, new = await log.start(owner="ann", key="k", fingerprint="other")
    assert new
    assert again.id != run.id
    with pytest.raises(RiverrunError) as refused:
        await log.find(run.id, "ann")
    assert refused.value.code in ("expired", "not_found")
    with pytest.raises(UnknownRunError):
        await log.find(run.id, "bob")


@rule
async def a_session_remembers_its_last_turns(log: RunLog, clock: Clock) -> None:
    """Oldest first, at most as many as are asked for, whatever was said."""
    assert await log.turns("ann", "s", 6) == []
    said = [(f"question {n}", f"answer {n}\0\r\n👩‍👩‍👧") for n in range(8)]
    for question, answer in said:
        await log.add_turn("ann", "s", question, answer)
    assert await log.turns("ann", "s", 6) == said[-6:]
    assert await log.turns("ann", "s", 100) == said
    assert await log.turns("ann", "s", 0) == []


@rule
async def a_session_belongs_to_its_owner(log: RunLog, clock: Clock) -> None:
    """The same name is another session for anybody else."""
    await log.add_turn("ann", "s", "q", "a")
    for owner, session in (("bob", "s"), (None, "s"), ("", "s"), ("ann", "t"), ("ann", "")):
        assert await log.turns(owner, session, 6) == []
    assert await log.turns("ann", "s", 6) == [("q", "a")]
