"""How late the event loop wakes, seen while answers are worked on and at no other time."""

import asyncio
import time

import pytest

from services.telemetry import loop_lag
from services.telemetry.loop_lag import LoopLag

pytestmark = pytest.mark.anyio


class Samples(list[float]):
    """What was noted; `come` is set by each."""

    def __init__(self) -> None:
        super().__init__()
        self.come = asyncio.Event()

    def note(self, lag: float) -> None:
        self.append(lag)
        self.come.set()

    async def wait(self) -> None:
        """Wait for the next one."""
        self.come.clear()
        await asyncio.wait_for(self.come.wait(), 60)


async def test_a_loop_that_is_held_up_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the watch that was open then, and not by one that was opened later."""
    monkeypatch.setattr(loop_lag, "INTERVAL", 0.001)
    samples = Samples()
    lag = LoopLag(samples.note)
    early = lag.open_watch()
    time.sleep(0.1)  # noqa: ASYNC251 - this is the fault
    await samples.wait()
    late = lag.open_watch()
    assert lag.close_watch(late) == 0.0
    assert lag.close_watch(early) == max(samples) > 90


async def test_nothing_is_sampled_while_nothing_is_worked_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And what is opened again samples again."""
    monkeypatch.setattr(loop_lag, "INTERVAL", 0.001)
    samples = Samples()
    lag = LoopLag(samples.note)
    for _ in range(2):
        watch = lag.open_watch()
        await samples.wait()
        lag.close_watch(watch)
        samples.clear()
        await asyncio.sleep(0.01)
        assert samples == []


async def test_a_process_that_was_frozen_is_not_a_loop_that_was_held_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An hour between two samples is the platform's."""
    monkeypatch.setattr(loop_lag, "_FROZEN", -1.0)
    monkeypatch.setattr(loop_lag, "INTERVAL", 0.001)
    samples = Samples()
    lag = LoopLag(samples.note)
    watch = lag.open_watch()
    await asyncio.sleep(0.05)
    assert lag.close_watch(watch) == 0.0
    assert samples == []


def test_a_second_loop_is_watched_anew() -> None:
    """The first is over, and its timers with it."""
    lag = LoopLag(lambda _: None)

    async def open_one() -> object:
        return lag.open_watch()

    first = asyncio.run(open_one())
    asyncio.run(open_one())
    assert lag.close_watch(first) == 0.0
