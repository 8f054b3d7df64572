"""Appending to a log that is busy: a live answer is worth more than one try.

Knows the log and no store.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence

from .errors import RunLogError, SequenceConflictError
from .log import Entry, RunLog

# For how long a live answer is kept from being lost while nothing can be written, in seconds, and
# how long the pauses between the tries are.
PATIENCE_SECONDS = 30.0
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 0.5


async def append_patiently(
    log: RunLog,
    run_id: str,
    entries: Sequence[Entry],
    *,
    may_wait: Callable[[], bool] = lambda: True,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Append `entries`, again and again while the log is busy and `may_wait` says so.

    Raises what `RunLog.append` raises; a try that was applied although it failed is no conflict.
    """
    end = monotonic() + PATIENCE_SECONDS
    pause = FIRST_PAUSE
    has_failed = False
    while True:
        try:
            await log.append(run_id, entries)
            return
        except SequenceConflictError:
            if has_failed and await _is_there(log, run_id, entries):
                return
            raise
        except RunLogError as error:
            if not error.retryable or monotonic() >= end or not may_wait():
                raise
            has_failed = True
        # By a random part: the writers that waited for one lock do not all come back at once.
        await sleep(pause * (0.5 + random.random() / 2))  # noqa: S311 - no secret
        pause = min(2 * pause, LONGEST_PAUSE)


async def _is_there(log: RunLog, run_id: str, entries: Sequence[Entry]) -> bool:
    there = await log.read(run_id, entries[0].seq - 1, len(entries))
    return list(there) == list(entries)
