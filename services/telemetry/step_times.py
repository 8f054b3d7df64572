"""What the steps of answers took in this process lately, and what that says of the next one.

The time that is left is the median of what it was in earlier answers that had come as far: those
whose step took at least as long as this one has until now. Where none did, nothing is said.
"""

from collections import deque
from collections.abc import Sequence

# How many answers are looked back on, and how few are too few to say anything.
_ANSWERS = 64
_FEWEST = 3


class StepTimes:
    """The milliseconds of each step of the last answers, in the order of the steps."""

    def __init__(self) -> None:
        self._answers: deque[tuple[float, ...]] = deque(maxlen=_ANSWERS)
        # What was left of each answer when each of its steps began: every status asks.
        self._rests: deque[tuple[float, ...]] = deque(maxlen=_ANSWERS)

    def learn(self, milliseconds: Sequence[float]) -> None:
        """Keep what the steps of a whole answer took. Answers of other steps are forgotten."""
        if self._answers and len(self._answers[0]) != len(milliseconds):
            self._answers.clear()
            self._rests.clear()
        self._answers.append(tuple(milliseconds))
        self._rests.append(tuple(sum(milliseconds[step:]) for step in range(len(milliseconds))))

    def estimate_left(self, step: int, elapsed: float) -> int | None:
        """Estimate the milliseconds to the end of an answer, `elapsed` after `step` (from 0) began.

        None where too few answers tell.
        """
        left = [
            rest[step] - elapsed
            for answer, rest in zip(self._answers, self._rests, strict=True)
            if len(answer) > step and answer[step] >= elapsed
        ]
        return round(sorted(left)[len(left) // 2]) if len(left) >= _FEWEST else None

    def read_shares(self, count: int) -> tuple[float, ...]:
        """Return the part of an answer's time that each of its `count` steps takes."""
        known = [answer for answer in self._answers if len(answer) == count and sum(answer) > 0]
        if len(known) < _FEWEST:
            return (1 / count,) * count
        parts = [
            tuple(step / whole for step in answer) for answer in known for whole in [sum(answer)]
        ]
        return tuple(sum(column) / len(parts) for column in zip(*parts, strict=True))
