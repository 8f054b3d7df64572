"""`python -m tests.fuzz [COUNT] [FIRST] [TARGET...]`: so many inputs of each, and how fast."""

import sys
import time

from tests.fuzz.targets import TARGETS, run_target

STEP = 1000


def main() -> None:
    """Run them one after the other; the first that fails ends it with its seed."""
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    names = [word for word in sys.argv[1:] if not word.isdigit()] or list(TARGETS)
    count, first = (*numbers, *(10_000, 0)[len(numbers) :])
    for name in names:
        begun, slowest = time.process_time(), 0.0
        for start in range(first, first + count, STEP):
            before = time.process_time()
            run_target(name, start, min(STEP, first + count - start))
            slowest = max(slowest, time.process_time() - before)
        used = time.process_time() - begun
        print(
            f"{name}: {count:,} inputs from {first:,}, {used / count * 1e6:.0f} us each, "
            f"at most {slowest / STEP * 1e3:.2f} ms in a thousand",
            flush=True,
        )


if __name__ == "__main__":
    main()
