"""`tests.functions.deployed` in a process whose wall clock can be set.

    python -m tests.functions.stepped

The file that `CLOCK` names holds the seconds that this process's clock is ahead; what measures time
with a monotonic clock hears nothing of it, as on a machine whose clock is set.
"""

import os
import runpy
import time
from collections.abc import Callable
from pathlib import Path


def step(real: Callable[[], float], place: Path) -> Callable[[], float]:
    """A clock that is ahead of `real` by what the file at `place` says."""

    def now() -> float:
        return real() + float(place.read_text() or 0)

    return now


if __name__ == "__main__":
    # Before anything of the product is imported, which takes the clock as a default.
    time.time = step(time.time, Path(os.environ["CLOCK"]))
    runpy.run_module("tests.functions.deployed", run_name="__main__")
