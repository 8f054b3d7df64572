"""`python -m tests.fuzz [COUNT] [FIRST] [TARGET...]`: so many inputs of each, and how fast."""

import faulthandler
import sys
import time

from tests.fuzz.targets import TARGETS, run_target

STEP = 1000
# Of processor time for one input. The inputs are a few hundred bytes: a reader that takes so long
# over one takes hours over a document.
LIMIT_SECONDS = 2.0
# For a reader that does not come back at all, in C as well: all threads are shown, and it ends.
HUNG_SECONDS = 600.0


def main() -> None:
    """Run them one after the other; the first that fails ends it with its seed."""
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    names = [word for word in sys.argv[1:] if not word.isdigit()] or list(TARGETS)
    count, first = (*numbers, *(10_000, 0)[len(numbers) :])
    for name in names:
        begun, slowest, at = time.process_time(), 0.0, first
        for seed in range(first, first + count):
            if (seed - first) % STEP == 0:
                faulthandler.dump_traceback_later(HUNG_SECONDS, exit=True)
            before = time.process_time()
            run_target(name, seed, 1)
            if (took := time.process_time() - before) > slowest:
                slowest, at = took, seed
                if slowest > LIMIT_SECONDS:
                    raise AssertionError(f"target {name}, seed {seed}: {slowest:.1f} s")
        faulthandler.cancel_dump_traceback_later()
        used = time.process_time() - begun
        print(
            f"{name}: {count:,} inputs from {first:,}, {used / count * 1e6:.0f} us each, "
            f"at most {slowest * 1e3:.0f} ms (seed {at:,})",
            flush=True,
        )


if __name__ == "__main__":
    main()
