"""What a thread yields comes out in the loop: whole, in order, bounded; a reader may leave."""

import asyncio
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial

import pytest

from services.threads import ITEMS_A_TURN, iterate_in_thread

pytestmark = pytest.mark.anyio


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Two threads."""
    with ThreadPoolExecutor(2) as pool:
        yield pool


def never_cancel() -> None:
    raise AssertionError("nothing had to be cut")


async def test_items_come_in_order_and_the_thread_is_gone(threads: ThreadPoolExecutor) -> None:
    """Thousands of them, far more than may wait at once."""

    def items() -> Generator[int, None, None]:
        yield from range(5000)

    assert [
        item async for item in iterate_in_thread(items, threads, never_cancel, ahead=7)
    ] == list(range(5000))


async def test_an_error_comes_after_everything_before_it(threads: ThreadPoolExecutor) -> None:
    """And it is the same error."""
    error = OSError("broken")

    def items() -> Generator[int, None, None]:
        yield 1
        yield 2
        raise error

    stream = iterate_in_thread(items, threads, never_cancel)
    assert [await anext(stream), await anext(stream)] == [1, 2]
    with pytest.raises(OSError, match="broken") as caught:
        await anext(stream)
    assert caught.value is error


async def test_a_thread_is_never_far_ahead(threads: ThreadPoolExecutor) -> None:
    """A slow reader slows it: what waits is bounded."""
    made: list[int] = []

    def items() -> Generator[int, None, None]:
        for number in range(100):
            made.append(number)
            yield number

    async with aclosing(iterate_in_thread(items, threads, lambda: None, ahead=5)) as stream:
        for number in range(20):
            assert await anext(stream) == number
            # As many as may wait, the one that waits for room, and the one just taken.
            assert len(made) <= number + 1 + 5 + 1
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("seen", [0, 1])
async def test_a_reader_that_leaves_cancels_a_thread_that_blocks(
    threads: ThreadPoolExecutor, seen: int
) -> None:
    """Before the first item and after it; then its `finally` has run."""
    cut, closed = threading.Event(), threading.Event()

    def items() -> Generator[int, None, None]:
        try:
            yield from range(seen)
            cut.wait(60)
        finally:
            closed.set()

    async def read() -> None:
        async with aclosing(iterate_in_thread(items, threads, cut.set)) as stream:
            async for _ in stream:
                waiting.set_result(None) if not waiting.done() else None

    waiting = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(read())
    await (waiting if seen else asyncio.sleep(0.02))
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert closed.is_set()


async def test_a_reader_that_leaves_frees_a_thread_that_waits_for_room(
    threads: ThreadPoolExecutor,
) -> None:
    """No reader takes any more, so the thread must not wait for one."""
    closed = threading.Event()

    def items() -> Generator[int, None, None]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    async with aclosing(iterate_in_thread(items, threads, lambda: None, ahead=2)) as stream:
        await anext(stream)
    assert closed.is_set()


async def test_a_stream_that_waits_for_a_thread_can_be_left() -> None:
    """It has begun nothing, so there is nothing to cancel."""
    release = threading.Event()

    def block() -> Generator[int, None, None]:
        yield 0
        release.wait(60)

    def never() -> Generator[int, None, None]:
        yield from [1 // 0]

    with ThreadPoolExecutor(1) as pool:
        async with aclosing(iterate_in_thread(block, pool, release.set)) as first:
            await anext(first)
            task = asyncio.create_task(
                anext(aiter(iterate_in_thread(never, pool, never_cancel)), None)
            )
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.wait({task})


async def test_a_thread_that_cannot_be_cancelled_is_left_to_itself(
    threads: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    """The loop does not wait for it for ever; the logger says so."""
    release = threading.Event()

    def items() -> Generator[int, None, None]:
        yield 0
        release.wait(60)

    async with aclosing(iterate_in_thread(items, threads, lambda: None)) as stream:
        await anext(stream)
    assert "has not ended" in caplog.text
    release.set()


async def test_many_streams_at_once_do_not_mix() -> None:
    """Each reader gets its own."""

    def items(name: int) -> Generator[tuple[int, int], None, None]:
        yield from ((name, number) for number in range(50))

    async def read(name: int) -> None:
        seen = [item async for item in iterate_in_thread(partial(items, name), pool, never_cancel)]
        assert seen == [(name, number) for number in range(50)]

    with ThreadPoolExecutor(32) as pool:
        await asyncio.gather(*map(read, range(64)))


async def test_many_that_have_gathered_leave_room_for_others(threads: ThreadPoolExecutor) -> None:
    """A few a turn of the loop: a stream that was behind does not hold up the rest."""
    many = 10 * ITEMS_A_TURN
    made = threading.Event()

    def items() -> Generator[int, None, None]:
        yield from range(many)
        made.set()

    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with aclosing(iterate_in_thread(items, threads, never_cancel)) as stream:
        await anext(stream)
        await asyncio.to_thread(made.wait)
        other = asyncio.create_task(count())
        assert [item async for item in stream] == list(range(1, many))
        other.cancel()
    assert turns >= 9


async def test_what_comes_while_the_loop_is_busy_wakes_it_once(
    threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wake-up is a system call and a change of threads; fifty items need one, and their end."""
    made = threading.Event()
    wakes = 0
    loop = asyncio.get_running_loop()
    wake = loop.call_soon_threadsafe

    def count_wakes(what: Callable[..., object], *args: object, **more: object) -> object:
        nonlocal wakes
        wakes += getattr(what, "__name__", "") == "_rouse"
        return wake(what, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "call_soon_threadsafe", count_wakes)

    def items() -> Generator[int, None, None]:
        yield from range(50)
        made.set()

    stream = iterate_in_thread(items, threads, never_cancel)
    first = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    # The loop stands still until everything has been handed over.
    assert made.wait(60)
    assert [await first, *[item async for item in stream]] == list(range(50))
    assert wakes <= 2
