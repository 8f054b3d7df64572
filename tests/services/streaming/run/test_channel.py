"""The bounded hand-over: order, bounds, silence, and what is left when either side goes."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.errors import RiverrunError
from services.streaming.deadlines import CLEANUP_SECONDS, SECOND_CANCEL_SECONDS
from services.streaming.run.channel import Channel, lingering_tasks, run_pump
from services.streaming.run.registry import BusyError, LiveRuns
from tests.services.streaming.instant import instant

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_left")]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Time that is waited for passes at once."""
    return instant()


def now() -> float:
    """The loop's time."""
    return asyncio.get_running_loop().time()


async def numbers(count: int) -> AsyncGenerator[int, None]:
    """0, 1, 2, …"""
    for number in range(count):
        yield number


async def test_what_waits_is_taken_at_once_and_in_order() -> None:
    """A burst costs its reader one wake-up."""
    channel: Channel[int] = Channel()
    for number in range(5):
        assert channel.put_now(number)
    assert await channel.take() == [0, 1, 2, 3, 4]


async def test_a_full_channel_makes_its_writer_wait() -> None:
    """The writer goes on when the reader has taken what was there, not sooner."""
    channel: Channel[int] = Channel(limit=2)
    order: list[str] = []

    async def write() -> None:
        for number in range(3):
            await channel.put(number)
            order.append(f"put {number}")

    writer = asyncio.create_task(write())
    await asyncio.sleep(1)
    assert order == ["put 0", "put 1"]
    assert not channel.put_now(9)
    assert await channel.take() == [0, 1]
    await writer
    assert await channel.take() == [2]


async def test_one_item_larger_than_the_limit_still_passes() -> None:
    """A limit slows a writer down; it never stops one for good."""
    channel: Channel[str] = Channel(limit=10, cost=len)
    assert await channel.put("x" * 100)
    assert not channel.put_now("y")
    assert await channel.take() == ["x" * 100]
    assert channel.put_now("y")


async def test_silence_is_an_empty_list_after_the_timeout() -> None:
    """And an item that comes in time is not delayed by it."""
    channel: Channel[int] = Channel()
    began = now()
    assert await channel.take(timeout=10) == []
    assert now() - began == 10
    asyncio.get_running_loop().call_later(3, channel.put_now, 1)
    assert await channel.take(timeout=10) == [1]
    assert now() - began == 13


async def test_a_closed_channel_gives_what_waits_and_then_its_end() -> None:
    """Nothing that was handed over is lost, and nothing is handed over after."""
    channel: Channel[int] = Channel()
    channel.put_now(1)
    assert channel.close()
    assert not channel.put_now(2)
    assert not await channel.put(2)
    assert await channel.take() == [1]
    assert await channel.take() is None
    assert await channel.take() is None


async def test_only_the_first_reason_to_close_is_heard() -> None:
    """A later call is told so."""
    channel: Channel[int] = Channel()
    assert channel.close(KeyError("first"))
    assert not channel.close(ValueError("second"))
    for _ in range(2):
        with pytest.raises(KeyError, match="first"):
            await channel.take()


async def test_closing_wakes_both_sides() -> None:
    """A reader of an empty channel and a writer of a full one both go on at once."""
    empty: Channel[int] = Channel()
    full: Channel[int] = Channel(limit=1)
    full.put_now(0)
    loop = asyncio.get_running_loop()
    loop.call_later(1, empty.close)
    loop.call_later(1, full.close)
    assert await empty.take() is None
    assert await full.put(1) is False
    assert now() == pytest.approx(1)


async def test_taken_waits_until_the_reader_asks_for_more() -> None:
    """To have taken an item is not to have dealt with it."""
    channel: Channel[str] = Channel()
    order: list[str] = []

    async def write() -> None:
        await channel.put("a")
        await channel.wait_taken()
        order.append("writer goes on")
        channel.close()

    writer = asyncio.create_task(write())
    assert await channel.take() == ["a"]
    await asyncio.sleep(5)
    order.append("reader has dealt with it")
    assert await channel.take() is None
    await writer
    assert order == ["reader has dealt with it", "writer goes on"]


# The leak probe looks once, after all examples.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    items=st.lists(st.integers(0, 50), max_size=40),
    limit=st.integers(1, 60),
    pauses=st.lists(st.sampled_from([0, 0, 1, 2, 7]), min_size=1, max_size=10),
)
async def test_items_arrive_once_in_order_and_within_bounds(
    items: list[int], limit: int, pauses: list[int]
) -> None:
    """However the two sides are paced; what waits is at most the limit and one item."""
    channel: Channel[int] = Channel(limit, cost=lambda item: item)
    got: list[int] = []

    async def produce() -> AsyncGenerator[int, None]:
        for index, item in enumerate(items):
            await asyncio.sleep(pauses[index % len(pauses)])
            yield item

    async with run_pump(produce(), channel):
        while (batch := await channel.take(timeout=3)) is not None:
            assert sum(batch) <= limit - 1 + max(items)
            got += batch
            await asyncio.sleep(pauses[len(got) % len(pauses)])
    assert got == items


async def test_pumped_brings_a_generator_to_its_reader() -> None:
    """All of it, then the end."""
    channel: Channel[int] = Channel(limit=3)
    got: list[int] = []
    async with run_pump(numbers(10), channel):
        while (batch := await channel.take()) is not None:
            got += batch
    assert got == list(range(10))


async def test_an_exception_is_raised_where_the_channel_is_read() -> None:
    """After everything that came before it."""

    async def fail() -> AsyncGenerator[int, None]:
        yield 1
        raise KeyError("here")

    channel: Channel[int] = Channel()
    async with run_pump(fail(), channel):
        assert await channel.take() == [1]
        with pytest.raises(KeyError, match="here"):
            await channel.take()


