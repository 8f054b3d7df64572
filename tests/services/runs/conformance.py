"""What every store of runs must do, as a function of the store.

A store's own test module says how to open one and gets its tests:

    test_it_keeps_the_rules_of_the_log = conformance(open_log)
    test_it_keeps_them_between_processes = shared_conformance(open_logs)

A rule is given an empty log and the clock it was opened with; a shared rule is given a function
that opens the same log again, as another process would. Nothing here knows how a store keeps
anything, nor waits for time to pass: a test moves the clock.
"""

import asyncio
import hashlib
import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from dataclasses import dataclass
from typing import Any

import pytest

from services.errors import RiverrunError
from services.runs import (
    Entry,
    ExpiredRunError,
    IdempotencyConflictError,
    Run,
    RunLog,
    SequenceConflictError,
    UnknownRunError,
    follow,
)
from services.runs.lease import end_dead_lease
from services.runs.log import ENTRY_BYTES
from services.runs.memory import MemoryLog


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

OpenAnother = Callable[[], RunLog]
OpenLogs = Callable[[Clock], AbstractAsyncContextManager[OpenAnother]]
SharedRule = Callable[[OpenAnother, Clock], Awaitable[None]]
SHARED_RULES: list[SharedRule] = []


def conformance(open_log: OpenLog) -> Callable[..., Awaitable[None]]:
    """The test that runs every rule on a store of its own."""

    @pytest.mark.anyio
    @pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
    async def keeps(rule: Rule) -> None:
        clock = Clock()
        async with open_log(clock) as log:
            await rule(log, clock)

    return keeps


def shared_conformance(open_logs: OpenLogs) -> Callable[..., Awaitable[None]]:
    """The test that runs every shared rule on a store of its own."""

    @pytest.mark.anyio
    @pytest.mark.parametrize("rule", SHARED_RULES, ids=lambda rule: rule.__name__)
    async def keeps(rule: SharedRule) -> None:
        clock = Clock()
        async with open_logs(clock) as open_another:
            await rule(open_another, clock)

    return keeps


def rule(check: Rule) -> Rule:
    """Make `check` one of the rules."""
    RULES.append(check)
    return check


def add_shared_rule(check: SharedRule) -> SharedRule:
    """Make `check` one of the rules for a log that several processes have open."""
    SHARED_RULES.append(check)
    return check


def token(seq: int, payload: bytes | None = None) -> Entry:
    """An entry that goes on."""
    return Entry(seq, "token", payload or b'{"type":"token","text":"%d"}' % seq)


def final(seq: int) -> Entry:
    """An entry that ends its run."""
    return Entry(seq, "final", b'{"type":"final"}', terminal=True)


async def start_run(
    log: RunLog, owner: str | None = None, key: str | None = None, *, lease: float = 15.0
) -> Run:
    """A run."""
    run, _ = await log.start(owner=owner, key=key, fingerprint="f", lease=lease)
    return run


async def start_run_with(log: RunLog, owner: str | None, key: str, fingerprint: str) -> Run:
    """The run of a key."""
    run, _ = await log.start(owner=owner, key=key, fingerprint=fingerprint)
    return run


async def collect(log: RunLog, run_id: str, after: int = 0) -> list[Entry]:
    """What a reader of a run gets."""
    async with aclosing(follow(log, run_id, after)) as entries:
        return [entry async for entry in entries if entry is not None]


@rule
async def a_run_is_new_and_cannot_be_guessed(log: RunLog, clock: Clock) -> None:
    """128 random bits in hexadecimal, and what it was started with."""
    ids = set()
    for owner in (None, "ann"):
        run, new = await log.start(owner=owner, key=None, fingerprint="f")
        assert new
        assert (run.owner, run.fingerprint, run.created) == (owner, "f", clock())
        assert len(run.id) == 32
        assert int(run.id, 16) >= 0
        assert await log.read_last(run.id) is None
        assert await log.read(run.id, 0) == []
        ids.add(run.id)
    assert len(ids) == 2


@rule
async def entries_are_read_as_they_were_written(log: RunLog, clock: Clock) -> None:
    """Byte for byte, whatever the bytes, singly or many at a time."""
    run = await start_run(log)
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
    assert await log.read_last(run.id) == final(7)


@rule
async def a_page_begins_after_its_cursor_and_ends_at_its_limit(log: RunLog, clock: Clock) -> None:
    """Every cursor, every limit; what is not there is an empty page."""
    run = await start_run(log)
    entries = [*map(token, range(1, 8)), final(8)]
    await log.append(run.id, entries)
    for after in range(10):
        for limit in (1, 3, 256):
            assert await log.read(run.id, after, limit) == entries[after : after + limit]


@rule
async def a_run_has_no_gap_no_repeat_and_one_end(log: RunLog, clock: Clock) -> None:
    """What does not go on where the run is, is refused whole."""
    run = await start_run(log)
    await log.append(run.id, [token(1)])
    for wrong in ([token(1)], [token(3)], [token(0)], [token(2), token(2)], [token(2), token(4)]):
        with pytest.raises(SequenceConflictError):
            await log.append(run.id, wrong)
        assert await log.read(run.id, 0) == [token(1)]
    with pytest.raises(SequenceConflictError):
        await log.append(run.id, [final(2), token(3)])
    await log.append(run.id, [final(2)])
    for late in (token(3), final(3), final(2)):
        with pytest.raises(SequenceConflictError):
            await log.append(run.id, [late])
    assert await log.read(run.id, 0) == [token(1), final(2)]


