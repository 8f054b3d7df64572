"""From a thread that blocks to the loop that must not: what it has, as it comes.

For clients that have no asynchronous form: boto3's streams, and libraries that call back. It
knows nothing of what is read. One thread carries all of it, from the first item to the last: a
thread an item, as `asyncio.to_thread(next, ...)` would have it, costs four times as much and
cannot be left.
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

log = logging.getLogger(__name__)

T = TypeVar("T")

# How many items the thread may be ahead of the loop: the memory of a stream is bounded.
AHEAD = 256

# How long a thread that was cut may take to end, in seconds, before it is left to itself.
PATIENCE = 0.2


async def drawn(
    items: Callable[[], Generator[T, None, None]],
    threads: ThreadPoolExecutor,
    cut: Callable[[], None],
    *,
    ahead: int = AHEAD,
) -> AsyncGenerator[T, None]:
    """Yield what `items()` yields in one of `threads`, and raise what it raises.

    `cut` is called in the loop when the reader leaves early, and must make a blocked generator
    return or raise. The thread is then waited for, `PATIENCE` at most.
    """

    def each(give: Callable[[T], bool]) -> None:
        with closing(items()) as generator:
            for item in generator:
                if not give(item):
                    break

    async with aclosing(handed(each, threads, cut, ahead=ahead)) as given:
        async for item in given:
            yield item


async def handed(
    work: Callable[[Callable[[T], bool]], None],
    threads: ThreadPoolExecutor,
    cut: Callable[[], None],
    *,
    ahead: int = AHEAD,
) -> AsyncGenerator[T, None]:
    """Yield what `work` gives in one of `threads`, and raise what it raises.

    `work` is called with a function that takes an item and says whether anybody wants more. Once
    nobody does, `work` has to return soon; `cut` is then called too, as by `drawn`.
    """
    hand = _Hand[T](asyncio.get_running_loop(), ahead)
    task = threads.submit(hand.carry, work)
    try:
        while await hand.more():
            yield hand.take()
            if hand.ready:
                # Of many that have gathered, one a turn: the other streams are due as well.
                await asyncio.sleep(0)
    finally:
        hand.leave()
        if not task.cancel():
            if not hand.over:
                cut()
            with anyio.CancelScope(shield=True):
                await _ended(task)


async def _ended(task: "Future[None]") -> None:
    await asyncio.wait({asyncio.wrap_future(task)}, timeout=PATIENCE)
    if not task.done():
        log.warning("A thread has not ended %.1f s after it was cut.", PATIENCE)


class _Hand(Generic[T]):
    """What a thread hands to the loop: bounded, and woken once for each item."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ahead: int) -> None:
        self.over = False
        self._loop = loop
        self._room = threading.Semaphore(ahead)
        self._left = threading.Event()
        self._items: deque[T] = deque()
        self._failure: BaseException | None = None
        self._told = False
        self._wake: asyncio.Future[None] | None = None

    def carry(self, work: Callable[[Callable[[T], bool]], None]) -> None:
        """In the thread: hand over every item, then how it ended."""
        failure: BaseException | None = None
        try:
            work(self.give)
        except BaseException as error:  # noqa: BLE001 - raised again, in the loop
            failure = error
        self._failure = failure
        self.over = True
        self._call(self._rouse)

    def give(self, item: T) -> bool:
        """In the thread: hand over one item; False when nobody takes any more."""
        if not self._left.is_set():
            self._room.acquire()
        if self._left.is_set():
            return False
        self._items.append(item)
        if not self._told:
            self._told = True
            self._call(self._rouse)
        return True

    @property
    def ready(self) -> bool:
        """In the loop: whether an item waits already."""
        return bool(self._items)

    async def more(self) -> bool:
        """In the loop: wait for an item or the end, and say whether there is an item.

        Raises what the generator raised when everything before it has been taken.
        """
        while not self._items:
            # Said before the second look: what the thread adds from here on wakes the loop.
            self._told = False
            over = self.over
            if self._items:
                break
            if self._failure is not None:
                raise self._failure
            if over:
                return False
            self._wake = self._loop.create_future()
            try:
                await self._wake
            finally:
                self._wake = None
        return True

    def take(self) -> T:
        """In the loop: the next item; there is one."""
        self._room.release()
        return self._items.popleft()

    def leave(self) -> None:
        """In the loop: nobody takes any more."""
        self._left.set()
        self._room.release()
        self._items.clear()

    def _call(self, what: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:
            # The loop is closed: nobody waits for this any more.
            self._left.set()

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
