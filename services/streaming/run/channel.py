"""A bounded hand-over between one task that produces and one reader that consumes.

The only queue of the product. It exists because a generator that is waiting on a model cannot
also watch the clock, a stop request and the reader. One asyncio loop, no threads.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from contextvars import Context
from typing import Generic, TypeVar

import anyio

from ...errors import RiverrunError
from ..deadlines import CLEANUP_SECONDS, SECOND_CANCEL_SECONDS

logger = logging.getLogger("riverrun.run")

# Producers that were cancelled and have not ended. Each still holds what it held, so it takes the
# place of a stream (`LiveRuns.admit`) for as long.
lingering_tasks: "set[asyncio.Task[None]]" = set()

T = TypeVar("T")


class Channel(Generic[T]):
    """Items in order, whose costs add up to about `limit` at most while they wait.

    A full channel makes `put` wait, so a slow reader slows its producer. `take` gives all that
    is waiting at once, so a burst costs one wake-up.
    """

    def __init__(self, limit: int = 64, cost: Callable[[T], int] = lambda _item: 1) -> None:
        self._limit = limit
        self._cost = cost
        self._items: deque[T] = deque()
        self._held = 0
        self._closed = False
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._reader_waits = False
        self._enough = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be taken."""
        return not self._items

    async def put(self, item: T) -> bool:
        """Hand over an item; wait while the channel is full. Return False when it is closed."""
        while self._held >= self._limit and not self._closed:
            await self._wait_room()
        return self.put_now(item)

    def put_now(self, item: T) -> bool:
        """Hand over an item if there is room, and return whether there was. Never waits."""
        if self._closed or self._held >= self._limit:
            return False
        self._items.append(item)
        self._held += self._cost(item)
        if self._reader is not None and self._held >= self._enough:
            _resolve(self._reader)
        return True

    async def wait_taken(self) -> None:
        """Wait until the reader has dealt with everything put so far and asks for more."""
        while (self._items or not self._reader_waits) and not self._closed:
            await self._wait_room()

    def close(self, error: Exception | None = None) -> bool:
        """Take no more items. The reader gets what is waiting, then `error` if there is one.

        Returns False when the channel was closed before: then the reader never gets `error`.
        """
        if self._closed:
            return False
        self._closed = True
        self._error = error
        for waiting in (self._reader, self._writer):
            if waiting is not None:
                _resolve(waiting)
        return True

    async def take(self, timeout: float | None = None) -> list[T] | None:
        """Return all items that are waiting; an empty list after `timeout` seconds of none.

        None when the channel is closed and empty. Raises the error it was closed with.
        """
        if not self._items and not self._closed:
            await self._wait_item(timeout)
        if self._items:
            items = list(self._items)
            self._items.clear()
            self._held = 0
            self._wake_writer()
            return items
        if not self._closed:
            return []
        if self._error is not None:
            raise self._error
        return None

    async def gather(self, seconds: float, enough: int) -> None:
        """Let items gather for `seconds`, or until their cost is `enough` or no more come.

        What comes meanwhile wakes nothing: that is what the reader waits for.
        """
        if self._held < enough and not self._closed:
            self._enough = enough
            try:
                await self._wait_item(seconds, asks=False)
            finally:
                self._enough = 0

    async def _wait_item(self, timeout: float | None, *, asks: bool = True) -> None:
        loop = asyncio.get_running_loop()
        self._reader = reader = loop.create_future()
        timer = loop.call_later(timeout, _resolve, reader) if timeout is not None else None
        self._reader_waits = asks
        if asks:
            self._wake_writer()
        try:
            await reader
        finally:
            self._reader_waits = False
            self._reader = None
            if timer is not None:
                timer.cancel()

    async def _wait_room(self) -> None:
        self._writer = asyncio.get_running_loop().create_future()
        try:
            await self._writer
        finally:
            self._writer = None

    def _wake_writer(self) -> None:
        if self._writer is not None:
            _resolve(self._writer)


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


@asynccontextmanager
async def run_pump(
    items: AsyncGenerator[T, None],
    channel: Channel[T],
    *,
    handshake: Callable[[T], bool] = lambda _item: False,
    until: Callable[[], float | None] = lambda: None,
    context: Context | None = None,
) -> AsyncIterator["asyncio.Task[None]"]:
    """Run `items` into `channel` in a task of its own, in `context`, while the block lasts.

    After an item for which `handshake` is true, the generator goes on only when the reader has
    dealt with it. An exception of the generator is raised where the channel is read. On the way
    out the generator has been closed, its `finally` run, or a warning logged after
    `CLEANUP_SECONDS` seconds, or at the loop's time that `until` gives if that comes first.
    """
    task = asyncio.create_task(_pump(items, channel, handshake), context=context)
    try:
        yield task
    finally:
        channel.close()
        with anyio.CancelScope(shield=True):
            await _wait_ended(task, until())


async def _wait_ended(task: "asyncio.Task[None]", until: float | None) -> None:
    # Cancelled once, however many callers ask for it: a second time would cut short the `finally`
    # that the first one set off.
    if not task.cancelling():
        task.cancel()
    left = CLEANUP_SECONDS
    if until is not None:
        left = min(left, max(0.0, until - asyncio.get_running_loop().time()))
    await asyncio.wait({task}, timeout=left)
    if not task.done() and left == CLEANUP_SECONDS:
        task.cancel()
        await asyncio.wait({task}, timeout=SECOND_CANCEL_SECONDS)
    if not task.done():
        lingering_tasks.add(task)
        task.add_done_callback(lingering_tasks.discard)
        logger.warning(
            "A producer has not ended %.1f s after it was cancelled; %d linger now.",
            left,
            len(lingering_tasks),
        )
    elif not task.cancelled():
        task.exception()  # read, so that asyncio does not report it a second time


async def _pump(
    items: AsyncGenerator[T, None], channel: Channel[T], handshake: Callable[[T], bool]
) -> None:
    try:
        async with aclosing(items):
            async for item in items:
                if not channel.put_now(item) and not await channel.put(item):
                    break
                if handshake(item):
                    await channel.wait_taken()
        channel.close()
    except (Exception, SystemExit) as error:
        # Raised again, where the reader waits. A producer that exits ends its own answer, not
        # the process with all other answers.
        failure = error if isinstance(error, Exception) else _interrupted_error(error)
        if not channel.close(failure):
            logger.warning("A producer failed while it was being closed.", exc_info=error)
    except BaseException as error:
        # Reaches the reader only when no caller here asked for it: a producer that cancels itself.
        channel.close(_interrupted_error(error))
        raise


def _interrupted_error(cause: BaseException) -> RiverrunError:
    error = RiverrunError("The answer was interrupted.", code="interrupted", retryable=True)
    error.__cause__ = cause
    return error
