"""The steps of a run: what it does now, numbered, timed, and how far that is.

Knows nothing of what the steps do.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from ...progress import Progress
from ..events import Status, StepState


class Steps:
    """The steps of a run as status events, numbered and timed.

    `total` is how many there will be; `now` gives epoch seconds.
    """

    def __init__(self, total: int, *, now: Callable[[], float] = time.time) -> None:
        self._total = total
        self._now = now
        self._step = 0
        self._name = ""
        self._started = 0.0

    def begin(self, name: str, description: str) -> Status:
        """Start the next step."""
        self._step += 1
        self._name = name
        self._started = self._now()
        return self._status(description, "executing", 0.0)

    def report(self, progress: Progress) -> Status:
        """Report how far a service is within this step."""
        done = min(1.0, max(0.0, progress.fraction or 0.0))
        return self._status(progress.description, "executing", done, progress.data)

    def end(self, description: str, **data: Any) -> Status:
        """End the step."""
        return self._status(description, "completed", 1.0, data or None)

    def _status(
        self,
        description: str,
        state: StepState,
        done: float,
        data: Mapping[str, Any] | None = None,
    ) -> Status:
        now = self._now()
        return Status(
            step=self._step,
            name=self._name,
            description=description,
            status=state,
            timestamp=int(now * 1000),
            total_steps=self._total,
            progress=round((self._step - 1 + done) / self._total, 3),
            elapsed_ms=round((now - self._started) * 1000) if done else None,
            data=data,
        )
