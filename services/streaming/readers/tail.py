"""Reading a run from its log, whoever writes it and wherever, and ending it from outside.

A reader who waits looks after the run it waits for: one that nobody writes any more is told of,
or ended, and never waited for. Knows nothing of HTTP and starts no producer.
"""

import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any

from pydantic_core import from_json, to_json

from ...runs import Entry, Run, SequenceConflictError, follow
from ...runs.log import LAST_SEQ
from ..app import App
from ..events import Event, PauseReason, payload, read_event
from ..question import load_question
from ..run.errors import PausedError
from ..run.log_writer import Entries, as_entries
from ..run.transcript import Transcript

# How often a waiting reader looks whether the producer still lives, in seconds.
PRODUCER_CHECK_INTERVAL = 2.0

# Clocks of two machines differ: a lease is over only when it is over by this much, in seconds.
CLOCK_SKEW = 2.0

# Ends of a run that is being written meanwhile: each attempt costs its producer one append.
APPEND_ATTEMPTS = 50


async def read_run(run: Run, after: int, app: App, *, will_resume: bool = False) -> Entries:
    """Every entry of `run` after `after`, as they come; None after a heartbeat of silence.

    Raises `PausedError` when what there is was read and the run waits for somebody to go on with
    it. A run whose producer is gone, that is whose lease is over, is such a run for a reader who
    `will_resume` to go on with it; for any other it is ended as `interrupted`, so that nobody waits
    for the rest.
    """
    heartbeat = app.settings.heartbeat
    tick = min(heartbeat, PRODUCER_CHECK_INTERVAL)
    silent = -tick  # the first time, nobody has waited yet
    async with aclosing(follow(app.log, run.id, after, heartbeat=tick)) as entries:
        async for entry in entries:
            if entry is not None:
                yield entry
                after, silent = entry.seq, min(silent, 0.0)
                continue
            await _check_producer(run, after, app, will_resume=will_resume)
            silent += tick
            if silent >= heartbeat:
                silent = 0.0
                yield None


async def _check_producer(run: Run, after: int, app: App, *, will_resume: bool) -> None:
    """End `run`, or raise `PausedError`, when nobody writes it any more. See `read_run`."""
    if app.find_task(run.id) is not None:
        return
    known = await app.log.find(run.id, run.owner)
    reason = pause_reason(known)
    orphaned = reason is None and time.time() > known.lease_until + CLOCK_SKEW
    if reason is None and not orphaned:
        return
    last = await app.log.read_last(run.id)
    if last is not None and last.seq > after:
        return  # there is more to read
    if reason is not None:
        raise PausedError(reason)
    if will_resume:
        raise PausedError("interrupted")
    await end_run(known, app, _end_interrupted, orphan=True)


def make_checkpoint(
    run: Run,
    reason: PauseReason,
    after: int,
    unsaid: Iterable[Event] = (),
    billing_state: Mapping[str, Any] | None = None,
) -> bytes:
    """What a producer leaves behind when it lets a run go, for `pause_reason` and whoever goes on.

    `unsaid` is what the run was asked not to say up to entry `after`: it is in no log, and so
    the log alone does not give the `billing_state` of the transcript.
    """
    kept = [from_json(payload(event)) for event in unsaid]
    left = {"epoch": run.epoch, "reason": reason, "after": after, "unsaid": kept}
    return to_json(left if billing_state is None else {**left, "account": billing_state})


def make_interrupted_checkpoint(known: Run, claimed: Run) -> bytes:
    """What whoever `claimed` a run leaves, who was ended before they said a word of their own.

    It is what `known`, the run before them, was left with.
    """
    left = from_json(known.checkpoint) if known.checkpoint else {}
    return to_json({**left, "epoch": claimed.epoch, "reason": "interrupted"})


def pause_reason(run: Run) -> PauseReason | None:
    """Why the last producer of `run` let it go; None when it did not, or somebody went on."""
    left = from_json(run.checkpoint) if run.checkpoint else {}
    return left["reason"] if left.get("epoch") == run.epoch else None


def is_claimable(run: Run) -> bool:
    """Whether nobody produces `run`, as far as its log knows: it may still have ended."""
    return pause_reason(run) is not None or time.time() > run.lease_until + CLOCK_SKEW


async def read_transcript(
    run: Run, app: App, upto: int = LAST_SEQ
) -> tuple[Transcript, Entry | None]:
    """What is known of a run up to entry `upto`, and the last entry of that.

    What a run was asked not to say is not in its log; the checkpoint has it, as of the entry
    that it was left after.
    """
    question = load_question(run.question) if run.question else None
    transcript = Transcript(
        run_id=run.id,
        started=run.created,
        session_id=question.session_id if question is not None else None,
        metadata=question.metadata if question is not None else {},
    )
    last: Entry | None = None
    left = from_json(run.checkpoint) if run.checkpoint else {}
    async for entry in _read_entries(run, app, upto):
        if left and entry.seq > left.get("after", LAST_SEQ):
            _restore(transcript, left)
            left = {}
        last = entry
        if not entry.terminal:
            transcript.note(read_event(entry.payload))
    _restore(transcript, left)
    return transcript, last


def _restore(transcript: Transcript, left: Mapping[str, Any]) -> None:
    for event in left.get("unsaid", ()):
        transcript.note(read_event(to_json(event)))
    if (billing_state := left.get("account")) is not None:
        transcript.restore_billing(billing_state)


async def _read_entries(run: Run, app: App, upto: int) -> AsyncGenerator[Entry, None]:
    after = 0
    while after < upto and (entries := await app.log.read(run.id, after)):
        for entry in entries:
            if entry.seq <= upto:
                yield entry
        after = entries[-1].seq


def _end_interrupted(transcript: Transcript, now: float) -> tuple[Event, ...]:
    return transcript.failed(PausedError("interrupted"), now)


async def end_run(
    run: Run,
    app: App,
    ending: Callable[[Transcript, float], tuple[Event, ...]],
    *,
    orphan: bool = False,
) -> None:
    """End a run from outside its producer: whoever appends the next entry first has the word.

    An `orphan` is ended only as long as it is one: not when somebody has gone on with it.
    """
    for _attempt in range(APPEND_ATTEMPTS):
        transcript, last = await read_transcript(run, app)
        if last is not None and last.terminal:
            return
        if orphan and not is_claimable(await app.log.find(run.id, run.owner)):
            return
        seq = last.seq if last is not None else 0
        try:
            await app.log.append(run.id, as_entries(seq, ending(transcript, time.time())))
        except SequenceConflictError:
            continue  # its producer was faster; try behind what it wrote
        return