@rule
async def a_run_knows_when_it_was_written(log: RunLog, clock: Clock) -> None:
    """One time an append, refused ones left out; who reads entries sees nothing of it."""
    run, _ = await log.start(owner=None, key=None, fingerprint="f")
    assert await log.read_append_times(run.id) == []
    begun_at = clock.seconds
    await log.append(run.id, [Entry(1, "token", b"a"), Entry(2, "token", b"b")])
    clock.seconds += 0.25
    with pytest.raises(SequenceConflictError):
        await log.append(run.id, [Entry(2, "token", b"x")])
    await log.append(run.id, [Entry(3, "final", b"c" * 700_000, terminal=True)])
    assert await log.read_append_times(run.id) == [(2, begun_at), (3, begun_at + 0.25)]
    assert [entry.seq for entry in await log.read(run.id, 0)] == [1, 2, 3]


@rule
async def runs_do_not_mix(log: RunLog, clock: Clock) -> None:
    """Two runs written in turn are each whole."""
    one, two = await start_run(log), await start_run(log)
    for seq in range(1, 20):
        await log.append(one.id, [token(seq, b"one")])
        await log.append(two.id, [token(seq, b"two")])
    assert {entry.payload for entry in await log.read(one.id, 0)} == {b"one"}
    assert {entry.payload for entry in await log.read(two.id, 0)} == {b"two"}


@rule
async def what_was_read_is_the_readers_own(log: RunLog, clock: Clock) -> None:
    """To change it changes no log."""
    run = await start_run(log)
    given = [token(1)]
    await log.append(run.id, given)
    given.clear()
    (await log.read(run.id, 0)).clear()
    assert await log.read(run.id, 0) == [token(1)]


