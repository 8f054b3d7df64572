"""A circuit breaker: after repeated failures a model gets no calls for a while.

One breaker for each model and process. The caller decides what counts as a failure.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_FAILURES = 5
"""So many failures in a row, with no success between, open the breaker."""

REST_SECONDS = 15.0
"""Seconds it stays open. Then one call is let through; its outcome decides."""


@dataclass(slots=True)
class Breaker:
    """Closed: calls go through. Open: none does. After `REST_SECONDS` one does.

    `clock` gives seconds.
    """

    clock: Callable[[], float] = time.monotonic
    _failures: int = field(default=0, init=False)
    _until: float = field(default=0.0, init=False)

    @property
    def wait(self) -> float:
        """Seconds until a call is let through; 0 when one may go now."""
        return max(0.0, self._until - self.clock())

    def try_enter(self) -> bool:
        """Begin a call if that is allowed, and return whether it is.

        The call that tries an open breaker keeps other calls out."""
        if self._failures < MAX_FAILURES:
            return True
        if self.wait:
            return False
        self._until = self.clock() + REST_SECONDS
        return True

    def hold(self, seconds: float) -> None:
        """Stay open for so long: the model said when to come back."""
        self._failures = max(self._failures, MAX_FAILURES)
        self._until = max(self._until, self.clock() + seconds)

    def record_success(self) -> None:
        """Close the breaker: the model has answered."""
        self._failures, self._until = 0, 0.0

    def record_failure(self) -> None:
        """Count a failure that is not the question's fault."""
        self._failures += 1
        if self._failures >= MAX_FAILURES:
            self._until = self.clock() + REST_SECONDS
