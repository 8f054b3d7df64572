"""Pass items from a thread that blocks to the event loop that must not, as they come.

For clients that have no asynchronous form: boto3's streams, and libraries that call back. It
knows nothing of the items. One thread passes all items of a stream: a thread for each item, as
`asyncio.to_thread(next, ...)` would use, costs four times as much and cannot be cancelled.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing, closing
from typing import Generic, TypeVar

import anyio

logger = logging.getLogger(__name__)

T = TypeVar("T")

# How many items the thread may be ahead of the loop: the memory of a stream is bounded.
MAX_AHEAD = 256

# How many items that came together are passed on in one turn of the event loop.
ITEMS_A_TURN = 8

# How long a cancelled thread may take to end, in seconds, before it is left to itself.
END_TIMEOUT = 0.2


async def iterate_in_thread(
    items: Callable[[], Generator[T, None, None]],
    threads: ThreadPoolExecutor,
    cancel: Callable[[], None],
    *,
    ahead: int = MAX_AHEAD,
) -> AsyncGenerator[T, None]:
    """Yield what `items()` yields in one of `threads`, and raise what it raises.

    `cancel` is called in the loop when the reader leaves early, and must make a blocked generator
    return or raise. The reader then waits for the thread, for `END_TIMEOUT` at most.
    """

    def put_each(put: Callable[[T], bool]) -> None:
        with closing(items()) as generator:
            for item in generator:
                if not put(item):
                    break

    async with aclosing(stream_from_thread(put_each, threads, cancel, ahead=ahead)) as received:
        async for item in received:
            yield item


async def stream_from_thread(
    work: Callable[[Callable[[T], bool]], None],
    threads: ThreadPoolExecutor,
    cancel: Callable[[], None],
    *,
    ahead: int = MAX_AHEAD,
) -> AsyncGenerator[T, None]:
    """Yield what `work` puts in one of `threads`, and raise what it raises.

    `work` gets a function that takes an item and returns whether the reader wants more. Once it
    returns False, `work` has to return soon; `cancel` is then called too, as by
    `iterate_in_thread`.
    """
    queue = _ThreadQueue[T](asyncio.get_running_loop(), ahead)
    task = threads.submit(queue.run, work)
    try:
        taken = 0
        while await queue.wait_for_item():
            yield queue.pop_item()
            taken += 1
            # What came together goes on together; then the other streams are due as well.
            if taken % ITEMS_A_TURN == 0 and queue.has_item:
                await asyncio.sleep(0)
    finally:
        queue.close()
        if not task.cancel():
            if not queue.has_ended:
                cancel()
            with anyio.CancelScope(shield=True):
                await _wait_for_end(task)


async def _wait_for_end(task: "Future[None]") -> None:
    await asyncio.wait({asyncio.wrap_future(task)}, timeout=END_TIMEOUT)
    if not task.done():
        logger.warning("A thread has not ended %.1f s after it was cancelled.", END_TIMEOUT)


class _ThreadQueue(Generic[T]):
    """A bounded queue from a thread to the event loop, which it wakes once for each item."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ahead: int) -> None:
        self.has_ended = False
        self._loop = loop
        self._slots = threading.Semaphore(ahead)
        self._closed = threading.Event()
        self._items: deque[T] = deque()
        self._failure: BaseException | None = None
        self._is_woken = False
        self._wake: asyncio.Future[None] | None = None

    def run(self, work: Callable[[Callable[[T], bool]], None]) -> None:
        """In the thread: put every item of `work`, then how it ended."""
        failure: BaseException | None = None
        try:
            work(self.put)
        except BaseException as error:  # noqa: BLE001 - raised again, in the loop
            failure = error
        self._failure = failure
        self.has_ended = True
        self._call_in_loop(self._wake_loop)

    def put(self, item: T) -> bool:
        """In the thread: put one item; return False when the reader has left."""
        if not self._closed.is_set():
            self._slots.acquire()
        if self._closed.is_set():
            return False
        self._items.append(item)
        if not self._is_woken:
            self._is_woken = True
            self._call_in_loop(self._wake_loop)
        return True

    @property
    def has_item(self) -> bool:
        """Whether an item waits already. In the loop."""
        return bool(self._items)

    async def wait_for_item(self) -> bool:
        """In the loop: wait for an item or the end, and return whether there is an item.

        Raises what `work` raised, once everything before it has been taken.
        """
        while not self._items:
            # Cleared before the second look: what the thread adds from here on wakes the loop.
            self._is_woken = False
            has_ended = self.has_ended
            if self._items:
                break
            if self._failure is not None:
                raise self._failure
            if has_ended:
                return False
            self._wake = self._loop.create_future()
            try:
                await self._wake
            finally:
                self._wake = None
        return True

    def pop_item(self) -> T:
        """In the loop: return the next item; there is one."""
        self._slots.release()
        return self._items.popleft()

    def close(self) -> None:
        """In the loop: the reader leaves; `put` returns False from now on."""
        self._closed.set()
        self._slots.release()
        self._items.clear()

    def _call_in_loop(self, what: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:
            # The loop is closed: no reader waits any more.
            self._closed.set()

    def _wake_loop(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
