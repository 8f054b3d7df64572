"""Read a run: from its task, where it is produced here, and from its log.

A waiting reader checks the producer of the run it waits for: of a run that has none any more it
is told, or it ends that run. Knows nothing of HTTP and starts no producer.
"""

import time
from contextlib import aclosing

from ...runs import Run, RunLog, follow
from ..events import Event
from ..run.checkpoint import CLOCK_SKEW, pause_reason
from ..run.errors import PausedError
from ..run.log_writer import Entries
from ..run.registry import LiveRuns
from ..run.resume import end_run
from ..run.task import RunTask
from ..run.transcript import Transcript

# How often a waiting reader looks whether the producer still lives, in seconds.
PRODUCER_CHECK_INTERVAL = 2.0


async def read_run(
    run: Run,
    after: int,
    log: RunLog,
    live: LiveRuns,
    *,
    heartbeat: float,
    will_resume: bool = False,
) -> Entries:
    """Every entry of `run` after `after`, as they come; None after a heartbeat of silence.

    Raises `PausedError` when what there is was read and the run waits for somebody to go on with
    it. A run whose producer is gone, that is whose lease is over, is such a run for a reader who
    `will_resume` to go on with it; for any other it is ended as `interrupted`, so that nobody waits
    for the rest.
    """
    tick = min(heartbeat, PRODUCER_CHECK_INTERVAL)
    silent = -tick  # the first time, nobody has waited yet
    async with aclosing(follow(log, run.id, after, heartbeat=tick)) as entries:
        async for entry in entries:
            if entry is not None:
                yield entry
                after, silent = entry.seq, min(silent, 0.0)
                continue
            await _check_producer(run, after, log, live, will_resume=will_resume)
            silent += tick
            if silent >= heartbeat:
                silent = 0.0
                yield None


async def _check_producer(
    run: Run, after: int, log: RunLog, live: LiveRuns, *, will_resume: bool
) -> None:
    """End `run`, or raise `PausedError`, when nobody writes it any more. See `read_run`."""
    if live.find_task(run.id) is not None:
        return
    known = await log.find(run.id, run.owner)
    reason = pause_reason(known)
    orphaned = reason is None and time.time() > known.lease_until + CLOCK_SKEW
    if reason is None and not orphaned:
        return
    last = await log.read_last(run.id)
    if last is not None and last.seq > after:
        return  # there is more to read
    if reason is not None:
        raise PausedError(reason)
    if will_resume:
        raise PausedError("interrupted")
    await end_run(known, log, _end_interrupted, orphan=True)


def _end_interrupted(transcript: Transcript, now: float) -> tuple[Event, ...]:
    return transcript.failed(PausedError("interrupted"), now)


async def read_live(
    task: RunTask,
    log: RunLog,
    live: LiveRuns,
    after: int = 0,
    *,
    heartbeat: float,
    will_resume: bool = False,
) -> Entries:
    """What a production says, for the reader who asked, who has read up to entry `after`.

    Its first `yield` only says that it has begun, so that its `finally` runs (`started`). None
    stands for a heartbeat of silence. It goes on with the log, as `read_run` does, where somebody
    else has gone on with the run, or this reader was too slow. Raises `PausedError` when the
    production is let go.
    """
    run, channel = task.run, task.channel
    try:
        yield None
        while after < task.after:
            for entry in await log.read(run.id, after, task.after - after):
                after = entry.seq
                yield entry
        while (batches := await channel.take(heartbeat)) is not None:
            if not batches:
                yield None
            for batch in batches:
                for entry in batch:
                    after = entry.seq
                    yield entry
                    if entry.terminal:
                        return
                batch.clear()
        async with aclosing(
            read_run(run, after, log, live, heartbeat=heartbeat, will_resume=will_resume)
        ) as rest:
            async for followed in rest:
                yield followed
    finally:
        channel.close()
