"""Measure how late the event loop wakes, while answers are worked on in this process.

A callback that computes, or a call that blocks, holds up every stream of the process at once; it
is seen in nothing else. Nothing is sampled while no answer is worked on: a function that is frozen
between two requests would be late by hours.
"""

import asyncio
from collections.abc import Callable

# Seconds between two samples: what blocks for longer is always seen.
INTERVAL = 0.1

# A process that was stopped from outside is no loop that was held up, in milliseconds.
_FROZEN = 60_000.0


class LoopLag:
    """Samples the lag of the running loop while at least one watch is open.

    `note` is called with each sample in milliseconds.
    """

    def __init__(self, note: Callable[[float], None]) -> None:
        self._note = note
        # The worst sample since each watch was opened.
        self._worst: dict[object, float] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def open_watch(self) -> object:
        """Begin to watch, from within the loop; return what ends it."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # The last loop is over, and what it would still have called with it.
            self._worst.clear()
            self._loop, self._timer = loop, None
        watch = object()
        self._worst[watch] = 0.0
        if self._timer is None:
            self._expect(loop)
        return watch

    def close_watch(self, watch: object) -> float:
        """End a watch; return the worst lag since it was opened, in milliseconds."""
        worst = self._worst.pop(watch, 0.0)
        if not self._worst and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return worst

    def _expect(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + INTERVAL
        self._timer = loop.call_at(due, self._sample, loop, due)

    def _sample(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        lag = max(0.0, (loop.time() - due) * 1000)
        if lag < _FROZEN:
            self._note(lag)
            for watch, worst in self._worst.items():
                self._worst[watch] = max(worst, lag)
        self._expect(loop)
