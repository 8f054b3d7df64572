"""Readers of this process, each waiting for an entry after the one it has.

An append made here wakes them at once. One made by another process is found by looking, soon at
first and then less and less often. Knows no store: how to look is the store's business.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

# How long a reader waits before it looks what other processes wrote, in seconds: at first, and
# at most. A live answer is followed closely; an idle one costs two looks a second.
FIRST_LOOK = 0.05
LONGEST_LOOK = 0.5

Woken = asyncio.Future[None]


class Notifier:
    """Which readers wait for which run. For one event loop."""

    def __init__(self) -> None:
        self._subscriptions: dict[str, set[tuple[int, Woken]]] = {}
        self._looked: dict[str, float] = {}

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._subscriptions

    def list_runs(self) -> list[str]:
        """The runs that have waiting readers."""
        return list(self._subscriptions)

    def wake(self, run_id: str, last: int) -> None:
        """Wake the readers of `run_id` whose position is passed: its newest entry is now `last`."""
        for after, woken in self._subscriptions.get(run_id, ()):
            if last > after and not woken.done():
                woken.set_result(None)

    @contextmanager
    def subscribe(self, run_id: str, after: int) -> Iterator[Woken]:
        """A future that is done when an entry after `after` is there.

        Subscribe first and look at the store then: so no append falls in between.
        """
        woken: Woken = asyncio.get_running_loop().create_future()
        place = (after, woken)
        self._subscriptions.setdefault(run_id, set()).add(place)
        try:
            yield woken
        finally:
            others = self._subscriptions[run_id]
            others.discard(place)
            if not others:
                del self._subscriptions[run_id]
                self._looked.pop(run_id, None)

    async def wait_for(
        self,
        woken: Woken,
        timeout: float,
        look: Callable[[], Awaitable[None]] | None = None,
    ) -> bool:
        """Wait for `woken`, at most `timeout` seconds. False when it was not.

        `look` asks the store what other processes wrote, and calls `wake`.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        pause = FIRST_LOOK
        while not woken.done():
            left = end - loop.time()
            if left <= 0:
                return False
            await asyncio.wait({woken}, timeout=left if look is None else min(left, pause))
            if look is not None and not woken.done():
                pause = min(pause * 1.5, LONGEST_LOOK)
                await look()
        return True

    def is_due(self, what: str) -> bool:
        """Whether it is time to look at `what`: many readers of one thing look once for all."""
        now = asyncio.get_running_loop().time()
        if now - self._looked.get(what, -LONGEST_LOOK) < FIRST_LOOK * 0.9:
            return False
        self._looked[what] = now
        return True
