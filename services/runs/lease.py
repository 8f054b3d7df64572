"""Whether the producer of a run still lives, judged without comparing clocks.

A producer gives a sign of life at least every quarter of a lease: an entry, or a renewal where it
has nothing to say. A reader that sees none for half a lease doubts the run, which is a write into
the log: a store that takes that write would have taken the producer's. A producer that lives
answers by renewing; one that does not for another half is dead, and its lease is ended, so that any
process may claim the run at once. A doubt from before the newest entry is no question that was left
without an answer: then it takes a whole lease of silence. A frozen machine wakes its readers and
its producers together, and a store that was locked frees both: the doubt gives each producer the
time to answer.

Knows the log and no store.
"""

import logging

from .errors import RunLogError, SequenceConflictError
from .log import LEASE_SECONDS, Run, RunLog

logger = logging.getLogger("riverrun.run")

# How often a producer gives a sign of life, and how long one look may last, in parts of a lease.
RENEWALS_PER_LEASE = 4


async def end_dead_lease(log: RunLog, run: Run, last: int, *, lease: float = LEASE_SECONDS) -> bool:
    """Look once at `run`, just read from `log`, its newest entry `last`. True when its lease ended.

    Look again every `lease / 8` or so: what is judged is what changes between the looks.
    """
    if run.is_free:
        return True
    state = (run.epoch, run.renewals, run.is_doubted)
    gap = lease / RENEWALS_PER_LEASE
    age = log.state_ages.measure_age(run.id, (*state, last), max_gap=gap)
    # How long the doubt was seen, whatever came after it: not every store ends it with an entry.
    doubted_for = log.state_ages.measure_age((run.id, "doubt"), state, max_gap=gap)
    is_stale = run.is_doubted and doubted_for - age > lease / 100
    if age < (lease if is_stale else lease / 2):
        return False
    try:
        if run.is_doubted:
            await log.expire(run)
            logger.info("Run %s: its producer is gone.", run.id)
            return True
        await log.doubt(run)
        # Its time to answer begins now, not with the next look.
        log.state_ages.measure_age(run.id, (run.epoch, run.renewals, True, last))
        log.state_ages.measure_age((run.id, "doubt"), (run.epoch, run.renewals, True))
    except SequenceConflictError:
        pass  # it lives, or another process was faster
    except RunLogError:
        # While nothing can be written here, its producer cannot give a sign of life either.
        log.state_ages.forget(run.id)
        log.state_ages.forget((run.id, "doubt"))
    return False
