"""Whether a model that failed again and again is asked at all, for a while.

One breaker a model and process. It counts; what a failure is, others say.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

FAILURES = 5
"""So many failures in a row, with no success between, open it."""

REST = 15.0
"""Seconds it stays open. Then one call is let through, and decides."""


@dataclass(slots=True)
class Breaker:
    """Closed: calls go through. Open: none does. After `REST` seconds: one does.

    `clock` gives seconds.
    """

    clock: Callable[[], float] = time.monotonic
    _failures: int = field(default=0, init=False)
    _until: float = field(default=0.0, init=False)

    @property
    def wait(self) -> float:
        """Seconds until a call is let through; 0 when one is now."""
        return max(0.0, self._until - self.clock())

    def enter(self) -> bool:
        """Whether a call may begin. The one that tries an open breaker keeps others out."""
        if self._failures < FAILURES:
            return True
        if self.wait:
            return False
        self._until = self.clock() + REST
        return True

    def succeeded(self) -> None:
        """The model has said something."""
        self._failures, self._until = 0, 0.0

    def failed(self) -> None:
        """It has failed, in a way that says nothing about the question."""
        self._failures += 1
        if self._failures >= FAILURES:
            self._until = self.clock() + REST