async def test_leaving_runs_the_generators_finally_to_its_end() -> None:
    """Also one that waits: it is told to end once, not again while it tidies up."""
    order: list[str] = []

    async def tidy() -> AsyncGenerator[int, None]:
        try:
            yield 1
            await asyncio.sleep(3600)
        finally:
            for step in range(3):
                await asyncio.sleep(0.3)
                order.append(f"tidied {step}")

    channel: Channel[int] = Channel()
    async with run_pump(tidy(), channel) as task:
        assert await channel.take() == [1]
        channel.close()
        task.cancel()  # as a stop does, just before the reader leaves
        await asyncio.sleep(0.1)
    order.append("left")
    assert order == ["tidied 0", "tidied 1", "tidied 2", "left"]


async def test_a_generator_held_up_by_a_full_channel_is_closed_too() -> None:
    """It stands at its `yield`, and its `finally` runs there."""
    closed: list[bool] = []

    async def endless() -> AsyncGenerator[int, None]:
        try:
            while True:
                yield 1
        finally:
            await asyncio.sleep(0.1)
            closed.append(True)

    channel: Channel[int] = Channel(limit=2)
    async with run_pump(endless(), channel):
        assert await channel.take() == [1, 1]
        await asyncio.sleep(1)
    assert closed == [True]


async def test_one_that_will_not_end_is_left_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After its budget; the answer does not wait for it for ever."""
    released = asyncio.Event()

    async def stubborn() -> AsyncGenerator[int, None]:
        yield 1
        while not released.is_set():
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)

    channel: Channel[int] = Channel()
    began = now()
    with caplog.at_level(logging.WARNING, "riverrun.run"):
        async with run_pump(stubborn(), channel) as task:
            await channel.take()
            await channel.take(timeout=1)
    ended = now()
    # It is counted for as long: a process full of them starts no run.
    assert lingering_tasks == {task}
    live = LiveRuns(max_streams=1)
    with pytest.raises(BusyError):
        live.admit(starts_run=True)
    live.admit()
    released.set()
    task.cancel()
    await asyncio.wait({task})
    assert ended - began == pytest.approx(1 + CLEANUP_SECONDS + SECOND_CANCEL_SECONDS)
    assert "has not ended" in caplog.text
    assert not lingering_tasks


async def test_one_that_swallows_one_cancellation_is_told_once_more() -> None:
    """Retry loops that catch too much are common; twice is enough for most."""
    ended: list[bool] = []

    async def retry() -> AsyncGenerator[int, None]:
        try:
            for _ in range(2):
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    continue
            yield 1
            await asyncio.sleep(3600)
        finally:
            ended.append(True)

    channel: Channel[int] = Channel()
    async with run_pump(retry(), channel) as task:
        await channel.take(timeout=1)
    assert ended == [True]
    assert task.done()


async def test_no_cleanup_is_waited_for_past_the_given_time() -> None:
    """`until` is the loop's time: a deadline does not wait, and does not cut the rest short."""
    tidied: list[bool] = []

    async def slow() -> AsyncGenerator[int, None]:
        try:
            yield 1
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(1.5)
            tidied.append(True)

    channel: Channel[int] = Channel()
    began = now()
    async with run_pump(slow(), channel, until=lambda: began + 0.4) as task:
        await channel.take()
        await channel.take(timeout=0.1)
    assert now() - began == pytest.approx(0.4)
    await asyncio.wait({task})
    assert tidied == [True]


async def test_a_failure_while_closing_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    """After the end there is only the log."""

    async def clumsy() -> AsyncGenerator[int, None]:
        try:
            yield 1
            await asyncio.sleep(3600)
        finally:
            raise ValueError("while closing")

    channel: Channel[int] = Channel()
    async with run_pump(clumsy(), channel):
        await channel.take()
        await channel.take(timeout=1)
    assert "failed while it was being closed" in caplog.text
    assert "while closing" in caplog.text


async def test_one_that_goes_on_after_it_was_closed_is_only_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A `yield` in a `finally` is against the language's rules, not against the reader."""

    async def rude() -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            yield 2

    channel: Channel[int] = Channel(limit=1)
    async with run_pump(rude(), channel, handshake=lambda _item: True):
        assert await channel.take() == [1]
    assert "ignored GeneratorExit" in caplog.text
    caplog.clear()  # a traceback holds it, and it cannot be closed a second time


@pytest.mark.parametrize("leaving", [asyncio.CancelledError, SystemExit, GeneratorExit])
async def test_one_that_cancels_itself_or_exits_was_interrupted(
    leaving: type[BaseException],
) -> None:
    """It ends its own answer, with a code, and no other."""

    async def leave() -> AsyncGenerator[int, None]:
        yield 1
        raise leaving

    channel: Channel[int] = Channel()
    async with run_pump(leave(), channel):
        assert await channel.take() == [1]
        with pytest.raises(RiverrunError) as told:
            await channel.take()
    assert told.value.code == "interrupted"
    assert told.value.retryable


async def test_a_reader_that_is_cancelled_leaves_nothing_behind() -> None:
    """The reader's own task may be the one that is ended."""
    closed: list[bool] = []

    async def endless() -> AsyncGenerator[int, None]:
        try:
            while True:
                yield 1
                await asyncio.sleep(1)
        finally:
            closed.append(True)

    async def read() -> None:
        channel: Channel[int] = Channel()
        async with run_pump(endless(), channel):
            while await channel.take() is not None:
                pass

    reader = asyncio.create_task(read())
    await asyncio.sleep(5)
    reader.cancel()
    await asyncio.wait({reader})
    assert reader.cancelled()
    assert closed == [True]
