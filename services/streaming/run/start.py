"""Start to produce a run: the stages put together, from the producer's events into the log.

Knows the order of the stages; not how a run was asked for, nor which readers it has.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial

from ...runs import Run, RunLog
from ..deadlines import PRODUCER_MARGIN
from ..events import Notice, Reset, Sources, Token, UsageEvent
from ..question import Question
from .checkpoint import make_checkpoint
from .interruption import make_interruptible
from .log_writer import LOG_CHECK_INTERVAL, append_to_log
from .registry import LiveRuns
from .stages import Observer, Output, drop_kinds, observe, terminate
from .task import RunTask
from .transcript import Transcript

# How long tokens wait for more of them after the last ones went to a durable log, in seconds.
GATHER_SECONDS = 0.05

# Beyond so many runs in one process, an entry for each token is what holds the event loop up.
FEW_RUNS = 16


def start_run_task(
    run: Run,
    question: Question,
    output: AsyncGenerator[Output, None],
    log: RunLog,
    live: LiveRuns,
    *,
    observers: tuple[Observer, ...] = (),
    can_pause: bool = False,
    join_tokens: bool | None = None,
    transcript: Transcript | None = None,
    after: int = 0,
    on_end: "Callable[[RunTask], Awaitable[None]] | None" = None,
) -> RunTask:
    """Start to write the `output` of a producer into the log of `run`, after entry `after`.

    `transcript` is what a resumed run said before. A run that `can_pause` is left for another
    process where it would otherwise end because this process, or its time, does. With
    `join_tokens`, neighbouring tokens become one entry; where it is None, those that came together
    do, while more than `FEW_RUNS` are produced here.
    """
    transcript = transcript or Transcript(
        run_id=run.id,
        started=run.created,
        session_id=question.session_id,
        metadata=question.metadata,
    )
    task = RunTask(run, transcript, log, live, after=after, can_pause=can_pause, on_end=on_end)
    batches = make_interruptible(
        output,
        stop=task.stop_asked,
        seconds_left=question.seconds_left,
        heartbeat=LOG_CHECK_INTERVAL,
        find_pace=lambda: GATHER_SECONDS if may_join() else 0.0,
    )
    events = terminate(batches, transcript, can_pause=can_pause)
    unwanted = _unwanted_kinds(question)
    if unwanted:
        events = drop_kinds(events, unwanted, heartbeat=LOG_CHECK_INTERVAL)
    if observers:
        events = observe(events, *observers)
    seconds_left = math.inf if question.seconds_left is None else question.seconds_left
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds_left - PRODUCER_MARGIN

    def may_wait() -> bool:
        # A stop was promised to who asked for it: its ending is worth the wait as well.
        has_to_go = task.stop_asked.done() and task.stop_asked.result() is not None
        return not has_to_go and not live.is_closing and loop.time() < deadline

    def may_join() -> bool:
        return len(live.tasks) > FEW_RUNS if join_tokens is None else join_tokens

    leave_checkpoint = partial(make_checkpoint, run, transcript, unwanted) if can_pause else None
    task.start(
        append_to_log(
            events,
            run,
            log,
            transcript,
            after=after,
            join=may_join,
            make_checkpoint=leave_checkpoint,
            may_wait=may_wait,
            settle_later=live.settle_later,
        ),
        question.seconds_left,
    )
    return task


def _unwanted_kinds(question: Question) -> frozenset[type]:
    # Left out where they are made, not where they are read: a reader's ids have no gaps.
    unwanted: set[type] = set()
    if "tokens" not in question.include:
        unwanted |= {Token, Reset, Notice}
    if "sources" not in question.include:
        unwanted.add(Sources)
    if "usage" not in question.include:
        unwanted.add(UsageEvent)
    return frozenset(unwanted)