@rule
async def only_its_owner_finds_a_run(log: RunLog, clock: Clock) -> None:
    """To another owner it looks exactly like one that is not there."""
    unowned, anns = await start_run(log), await start_run(log, "ann")
    assert (await log.find(anns.id, "ann")).id == anns.id
    assert (await log.find(unowned.id, None)).id == unowned.id
    told = set()
    for run_id, owner in (
        (anns.id, "bob"),
        (anns.id, None),
        (anns.id, ""),
        (unowned.id, "ann"),
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
    lost = Run(id=missing, owner=None, created=0.0, fingerprint="f")
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: log.append(missing, [token(1)]),
        lambda: log.read(missing, 0),
        lambda: log.wait(missing, 0, 0.01),
        lambda: log.read_last(missing),
        lambda: log.read_append_times(missing),
        lambda: log.mark_read(missing, 1.0),
        lambda: log.seconds_unread(missing),
        lambda: log.keep_feedback(missing, b"up"),
        lambda: log.read_feedback(missing),
        lambda: log.claim(lost, lease=1.0),
        lambda: log.renew(lost, lease=1.0),
        lambda: log.release(lost),
        lambda: collect(log, missing),
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
    """Two people may think of the same one, and so may callers without an owner."""
    runs = {(await start_run(log, owner, "k")).id for owner in ("ann", "bob", None, "")}
    assert len(runs) == 4
    assert (await start_run(log, "ann")).id not in runs
    assert (await start_run(log, "ann", "other")).id not in runs


@rule
async def a_key_for_another_question_is_a_conflict(log: RunLog, clock: Clock) -> None:
    """And leaves the first run as it was."""
    run = await start_run(log, "ann", "k")
    with pytest.raises(IdempotencyConflictError) as refused:
        await log.start(owner="ann", key="k", fingerprint="other")
    assert refused.value.code == "idempotency_conflict"
    assert (await start_run(log, "ann", "k")).id == run.id


@rule
async def waiting_ends_with_an_entry_or_with_patience(log: RunLog, clock: Clock) -> None:
    """True for an entry that is there or comes, False for none in time."""
    run = await start_run(log)
    assert not await log.wait(run.id, 0, 0.01)
    waiting = asyncio.create_task(log.wait(run.id, 0, 30.0))
    await asyncio.sleep(0)
    await log.append(run.id, [token(1)])
    assert await waiting
    assert await log.wait(run.id, 0, 30.0)
    assert not await log.wait(run.id, 1, 0.01)


@rule
async def a_reader_from_anywhere_gets_exactly_the_rest(log: RunLog, clock: Clock) -> None:
    """After every k: k + 1 to n, and nothing at all after the end."""
    run = await start_run(log)
    entries = [*map(token, range(1, 300)), final(300)]
    await log.append(run.id, entries)
    for after in (0, 1, 2, 255, 256, 257, 298, 299, 300, 301):
        assert await collect(log, run.id, after) == entries[after:]


@rule
async def many_readers_of_a_growing_run_all_get_all_of_it(log: RunLog, clock: Clock) -> None:
    """Joined at any moment; readers that leave disturb no other."""
    # Each entry wakes all readers so far: what this costs grows with the square of them.
    run = await start_run(log)
    entries = [*map(token, range(1, 12)), final(12)]

    async def leave_early() -> None:
        async with aclosing(follow(log, run.id)) as said:
            await anext(said)

    readers = []
    for entry in entries:
        readers.append(asyncio.create_task(collect(log, run.id)))
        readers.append(asyncio.create_task(leave_early()))  # type: ignore[arg-type]  # one of each
        await asyncio.sleep(0)
        await log.append(run.id, [entry])
    read = await asyncio.gather(*readers)
    assert read[::2] == [entries] * len(entries)


@rule
async def a_silent_run_is_told_as_silent(log: RunLog, clock: Clock) -> None:
    """Each interval of it, and the entry that ends it comes at once."""
    run = await start_run(log)
    async with aclosing(follow(log, run.id, heartbeat=0.01)) as entries:
        assert await anext(entries) is None
        assert await anext(entries) is None
        await log.append(run.id, [final(1)])
        assert [entry async for entry in entries if entry] == [final(1)]


@rule
async def a_run_is_gone_when_its_time_is_over(log: RunLog, clock: Clock) -> None:
    """Its owner is told so, others are told nothing, and its key is free again."""
    run = await start_run(log, "ann", "k")
    await log.append(run.id, [final(1)])
    clock.seconds += 3000
    assert (await log.find(run.id, "ann")).id == run.id
    clock.seconds += 30 * 24 * 3600
    for gone in (log.read(run.id, 0), log.read_last(run.id), log.wait(run.id, 0, 0.01)):
        with pytest.raises(ExpiredRunError):
            await gone
    with pytest.raises(ExpiredRunError):
        await log.append(run.id, [token(2)])
    with pytest.raises(UnknownRunError):
        await log.claim(run, lease=1.0)
    assert await log.list_recent() == []
    again, new = await log.start(owner="ann", key="k", fingerprint="other")
    assert new
    assert again.id != run.id
    assert (await start_run_with(log, "ann", "k", "other")).id == again.id
    with pytest.raises(RiverrunError) as refused:
        await log.find(run.id, "ann")
    assert refused.value.code in ("expired", "not_found")
    with pytest.raises(UnknownRunError):
        await log.find(run.id, "bob")


@rule
async def a_run_that_is_held_is_not_over(log: RunLog, clock: Clock) -> None:
    """Renewing counts as a sign of life, for as long as a producer renews."""
    run = await start_run(log, "ann", "k")
    for seq in range(1, 60):
        clock.seconds += 3000
        await log.renew(run, lease=15.0)
        await log.append(run.id, [token(seq)])
    assert (await log.find(run.id, "ann")).id == run.id
    assert (await start_run(log, "ann", "k")).id == run.id
    assert len(await log.read(run.id, 0)) == 59


@rule
async def a_run_keeps_its_question(log: RunLog, clock: Clock) -> None:
    """Byte for byte, for the process that goes on with it elsewhere."""
    question = bytes(range(256)) + "👩‍👩‍👧".encode() * 1000
    run, _ = await log.start(owner="ann", key="k", fingerprint="f", question=question, lease=20.0)
    assert run.question == question
    found = await log.find(run.id, "ann")
    assert found == run
    assert (found.epoch, found.lease_until, found.checkpoint) == (1, clock() + 20.0, b"")
    joined, _ = await log.start(owner="ann", key="k", fingerprint="f", question=b"other")
    assert joined == run


@rule
async def of_many_writers_of_one_number_one_has_written_it(log: RunLog, clock: Clock) -> None:
    """Twenty try each number; one is let, nineteen are told, and the log is what that one wrote."""
    run = await start_run(log)
    written: list[Entry] = []
    for seq in range(1, 6):
        tried = [[token(seq, b"%d of %d" % (who, seq))] for who in range(20)]
        told = await asyncio.gather(
            *(log.append(run.id, entries) for entries in tried), return_exceptions=True
        )
        assert [type(error) for error in told if error is not None] == [SequenceConflictError] * 19
        written += tried[told.index(None)]
    assert await log.read(run.id, 0) == written


@rule
async def of_many_who_end_a_run_one_has_ended_it(log: RunLog, clock: Clock) -> None:
    """The producer, a stop and a reader that gave it up: there is one end."""
    run = await start_run(log)
    await log.append(run.id, [token(1)])
    ends = [Entry(2, kind, b"%d" % who, terminal=True) for who, kind in enumerate("abcdefgh")]
    told = await asyncio.gather(
        *(log.append(run.id, [end]) for end in ends), return_exceptions=True
    )
    assert told.count(None) == 1
    assert await log.read(run.id, 1) == [ends[told.index(None)]]
    assert await collect(log, run.id, 1) == [ends[told.index(None)]]


@rule
async def nothing_is_appended_by_appending_nothing(log: RunLog, clock: Clock) -> None:
    """Before, between and after the entries of a run."""
    run = await start_run(log)
    for entry in (token(1), final(2)):
        await log.append(run.id, [])
        await log.append(run.id, [entry])
    await log.append(run.id, [])
    assert await log.read(run.id, 0) == [token(1), final(2)]


@rule
async def a_batch_is_read_from_within(log: RunLog, clock: Clock) -> None:
    """However appends cut a run into batches, a cursor may be anywhere in them."""
    run = await start_run(log)
    entries = [*(token(seq, b"%d" % seq * seq) for seq in range(1, 37)), final(37)]
    seq = 0
    for size in (1, 2, 3, 5, 8, 13, 5):
        await log.append(run.id, entries[seq : seq + size])
        seq += size
    for after in range(39):
        for limit in (1, 2, 7, 256):
            assert await log.read(run.id, after, limit) == entries[after : after + limit]
    assert await log.read(run.id, 10**12) == []
    assert await log.read(run.id, 0, 0) == []
    assert await log.read_last(run.id) == entries[-1]


@rule
async def a_long_log_is_read_whole_and_in_order(log: RunLog, clock: Clock) -> None:
    """Two megabytes that do not shrink: more than one answer of any service holds."""
    run = await start_run(log)
    entries = [
        *(token(seq, hashlib.shake_128(b"%d" % seq).digest(60_000)) for seq in range(1, 36)),
        final(36),
    ]
    for entry in entries:
        await log.append(run.id, [entry])
    assert await log.read(run.id, 0) == entries
    assert await log.read(run.id, 17) == entries[17:]
    assert await log.read(run.id, 30, 3) == entries[30:33]


@rule
async def an_append_of_any_size_is_one(log: RunLog, clock: Clock) -> None:
    """An entry of a megabyte, between small ones, appended at once and refused at once."""
    run = await start_run(log)
    large = [
        token(1, b"small"),
        token(2, hashlib.shake_128(b"large").digest(1_000_000)),
        token(3, b""),
    ]
    await log.append(run.id, large)
    assert await log.read_last(run.id) == large[-1]
    for wrong in (large, [token(5)], [token(3, b"x" * 900_000)]):
        with pytest.raises(SequenceConflictError):
            await log.append(run.id, wrong)
    await log.append(run.id, [final(4)])
    assert await log.read(run.id, 0) == [*large, final(4)]
    assert await log.read(run.id, 1, 1) == large[1:2]
    assert await log.read(run.id, 2) == [large[2], final(4)]


@rule
async def a_run_is_claimed_when_its_lease_is_over(log: RunLog, clock: Clock) -> None:
    """Not before, by one of those who try, and the epoch says how often."""
    run = await start_run(log, lease=15.0)
    with pytest.raises(SequenceConflictError):
        await log.claim(run, lease=15.0)
    await log.release(run)
    told = await asyncio.gather(
        *(log.claim(run, lease=15.0) for _ in range(10)), return_exceptions=True
    )
    claimed = [run for run in told if isinstance(run, Run)]
    assert len(claimed) == 1
    assert claimed[0].epoch == 2
    assert claimed[0].lease_until == clock() + 15.0
    assert await log.find(run.id, None) == claimed[0]
    await log.release(claimed[0])
    again = await log.claim(claimed[0], lease=15.0)
    assert again.epoch == 3


@rule
async def no_step_of_a_clock_ends_a_lease(log: RunLog, clock: Clock) -> None:
    """Forward or back by minutes: whether a producer lives is for those who watch it."""
    run = await start_run(log, lease=15.0)
    for step in (300.0, -600.0, 300.0):
        clock.seconds += step
        with pytest.raises(SequenceConflictError):
            await log.claim(run, lease=15.0)
        await log.renew(run)
        await log.append(run.id, [])


@rule
async def a_doubt_is_answered_by_a_sign_of_life(log: RunLog, clock: Clock) -> None:
    """And what was seen before it ends nothing any more."""
    run = await start_run(log)
    await log.doubt(run)
    doubted = await log.find(run.id, None)
    assert (doubted.is_doubted, doubted.is_free) == (True, False)
    await log.renew(run)
    found = await log.find(run.id, None)
    assert not found.is_doubted
    for late in (log.expire(doubted), log.doubt(run), log.expire(run)):
        with pytest.raises(SequenceConflictError):
            await late
    assert not (await log.find(run.id, None)).is_free


@rule
async def a_doubt_without_an_answer_ends_the_lease(log: RunLog, clock: Clock) -> None:
    """Only after the doubt, once; then any process may claim the run."""
    run = await start_run(log)
    with pytest.raises(SequenceConflictError):
        await log.expire(run)
    await log.doubt(run)
    await log.doubt(run)
    ended = await asyncio.gather(*(log.expire(run) for _ in range(3)), return_exceptions=True)
    assert ended.count(None) == 1
    found = await log.find(run.id, None)
    assert (found.is_free, found.is_doubted) == (True, False)
    with pytest.raises(SequenceConflictError):
        await log.doubt(found)
    assert (await log.claim(found)).epoch == 2


@rule
async def a_producer_takes_back_what_was_ended_in_error(log: RunLog, clock: Clock) -> None:
    """It lived, and no other process has claimed the run."""
    run = await start_run(log)
    await log.doubt(run)
    await log.expire(run)
    await log.renew(run, lease=15.0)
    found = await log.find(run.id, None)
    assert (found.epoch, found.is_free, found.lease_until) == (1, False, clock() + 15.0)
    with pytest.raises(SequenceConflictError):
        await log.claim(found)


@rule
async def who_was_claimed_from_holds_nothing_more(log: RunLog, clock: Clock) -> None:
    """A producer that wakes up late renews, releases and claims in vain."""
    run = await start_run(log, lease=15.0)
    await log.release(run)
    claimed = await log.claim(run, lease=15.0)
    for call in (
        log.renew(run, lease=60.0),
        log.release(run, checkpoint=b"old"),
        log.claim(run, lease=60.0),
        log.doubt(run),
        log.expire(run),
    ):
        with pytest.raises(SequenceConflictError):
            await call
    assert await log.find(run.id, None) == claimed


@rule
async def a_dead_producer_is_found_by_watching_it(log: RunLog, clock: Clock) -> None:
    """Within a lease and two looks; never one that gives signs of life, nor by one long look."""
    living, dead = await start_run(log), await start_run(log)
    await log.append(dead.id, [token(1)])
    for look in range(1, 100):
        clock.seconds += 0.5
        if look % 2 == 0:
            await log.renew(living)
        assert not await end_dead_lease(log, await log.find(living.id, None), 0, lease=4.0)
        if await end_dead_lease(log, await log.find(dead.id, None), 1, lease=4.0):
            break
    assert 4.0 <= look * 0.5 <= 5.5
    assert (await log.find(dead.id, None)).is_free
    clock.seconds += 3000.0  # this process slept, and all the others
    assert not await end_dead_lease(log, await log.find(living.id, None), 0, lease=4.0)


@rule
async def a_doubt_from_before_an_entry_takes_no_run_away(log: RunLog, clock: Clock) -> None:
    """Whether the store ends it with the entry or not: a producer that lives has a whole lease."""
    run = await start_run(log)
    await log.doubt(run)
    for _ in range(3):
        clock.seconds += 0.5
        assert not await end_dead_lease(log, await log.find(run.id, None), 0, lease=4.0)
    await log.append(run.id, [token(1)])
    looks = 0
    while not await end_dead_lease(log, await log.find(run.id, None), 1, lease=4.0):
        clock.seconds += 0.5
        looks += 1
    assert 4.0 <= looks * 0.5 <= 5.0


@rule
async def entries_are_signs_of_life(log: RunLog, clock: Clock) -> None:
    """A producer that writes renews nothing."""
    run = await start_run(log)
    for seq in range(1, 40):
        await log.append(run.id, [token(seq)])
        for _ in range(2):
            clock.seconds += 0.5
            assert not await end_dead_lease(log, await log.find(run.id, None), seq, lease=4.0)


@rule
async def what_is_too_long_is_refused_alike(log: RunLog, clock: Clock) -> None:
    """In every store, and nothing else of the append is kept."""
    run = await start_run(log)
    with pytest.raises(RiverrunError) as refused:
        await log.append(run.id, [token(1), token(2, b"x" * (ENTRY_BYTES + 1))])
    assert refused.value.code == "payload_too_large"
    assert await log.read_last(run.id) is None


@rule
async def a_store_that_can_keep_something_says_so(log: RunLog, clock: Clock) -> None:
    """And what it kept for that is nowhere to be seen."""
    await log.check()
    await log.check()
    assert await log.list_recent() == []


@rule
async def a_renewal_that_arrives_late_takes_nothing_back(log: RunLog, clock: Clock) -> None:
    """Sent before its own producer's release, it would hold a run that no process writes."""
    run = await start_run(log)
    await log.release(run, checkpoint=b"left")
    with pytest.raises(SequenceConflictError):
        await log.renew(run)
    found = await log.find(run.id, None)
    assert (found.is_free, found.checkpoint) == (True, b"left")
    assert (await log.claim(found)).epoch == 2


@rule
async def a_released_run_is_there_for_the_next_one(log: RunLog, clock: Clock) -> None:
    """At once, with the checkpoint, which stays until another one is left."""
    run = await start_run(log, lease=15.0)
    await log.append(run.id, [token(1)])
    await log.release(run, checkpoint=b"\0here\xff")
    claimed = await log.claim(run, lease=15.0)
    assert (claimed.epoch, claimed.checkpoint) == (2, b"\0here\xff")
    await log.renew(claimed, lease=15.0)
    assert (await log.find(run.id, None)).checkpoint == b"\0here\xff"
    await log.append(run.id, [token(2)])
    await log.release(claimed)
    assert (await log.find(run.id, None)).checkpoint == b""


@rule
async def a_reader_leaves_a_sign_that_runs_out(log: RunLog, clock: Clock) -> None:
    """It holds for as long as was said, and it is known since when none has."""
    run, other = await start_run(log), await start_run(log)
    assert await log.seconds_unread(run.id) == math.inf
    await log.mark_read(run.id, 12.0)
    assert await log.seconds_unread(run.id) == -12.0
    clock.seconds += 20.0
    assert await log.seconds_unread(run.id) == 8.0
    await log.mark_read(run.id, 12.0)
    assert await log.seconds_unread(run.id) == -12.0
    assert await log.seconds_unread(other.id) == math.inf


@rule
async def the_last_sign_of_a_reader_counts(log: RunLog, clock: Clock) -> None:
    """It holds from when it is seen, whatever clock its reader had."""
    run = await start_run(log)
    await asyncio.gather(*(log.mark_read(run.id, float(seconds)) for seconds in (3, 30, 7)))
    await log.mark_read(run.id, 12.0)
    assert await log.seconds_unread(run.id) == -12.0


@rule
async def a_sign_changes_nothing_else(log: RunLog, clock: Clock) -> None:
    """A run whose producer died is as dead, is claimed as before, and is kept no longer."""
    run = await start_run(log, lease=15.0)
    await log.append(run.id, [token(1)])
    before = (await log.list_recent(), await log.read_append_times(run.id))
    clock.seconds += 20.0
    await log.mark_read(run.id, 60.0)
    assert (await log.list_recent(), await log.read_append_times(run.id)) == before
    assert await log.find(run.id, None) == run
    assert await log.read(run.id, 0) == [token(1)]
    assert await log.read_last(run.id) == token(1)
    await log.release(run)
    claimed = await log.claim(run, lease=15.0)
    assert claimed.epoch == 2
    await log.append(run.id, [final(2)])
    assert await log.seconds_unread(run.id) == -60.0
    for _ in range(30 * 24):
        clock.seconds += 3600.0
        with suppress(UnknownRunError):
            await log.mark_read(run.id, 7200.0)
    for gone in (log.mark_read(run.id, 1.0), log.seconds_unread(run.id)):
        with pytest.raises(UnknownRunError):
            await gone


@rule
async def the_last_feedback_of_a_run_is_kept_with_it(log: RunLog, clock: Clock) -> None:
    """While it is written and after its end; it changes nothing else, and goes with the run."""
    run, other = await start_run(log, lease=15.0), await start_run(log)
    assert await log.read_feedback(run.id) == b""
    await log.append(run.id, [token(1)])
    await log.keep_feedback(run.id, b"down")
    await log.append(run.id, [final(2)])
    before = (await log.list_recent(), await log.read_append_times(run.id))
    said = "up: gut, schön \N{THUMBS UP SIGN}".encode()
    await log.keep_feedback(run.id, said)
    assert await log.read_feedback(run.id) == said
    assert await log.read_feedback(other.id) == b""
    assert (await log.list_recent(), await log.read_append_times(run.id)) == before
    assert await log.find(run.id, None) == run
    assert await log.read(run.id, 0) == [token(1), final(2)]
    await log.keep_feedback(run.id, b"")
    assert await log.read_feedback(run.id) == b""
    await log.keep_feedback(run.id, said)
    clock.seconds += 30 * 24 * 3600.0
    for gone in (log.keep_feedback(run.id, said), log.read_feedback(run.id)):
        with pytest.raises(UnknownRunError):
            await gone


@rule
async def recent_runs_come_newest_first(log: RunLog, clock: Clock) -> None:
    """With how far each has come; at most as many as are asked for."""
    assert await log.list_recent() == []
    runs = []
    clock.seconds -= 3  # over midnight: a store may keep a list for each day
    for number in range(5):
        clock.seconds += 1
        run, _ = await log.start(
            owner=None if number % 2 else "ann",
            key=str(number),
            fingerprint="f",
            question=b"question %d" % number,
        )
        runs.append(run)
    await log.append(runs[4].id, [token(1), token(2)])
    await log.append(runs[3].id, [token(1), final(2)])
    seen = await log.list_recent()
    assert [each.run for each in seen] == runs[::-1]
    assert [(each.last, each.ended) for each in seen] == [
        (2, False),
        (2, True),
        (0, False),
        (0, False),
        (0, False),
    ]
    assert [each.run for each in await log.list_recent(2)] == runs[:2:-1]
    assert await log.list_recent(0) == []


@rule
async def an_owner_sees_its_own_runs_newest_first(log: RunLog, clock: Clock) -> None:
    """And no other owner's, nor one without; no owner is not the owner called nothing."""
    anns = []
    for number in range(4):
        clock.seconds += 1
        anns.append(await start_run(log, "ann", str(number)))
        await start_run(log, "bob")
        await start_run(log)
    await log.append(anns[3].id, [token(1), final(2)])
    seen = await log.list_owned("ann")
    assert [each.run for each in seen] == anns[::-1]
    assert [(each.last, each.ended) for each in seen[:2]] == [(2, True), (0, False)]
    assert [each.run for each in await log.list_owned("ann", 2)] == anns[:1:-1]
    assert await log.list_owned("ann", 0) == []
    assert await log.list_owned("") == []


@rule
async def the_runs_of_a_session_are_found_again(log: RunLog, clock: Clock) -> None:
    """Of that owner and session only; also of a session that has no owner."""
    started: dict[tuple[str | None, str | None], set[str]] = {}
    for owner in ("ann", "bob", None):
        for session in ("s", "t", None):
            clock.seconds += 1
            for _ in range(2):
                run, _ = await log.start(owner=owner, key=None, fingerprint="f", session=session)
                started.setdefault((owner, session), set()).add(run.id)
    for (owner, session), ids in started.items():
        if session is not None:
            assert set(await log.list_session(owner, session)) == ids
    assert await log.list_session("ann", "u") == []
    assert await log.list_session("carl", "s") == []


@rule
async def a_deleted_run_is_as_one_that_never_was(log: RunLog, clock: Clock) -> None:
    """To every method, and its key starts a new one. Others stay, also those of its session."""
    started = [
        (await log.start(owner=owner, key=key, fingerprint="f", session="s"))[0]
        for owner, key in (("ann", "k"), ("ann", "other"), (None, "k"))
    ]
    for run in started:
        await log.append(run.id, [token(n) for n in range(1, 30)])
        await log.append(run.id, [final(30)])
        await log.keep_feedback(run.id, b"up")
        await log.mark_read(run.id, 1.0)
    for run in (started[0], started[2]):
        assert await log.delete(run.id, run.owner)
        for call in (
            log.find(run.id, run.owner),
            log.delete(run.id, run.owner),
            log.read(run.id, 0),
            log.read_last(run.id),
            log.read_append_times(run.id),
            log.read_feedback(run.id),
            log.keep_feedback(run.id, b"up"),
            log.append(run.id, [token(31)]),
            log.claim(run),
            log.renew(run),
        ):
            with pytest.raises(UnknownRunError) as refused:
                await call
            assert refused.value.code == "not_found"
    assert [each.run for each in await log.list_recent()] == [started[1]]
    assert [each.run for each in await log.list_owned("ann")] == [started[1]]
    assert await log.list_session("ann", "s") == [started[1].id]
    assert await log.list_session(None, "s") == []
    assert len(await log.read(started[1].id, 0)) == 30
    again, is_new = await log.start(owner="ann", key="k", fingerprint="another")
    assert is_new
    assert again.id != started[0].id


@rule
async def a_run_that_has_not_ended_is_not_deleted(log: RunLog, clock: Clock) -> None:
    """Said or not said anything; nothing of it is changed."""
    silent, said = await start_run(log, "ann"), await start_run(log, "ann")
    await log.append(said.id, [token(1)])
    for run in (silent, said):
        assert not await log.delete(run.id, "ann")
        assert await log.find(run.id, "ann") == run
    await log.append(said.id, [final(2)])
    assert await log.read(said.id, 0) == [token(1), final(2)]


@rule
async def only_its_owner_deletes_a_run(log: RunLog, clock: Clock) -> None:
    """For another it is not there, ended or live; one whose time is over is expired."""
    ended, live = await start_run(log, "ann"), await start_run(log, "ann")
    await log.append(ended.id, [final(1)])
    told = set()
    for run_id in (ended.id, live.id, "0" * 32, "", "../x"):
        for owner in ("bob", None, ""):
            with pytest.raises(UnknownRunError) as refused:
                await log.delete(run_id, owner)
            told.add((type(refused.value), refused.value.message, refused.value.hint))
    assert len(told) == 1
    assert await log.find(ended.id, "ann") == ended
    clock.seconds += 30 * 24 * 3600.0
    with pytest.raises(ExpiredRunError):
        await log.delete(ended.id, "ann")


@rule
async def a_session_is_forgotten_when_its_owner_says_so(log: RunLog, clock: Clock) -> None:
    """Its turns, of that owner only; whether there were any is told."""
    for owner in ("ann", "bob", None):
        for number in range(5):
            await log.add_turn(owner, "s", f"q {number}", "a")
    assert not await log.forget_turns("ann", "t")
    assert not await log.forget_turns("carl", "s")
    for owner in ("ann", None):
        assert await log.forget_turns(owner, "s")
        assert await log.read_turns(owner, "s", 6) == []
        assert not await log.forget_turns(owner, "s")
    assert len(await log.read_turns("bob", "s", 6)) == 5
    await log.add_turn("ann", "s", "anew", "a")
    assert await log.read_turns("ann", "s", 6) == [("anew", "a")]


@rule
async def a_session_remembers_its_last_turns(log: RunLog, clock: Clock) -> None:
    """Oldest first, at most as many as are asked for, whatever was said."""
    assert await log.read_turns("ann", "s", 6) == []
    said = [(f"question {n}", f"answer {n}\0\r\n👩‍👩‍👧\ud800") for n in range(8)]
    for question, answer in said:
        await log.add_turn("ann", "s", question, answer)
    assert await log.read_turns("ann", "s", 6) == said[-6:]
    assert await log.read_turns("ann", "s", 100) == said
    assert await log.read_turns("ann", "s", 0) == []


@rule
async def a_session_belongs_to_its_owner(log: RunLog, clock: Clock) -> None:
    """The same name is another session for another owner."""
    await log.add_turn("ann", "s", "q", "a")
    for owner, session in (("bob", "s"), (None, "s"), ("", "s"), ("ann", "t"), ("ann", "")):
        assert await log.read_turns(owner, session, 6) == []
    await log.add_turn("a", "b#c", "q", "a")
    assert await log.read_turns("a#b", "c", 6) == []
    assert await log.read_turns("ann", "s", 6) == [("q", "a")]


@rule
async def a_session_is_forgotten_when_its_time_is_over(log: RunLog, clock: Clock) -> None:
    """As a run is; what is said later is a new one."""
    if isinstance(log, MemoryLog):
        return  # kept by number, not by time: it is gone with its process anyway
    await log.add_turn("ann", "s", "q", "a")
    clock.seconds += 30 * 24 * 3600
    assert await log.read_turns("ann", "s", 6) == []
    await log.add_turn("ann", "s", "later", "a")
    assert await log.read_turns("ann", "s", 6) == [("later", "a")]


@add_shared_rule
async def what_one_wrote_all_read(open_another: OpenAnother, clock: Clock) -> None:
    """Runs, keys, leases and sessions."""
    one, two = open_another(), open_another()
    run = await start_run(one, "ann", "k")
    await one.append(run.id, [token(1), token(2)])
    assert await two.find(run.id, "ann") == run
    assert await two.read(run.id, 0) == [token(1), token(2)]
    await two.append(run.id, [token(3)])
    assert await one.read_last(run.id) == token(3)
    await one.append(run.id, [token(4)])
    assert (await start_run(two, "ann", "k")).id == run.id
    await one.keep_feedback(run.id, b"up")
    assert await two.read_feedback(run.id) == b"up"
    await one.add_turn("ann", "s", "q", "a")
    assert await two.read_turns("ann", "s", 6) == [("q", "a")]
    assert [each.last for each in await two.list_recent()] == [4]


@add_shared_rule
async def what_one_deletes_is_gone_for_all(open_another: OpenAnother, clock: Clock) -> None:
    """Also for a process that has read it, and for a producer that has not heard of the end."""
    producing, reading, deleting = open_another(), open_another(), open_another()
    run = await start_run(producing, "ann", "k")
    await producing.append(run.id, [token(1), token(2)])
    assert await reading.read(run.id, 0) == [token(1), token(2)]
    await deleting.append(run.id, [final(3)])
    assert await deleting.delete(run.id, "ann")
    for refused in (
        producing.append(run.id, [token(3)]),
        producing.renew(run),
        producing.release(run),
    ):
        with pytest.raises((UnknownRunError, SequenceConflictError)):
            await refused
    for log in (producing, reading, deleting):
        for unknown in (log.find(run.id, "ann"), log.read_last(run.id), log.read(run.id, 2)):
            with pytest.raises(UnknownRunError):
                await unknown
    assert await reading.list_recent() == []
    assert (await start_run(reading, "ann", "k")).id != run.id


@add_shared_rule
async def a_reader_elsewhere_is_seen(open_another: OpenAnother, clock: Clock) -> None:
    """By every process, and from a process that reads and writes nothing else of the run."""
    producing, reading = open_another(), open_another()
    run = await start_run(producing)
    assert await producing.seconds_unread(run.id) == math.inf
    await reading.mark_read(run.id, 12.0)
    assert await producing.seconds_unread(run.id) == -12.0
    await producing.append(run.id, [token(1)])
    clock.seconds += 13.0
    assert await producing.seconds_unread(run.id) == 1.0


@add_shared_rule
async def what_was_acknowledged_outlives_its_writer(
    open_another: OpenAnother, clock: Clock
) -> None:
    """Closed and opened again, the log is what it was."""
    one = open_another()
    run = await start_run(one, "ann", "k")
    await one.append(run.id, [token(1), token(2)])
    await one.close()
    two = open_another()
    assert await two.find(run.id, "ann") == run
    assert await two.read(run.id, 0) == [token(1), token(2)]
    await two.append(run.id, [final(3)])


@add_shared_rule
async def a_producer_thought_dead_cannot_write(open_another: OpenAnother, clock: Clock) -> None:
    """It wakes up after another has gone on, and every one of its writes is refused."""
    dead, living = open_another(), open_another()
    run = await start_run(dead, lease=15.0)
    await dead.append(run.id, [token(1), token(2)])
    await living.doubt(run)
    await living.expire(run)
    claimed = await living.claim(await living.find(run.id, None), lease=15.0)
    after = await living.read_last(run.id)
    assert after is not None
    await living.append(run.id, [token(3, b"living"), token(4, b"living")])
    for late in ([token(3)], [token(3), token(4), token(5)], [final(3)], [token(4)]):
        with pytest.raises(SequenceConflictError):
            await dead.append(run.id, late)
    with pytest.raises(SequenceConflictError):
        await dead.renew(run, lease=15.0)
    await living.append(run.id, [final(5)])
    assert [entry.seq for entry in await dead.read(run.id, 2)] == [3, 4, 5]
    assert await living.find(run.id, None) == claimed


@add_shared_rule
async def batches_of_two_writers_never_overlap(open_another: OpenAnother, clock: Clock) -> None:
    """Whatever each believes the end to be, one goes on from there and the other is told."""
    one, two = open_another(), open_another()
    run = await start_run(one)
    await one.append(run.id, [token(1)])
    assert await two.read(run.id, 0) == [token(1)]
    seq = 1
    for turn, (mine, other) in enumerate([(4, 1), (1, 4), (3, 3), (2, 1)] * 3):
        first, second = (one, two) if turn % 2 else (two, one)
        batches = [
            [token(n, b"first") for n in range(seq + 1, seq + 1 + mine)],
            [token(n, b"second") for n in range(seq + 1, seq + 1 + other)],
        ]
        told = await asyncio.gather(
            first.append(run.id, batches[0]),
            second.append(run.id, batches[1]),
            return_exceptions=True,
        )
        assert [type(error) for error in told if error is not None] == [SequenceConflictError]
        won = batches[told.index(None)]
        # In the middle of what is there: the end of no batch.
        for log in (one, two):
            if len(won) > 1:
                with pytest.raises(SequenceConflictError):
                    await log.append(run.id, [token(won[-1].seq)])
            assert await log.read(run.id, seq) == won
        seq = won[-1].seq


@add_shared_rule
async def one_key_starts_one_run_anywhere(open_another: OpenAnother, clock: Clock) -> None:
    """Twenty at once over four processes, and again when the first one is over."""
    logs = [open_another() for _ in range(4)]
    over: set[str] = set()
    for _ in range(3):
        made = await asyncio.gather(
            *(log.start(owner="ann", key="k", fingerprint="f") for log in logs * 5)
        )
        assert [new for _, new in made].count(True) == 1
        assert len({run.id for run, _ in made}) == 1
        assert made[0][0].id not in over
        over.add(made[0][0].id)
        await logs[0].append(made[0][0].id, [final(1)])
        clock.seconds += 30 * 24 * 3600


@add_shared_rule
async def a_reader_elsewhere_hears_of_it_soon(open_another: OpenAnother, clock: Clock) -> None:
    """It follows a run that another process writes, to the end."""
    here, elsewhere = open_another(), open_another()
    run = await start_run(here)
    reading = asyncio.create_task(collect(elsewhere, run.id))
    entries = [*map(token, range(1, 6)), final(6)]
    for entry in entries:
        assert await here.wait(run.id, entry.seq - 1, 0.0) is False
        await here.append(run.id, [entry])
        assert await elsewhere.wait(run.id, entry.seq - 1, 30.0)
    assert await asyncio.wait_for(reading, 60.0) == entries


@add_shared_rule
async def who_waits_elsewhere_is_woken(open_another: OpenAnother, clock: Clock) -> None:
    """Within a second or so, and long before its patience ends."""
    here, elsewhere = open_another(), open_another()
    run = await start_run(here)
    for seq in (1, 2):
        waiting = asyncio.create_task(elsewhere.wait(run.id, seq - 1, 60.0))
        for _ in range(3):
            await elsewhere.read_last(run.id)  # by then it has looked, and found nothing
        assert not waiting.done()
        await here.append(run.id, [token(seq)])
        assert await asyncio.wait_for(waiting, 60.0)


@add_shared_rule
async def sessions_of_many_processes_keep_every_turn(
    open_another: OpenAnother, clock: Clock
) -> None:
    """Said at the same moment, none is lost."""
    logs = [open_another() for _ in range(3)]
    await asyncio.gather(*(log.add_turn("ann", "s", f"{n}", "a") for n in range(4) for log in logs))
    said = await logs[0].read_turns("ann", "s", 100)
    assert sorted(question for question, _ in said) == sorted(
        str(n) for n in range(4) for _ in logs
    )
