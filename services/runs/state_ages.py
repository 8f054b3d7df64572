"""What a process has seen unchanged, and for how long by its own monotonic clock.

Clocks of two machines differ and step, so no time that another process wrote down is ever compared
with one of this process. Whether something still moves is judged by watching it. Knows nothing of
runs.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

# How many things a process remembers to have looked at.
REMEMBERED = 10_000


class StateAges:
    """How long named things have kept their state. `monotonic` gives seconds that only grow."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._seen: OrderedDict[Hashable, tuple[object, float, float]] = OrderedDict()

    def measure_age(self, name: Hashable, state: object, *, max_gap: float = float("inf")) -> float:
        """For how many seconds `name` has been seen in `state`: 0 the first time.

        A time of more than `max_gap` seconds between two looks counts as `max_gap`: this process
        may have been frozen, and the one that it watches with it.
        """
        now = self._monotonic()
        before, age, looked_at = self._seen.pop(name, (None, 0.0, now))
        age = age + min(now - looked_at, max_gap) if before == state else 0.0
        self._seen[name] = (state, age, now)
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return age

    def forget(self, name: Hashable) -> None:
        """Begin anew with `name`."""
        self._seen.pop(name, None)
