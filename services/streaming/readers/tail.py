"""Read a run: from its task while the reader keeps up with one here, and from its log.

A waiting reader checks the producer of its run: a run that has none any more it leaves as paused,
or ends. Knows nothing of HTTP and starts no producer.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from ...runs import LEASE_SECONDS, Entry, Run, RunLog
from ...runs.lease import end_dead_lease
from ..events import Event
from ..question import read_producer_name
from ..run.channel import Channel
from ..run.checkpoint import read_pause_reason
from ..run.errors import PausedError
from ..run.log_writer import Entries
from ..run.registry import LiveRuns
from ..run.resume import end_run
from ..run.transcript import Transcript

# How often a waiting reader checks whether the producer still lives, in seconds.
PRODUCER_CHECK_INTERVAL = 0.5

# How many such checks a reader leaves a run that has no producer to those who may have it go on,
# before it ends the run.
CHECKS_FOR_OTHERS = 4

ResumeHere = Callable[[], Awaitable[bool]]
"""Makes a run go on here that has no producer, where it may. Returns whether it was tried."""


async def read_run(
    run: Run,
    after: int,
    log: RunLog,
    live: LiveRuns,
    *,
    heartbeat: float,
    is_told_paused: bool = False,
    resume_here: ResumeHere | None = None,
) -> Entries:
    """Yield every entry of `run` after `after`, as they come; None after a heartbeat of silence.

    The first `yield` only says that it has begun (`prime`). Raises `PausedError` when everything
    was read and the run waits to be resumed. A run without a producer, that is one whose lease is
    over, goes on here where there is a `resume_here`. Where there is none, or it has no time left,
    such a run waits for the next request of a reader that `is_told_paused`; for any other it is
    ended as `interrupted`, so that no reader waits for the rest, where no other reader has it go on
    within `CHECKS_FOR_OTHERS`.
    """

    subscriber = object()
    task = live.find_unpaused_task(run.id)
    was_here = task is not None

    async def check(after: int) -> None:
        # A run that was paused here is not resumed here at once: this process, or its time, ends.
        await _check_producer(
            run,
            after,
            log,
            live,
            is_told_paused=is_told_paused,
            resume_here=resume_here,
            was_here=was_here,
        )

    channel = task.subscribe(subscriber, after) if task is not None else None
    try:
        yield None
        if channel is None:
            last = await log.read_last(run.id)
            if last is not None and last.terminal and last.seq <= after:
                return
        while True:
            entries = (
                _read_channel(channel, after, heartbeat)
                if channel is not None
                else _read_log(run, after, log, live, heartbeat, check=check)
            )
            async with aclosing(entries):
                async for entry in entries:
                    yield entry
                    if entry is not None:
                        after = entry.seq
                        if entry.terminal:
                            return
            if (found := live.find_unpaused_task(run.id)) is not task and task is not None:
                task.unsubscribe(subscriber)
            task = found
            was_here = was_here or task is not None
            channel = task.subscribe(subscriber, after) if task is not None else None
    finally:
        if task is not None:
            task.unsubscribe(subscriber)


async def _read_channel(channel: Channel[list[Entry]], after: int, heartbeat: float) -> Entries:
    """Yield what a task here hands over, until the reader lags or the task is over."""
    while (batches := await channel.take(heartbeat)) is not None:
        if not batches:
            yield None
        for batch in batches:
            for entry in batch:
                if entry.seq > after:
                    yield entry
            batch.clear()


async def _read_log(
    run: Run,
    after: int,
    log: RunLog,
    live: LiveRuns,
    heartbeat: float,
    *,
    check: Callable[[int], Awaitable[None]],
) -> Entries:
    """Yield what the log has and gets, until the reader has caught up with a task here."""
    tick = min(heartbeat, PRODUCER_CHECK_INTERVAL)
    silent = 0.0
    is_silent = True
    while True:
        while entries := await log.read(run.id, after):
            for entry in entries:
                yield entry
                after, silent = entry.seq, 0.0
                if entry.terminal:
                    return
        task = live.find_unpaused_task(run.id)
        if task is not None and task.can_subscribe(after):
            return
        if is_silent:
            await check(after)
            task = live.find_unpaused_task(run.id)
            if task is not None and task.can_subscribe(after):
                return
        is_silent = not await log.wait(run.id, after, tick)
        if is_silent:
            silent += tick
            if silent >= heartbeat:
                silent = 0.0
                yield None


async def _check_producer(
    run: Run,
    after: int,
    log: RunLog,
    live: LiveRuns,
    *,
    is_told_paused: bool,
    resume_here: ResumeHere | None,
    was_here: bool,
) -> None:
    """Have `run` go on here, end it, or raise `PausedError`, when it has no producer any more."""
    if live.find_unpaused_task(run.id) is not None:
        return
    known, is_dead = await _look_at_producer(run, after, log, live)
    reason = read_pause_reason(known)
    if reason is None and not is_dead:
        return
    last = await log.read_last(run.id)
    if last is not None and last.seq > after:
        return  # there is more to read
    if resume_here is not None and not (reason and was_here) and await resume_here():
        return
    if reason is not None:
        raise PausedError(reason)
    # Nor does a reader that has no time left to have it go on end what its next request may have.
    if is_told_paused or resume_here is not None:
        raise PausedError("interrupted")
    free_for = log.state_ages.measure_age((run.id, "free"), (known.epoch, known.renewals))
    can_go_on = read_producer_name(known.question) is not None
    if can_go_on and free_for < CHECKS_FOR_OTHERS * PRODUCER_CHECK_INTERVAL:
        return  # one who may have it go on comes first, here or elsewhere
    await end_run(known, log, _end_interrupted, orphan=True)


async def _look_at_producer(run: Run, after: int, log: RunLog, live: LiveRuns) -> tuple[Run, bool]:
    """Return the run as it is now, and whether its producer is dead.

    Readers of one run here look once for all: a hundred of them cost no more than one.
    """
    now = asyncio.get_running_loop().time()
    if (seen := live.looks.get(run.id)) is not None:
        looked_at, known, is_dead = seen
        if now - looked_at < PRODUCER_CHECK_INTERVAL * 0.8:
            return known, is_dead
    known = await log.find(run.id, run.owner)
    is_dead = await end_dead_lease(log, known, after, lease=LEASE_SECONDS)
    live.looks[run.id] = (now, known, is_dead)
    return known, is_dead


def _end_interrupted(transcript: Transcript, now: float) -> tuple[Event, ...]:
    return transcript.make_failed_ending(PausedError("interrupted"), now)
