"""Readers are woken by what is written here, and look for what is written elsewhere."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from services.runs.notify import FIRST_LOOK, LONGEST_LOOK, Notifier
from tests.services.streaming.instant import instant

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Time that is waited for passes at once, and is the same on every machine."""
    return instant()


async def test_who_waits_is_woken_by_the_entry_it_waits_for() -> None:
    """Not by an earlier one, nor by another run's."""
    waiting = Notifier()
    with waiting.subscribe("run", 5) as woken:
        waiting.wake("run", 5)
        waiting.wake("other", 9)
        assert not await waiting.wait_for(woken, 0.001)
        waiting.wake("run", 6)
        assert await waiting.wait_for(woken, 30.0)


async def test_who_has_left_is_forgotten() -> None:
    """Woken, tired of it, or cancelled."""
    waiting = Notifier()

    async def wait(timeout: float) -> bool:
        with waiting.subscribe("run", 0) as woken:
            return await waiting.wait_for(woken, timeout)

    tasks = [asyncio.create_task(wait(timeout)) for timeout in (0.001, 30.0, 30.0)]
    await asyncio.sleep(0)
    assert waiting.list_runs() == ["run"]
    tasks[1].cancel()
    assert await tasks[0] is False
    waiting.wake("run", 1)
    assert await tasks[2] is True
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]
    assert waiting.list_runs() == []


async def test_what_others_wrote_is_looked_for_less_and_less() -> None:
    """Soon at first, then twice a second; and no longer than one waits."""
    waiting = Notifier()
    loop = asyncio.get_running_loop()
    looks: list[float] = []

    async def look() -> None:
        looks.append(loop.time())

    begun = loop.time()
    with waiting.subscribe("run", 0) as woken:
        assert not await waiting.wait_for(woken, 1.2, look)
    gaps = [two - one for one, two in zip([begun, *looks], looks, strict=False)]
    assert gaps[0] == pytest.approx(FIRST_LOOK)
    assert all(one < two <= LONGEST_LOOK for one, two in pairwise(gaps[:-1]))
    assert 4 <= len(looks) <= 8
    assert loop.time() - begun == pytest.approx(1.2)


async def test_what_a_look_finds_wakes_the_reader() -> None:
    """At once, and all of those who wait for it."""
    waiting = Notifier()

    async def look() -> None:
        waiting.wake("run", 1)

    with waiting.subscribe("run", 0) as one, waiting.subscribe("run", 0) as two:
        assert await waiting.wait_for(one, 30.0, look)
        assert two.done()


async def test_many_readers_look_once() -> None:
    """Of a hundred that would look at the same moment, one does."""
    waiting = Notifier()
    assert [waiting.is_due("run") for _ in range(100)].count(True) == 1
    assert waiting.is_due("other")
