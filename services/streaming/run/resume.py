"""Act on a run from outside its producer: take it over under the same numbers, or end it.

The process that takes a run over claims it, reads what it said, and appends a status before
anything is paid for. That entry is the fence: an old producer that was thought dead finds its
next number taken, writes no more and closes its provider. Knows nothing of how the rest of the
answer is made.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import anyio

from ...runs import Entry, Run, RunLog, RunLogError, SequenceConflictError
from ..event_json import payload
from ..events import RESUMED_KIND, Event, Status
from ..question import Question, ReaderTerms, load_question, read_producer_name
from .checkpoint import hand_back_checkpoint, is_claimable, read_transcript
from .errors import DeadlineError
from .log_writer import as_entries, release_lease
from .registry import LiveRuns
from .transcript import Transcript

logger = logging.getLogger("riverrun.run")

# Appends to a run that another process writes meanwhile: each lost one means that it wrote again.
APPEND_ATTEMPTS = 50

# How often in a row a run may be resumed without one more word of its answer.
IDLE_LIMIT = 3

RESUMED_DESCRIPTION = "Going on with the answer"


@dataclass(frozen=True, slots=True)
class ResumedRun:
    """A run that this process produces now: what it said up to entry `after`, and its question."""

    run: Run
    question: Question
    transcript: Transcript
    after: int


def is_producer_of(run: Run, name: str | None) -> bool:
    """Return whether the producer of that `name` can go on with `run`; None names no producer."""
    return name is not None and read_producer_name(run.question) == name


async def take_over_run(
    run: Run, log: RunLog, live: LiveRuns, reader: ReaderTerms, *, max_seconds: float
) -> ResumedRun | None:
    """Become the producer of `run`, if it has none.

    None when it has one, when another process was faster, or when the run is over: then it is
    only to be read. A run that is resumed again and again and says nothing more is ended instead,
    as is one that began more than `max_seconds` ago. After a failure here the run can be claimed
    again at once.
    """
    if live.find_unpaused_task(run.id) is not None:
        return None
    known = await log.find(run.id, run.owner)
    last = await log.read_last(run.id)
    if (last is not None and last.terminal) or not is_claimable(known):
        return None
    try:
        claimed = await log.claim(known)
    except SequenceConflictError:
        return None
    try:
        return await _append_fence(claimed, log, reader, max_seconds)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await hand_back_run(claimed, log, live)
        raise


async def hand_back_run(claimed: Run, log: RunLog, live: LiveRuns) -> None:
    """Let a run go that this process claimed, and has to leave before a word of its own."""
    await release_lease(claimed, log, hand_back_checkpoint(claimed), live.settle_later)


async def stop_run(run: Run, log: RunLog, live: LiveRuns) -> None:
    """Stop a run, wherever it is produced, and keep what it said. Again changes nothing."""
    task = live.find_unpaused_task(run.id)
    if task is not None:
        task.stop()
    else:
        await end_run(run, log, Transcript.make_stopped_ending)


async def end_run(
    run: Run,
    log: RunLog,
    ending: Callable[[Transcript, float], tuple[Event, ...]],
    *,
    orphan: bool = False,
) -> None:
    """End a run from outside its producer: the process that appends the next entry first decides.

    An `orphan` is ended only while it has no producer: not when another process has resumed it.
    Raises `RunLogError` when the run's producer was faster each time: the run goes on.
    """
    for _attempt in range(APPEND_ATTEMPTS):
        transcript, last = await read_transcript(run, log)
        if last is not None and last.terminal:
            return
        if orphan and not is_claimable(await log.find(run.id, run.owner)):
            return
        seq = last.seq if last is not None else 0
        try:
            await log.append(run.id, as_entries(seq, ending(transcript, time.time())))
        except SequenceConflictError:
            continue  # its producer was faster; try behind what it wrote
        return
    raise RunLogError("The run could not be ended.", hint="Try it again in a moment.")


async def _append_fence(
    run: Run, log: RunLog, reader: ReaderTerms, max_seconds: float
) -> ResumedRun | None:
    for _attempt in range(APPEND_ATTEMPTS):
        transcript, last = await read_transcript(run, log)
        if last is not None and last.terminal:
            return None
        after = last.seq if last is not None else 0
        now = time.time()
        is_over = _is_over(transcript, now, max_seconds)
        status = _make_resumed_status(transcript, now)
        fence = [Entry(after + 1, RESUMED_KIND, payload(status))]
        entries = (
            as_entries(after, transcript.make_failed_ending(DeadlineError(), now))
            if is_over
            else fence
        )
        try:
            await log.append(run.id, entries)
        except SequenceConflictError:
            # The old producer appended once more, or another process ended the run: read again.
            # Or another process claimed it after this one, because this one took so long.
            if (await log.find(run.id, run.owner)).epoch != run.epoch:
                return None
            continue
        if is_over:
            return None
        transcript.note_resumed(status)
        logger.info("Run %s goes on after entry %d.", run.id, after)
        question = load_question(
            run.question,
            owner=run.owner,
            streaming=reader.resume,  # only a stream can be read on from where it broke
            resume=reader.resume,
            seconds_left=reader.seconds_left,
            response_seconds_left=reader.response_seconds_left,
            measured_at=reader.measured_at,
            so_far=transcript.text,
            earlier=transcript.take_earlier(),
        )
        return ResumedRun(run, question, transcript, entries[-1].seq)
    return None


def _is_over(transcript: Transcript, now: float, max_seconds: float) -> bool:
    idle_resumes = transcript.idle_resumes if len(transcript.text) == transcript.resumed_at else 0
    return idle_resumes >= IDLE_LIMIT or now - transcript.started > max_seconds


def _make_resumed_status(transcript: Transcript, now: float) -> Status:
    last = transcript.last_step or Status(step=1, description="", status="executing")
    return Status(
        step=last.step,
        name=last.name,
        description=RESUMED_DESCRIPTION,
        status="executing",
        timestamp=int(now * 1000),
        total_steps=last.total_steps,
        progress=last.progress,
    )
