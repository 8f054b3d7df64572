"""A live answer is worth more than one try."""

import random
from collections.abc import Sequence

import pytest

from services.runs import Entry, RunLogError, SequenceConflictError
from services.runs.memory import MemoryLog
from services.runs.retry import PATIENCE_SECONDS, append_patiently
from tests.services.runs.conformance import Clock, start_run, token

pytestmark = pytest.mark.anyio


class Faulty(MemoryLog):
    """A log whose appends go wrong as `fates` says: "busy", "lost" (applied all the same), "ok"."""

    def __init__(self, fates: Sequence[str]) -> None:
        super().__init__()
        self.fates = iter(fates)
        self.tries = 0

    async def append(self, run_id: str, entries: Sequence[Entry]) -> None:
        self.tries += 1
        fate = next(self.fates, "ok")
        if fate != "busy":
            await super().append(run_id, entries)
        if fate != "ok":
            raise RunLogError("The run log is busy.", retryable=fate != "broken")


async def append(log: MemoryLog, run_id: str, entries: Sequence[Entry], clock: Clock) -> None:
    """Append patiently, in no time."""

    async def sleep(seconds: float) -> None:
        clock.seconds += seconds

    await append_patiently(log, run_id, entries, monotonic=clock, sleep=sleep)


@pytest.mark.parametrize(
    "fates", [["ok"], ["busy"] * 20, ["lost"], ["busy", "lost", "busy"], ["lost", "lost"]]
)
async def test_what_is_tried_again_is_kept_once(fates: list[str]) -> None:
    """Also where a try was applied that said it was not."""
    log = Faulty(fates)
    run = await start_run(log)
    await append(log, run.id, [token(1), token(2)], Clock())
    await append(log, run.id, [token(3)], Clock())
    assert await log.read(run.id, 0) == [token(1), token(2), token(3)]


async def test_another_writers_entry_is_a_conflict_and_not_ours() -> None:
    """Before a failed try, and after it."""
    for fates in ([], ["busy"]):
        log = Faulty(["ok", *fates])
        run = await start_run(log)
        await log.append(run.id, [token(1, b"other")])
        with pytest.raises(SequenceConflictError):
            await append(log, run.id, [token(1, b"ours")], Clock())


async def test_patience_ends() -> None:
    """After half a minute, or without time; what a moment does not mend ends at once."""
    clock = Clock()
    log = Faulty(["busy"] * 10_000)
    run = await start_run(log)
    began = clock()
    with pytest.raises(RunLogError):
        await append(log, run.id, [token(1)], clock)
    assert PATIENCE_SECONDS <= clock() - began <= PATIENCE_SECONDS + 1.0
    for more, fates in ((lambda: False, ["busy"]), (lambda: True, ["broken"])):
        log = Faulty(fates)
        run = await start_run(log)
        with pytest.raises(RunLogError):
            await append_patiently(log, run.id, [token(1)], may_wait=more)
        assert log.tries == 1


async def test_a_store_that_fails_most_of_the_time_loses_no_answer() -> None:
    """Sixty of a hundred calls fail, a tenth of those after they were applied."""
    chance = random.Random(7)
    for _ in range(48):
        log = Faulty(chance.choices(("busy", "lost", "ok"), (54, 6, 40), k=2000))
        run = await start_run(log)
        for seq in range(1, 30):
            await append(log, run.id, [token(seq)], Clock())
        assert await log.read(run.id, 0) == [token(seq) for seq in range(1, 30)]
