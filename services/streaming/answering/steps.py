"""The steps of a run: what it does now, numbered, timed, how far that is, and how long it takes.

Knows nothing of what the steps do.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...progress import Progress
from ...telemetry import StepTimes
from ..events import Status, StepState


class Steps:
    """The steps of a run as status events, numbered and timed.

    There will be `names`, in this order; `now` gives epoch seconds. `times` is what earlier
    answers took, from which `progress` and `etaMs` are made; without it every step counts alike
    and none has an `etaMs`. No status is behind `least` of the way.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        times: StepTimes | None = None,
        least: float = 0.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._names = names
        self._times = times
        self._least = least
        # One measure for the whole answer: what others learn meanwhile would set it back.
        self._shares = (times or StepTimes()).read_shares(len(names))
        self._now = now
        self._step = 0
        self._started = 0.0
        self._took: list[float] = []

    def begin(self, description: str) -> Status:
        """Start the next step."""
        self._step += 1
        self._started = self._now()
        return self._status(description, "executing", 0.0, now=self._started)

    def report(self, progress: Progress) -> Status:
        """Report how far a service is within this step."""
        done = min(1.0, max(0.0, progress.fraction or 0.0))
        return self._status(progress.description, "executing", done, progress.data)

    def end(self, description: str, **data: Any) -> Status:
        """End the step."""
        self._took.append((self._now() - self._started) * 1000)
        return self._status(description, "completed", 1.0, data or None)

    def learn(self) -> None:
        """Keep what the steps took, now that the answer is whole."""
        if self._times is not None:
            self._times.learn(self._took)

    def _status(
        self,
        description: str,
        state: StepState,
        done: float,
        data: Mapping[str, Any] | None = None,
        *,
        now: float | None = None,
    ) -> Status:
        now = self._now() if now is None else now
        elapsed = (now - self._started) * 1000
        before, share = sum(self._shares[: self._step - 1]), self._shares[self._step - 1]
        return Status(
            step=self._step,
            name=self._names[self._step - 1],
            description=description,
            status=state,
            timestamp=int(now * 1000),
            total_steps=len(self._names),
            progress=round(min(1.0, max(self._least, before + share * done)), 3),
            elapsed_ms=round(elapsed) if done else None,
            eta_ms=self._estimate_left(state, elapsed),
            data=data,
        )

    def _estimate_left(self, state: StepState, elapsed: float) -> int | None:
        if self._times is None:
            return None
        if state != "completed":
            return self._times.estimate_left(self._step - 1, elapsed)
        if self._step == len(self._names):
            return 0 if self._times.estimate_left(0, 0.0) is not None else None
        return self._times.estimate_left(self._step, 0.0)
