"""Time that passes only when every task waits for it, and then at once.

A test that waits fifteen minutes for a deadline takes no time, and the order of things is the
order of their timers, never that of the machine's load. Only for tests without sockets or
threads: while those are waited for, time would run away.
"""

import asyncio
import heapq
from typing import Any


class InstantLoop(asyncio.SelectorEventLoop):
    """An event loop that skips to its next timer instead of sleeping until then."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__()

    def time(self) -> float:
        """Seconds since the loop was made, none of which was waited for."""
        return self._now

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ARG002
        """Join the threads without a limit: from Python 3.12 it is 300 s of this clock, no time."""
        await super().shutdown_default_executor()

    def _run_once(self) -> None:
        loop: Any = self  # the two lists below are the standard loop's own
        timers = loop._scheduled
        while timers and timers[0]._cancelled:
            loop._timer_cancelled_count -= 1
            heapq.heappop(timers)._scheduled = False
        if timers and not loop._ready:
            self._now = max(self._now, timers[0]._when)
        super()._run_once()  # type: ignore[misc]  # private, and the one place where it sleeps


def instant() -> tuple[str, dict[str, Any]]:
    """What an `anyio_backend` fixture returns to run its tests on such a loop."""
    return "asyncio", {"loop_factory": InstantLoop}
