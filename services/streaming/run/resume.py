"""Going on with a run that its last producer left unfinished, under the same numbers.

Whoever goes on claims the run, reads what it said, and appends a status of their own before
anything is paid for. That entry is the fence: an old producer that was thought dead finds its
next number taken, writes no more and closes its provider. Says nothing of how the rest is made.
"""

import logging
import time
from dataclasses import dataclass, replace

import anyio

from ...runs import Run, SequenceConflictError
from ..app import App
from ..events import Event, Status
from ..question import Question, Reader, load_question, read_producer_name
from ..readers.tail import (
    APPEND_ATTEMPTS,
    is_claimable,
    make_interrupted_checkpoint,
    read_transcript,
)
from .errors import DeadlineError
from .log_writer import as_entries, release_lease
from .transcript import RESUMED_AT, Transcript

logger = logging.getLogger("riverrun.run")

# How often in a row a run may be gone on with without a word more of its answer.
IDLE_LIMIT = 3

RESUMED_DESCRIPTION = "Going on with the answer"


@dataclass(frozen=True, slots=True)
class ResumedRun:
    """A run that is ours now: what it said, up to and with entry `after`, and its question."""

    run: Run
    question: Question
    transcript: Transcript
    after: int


def can_resume(run: Run, producer: str | None) -> bool:
    """Whether the producer of that name may go on with `run`. None may with none."""
    return producer is not None and read_producer_name(run.question) == producer


async def take_over(run: Run, app: App, reader: Reader) -> ResumedRun | None:
    """Become the producer of `run`, if nobody is.

    None when somebody is, or was faster, or the run is over: then it is only to be read. A run that
    is gone on with again and again and says nothing more is ended instead, as is one that began
    more than `settings.max_run_seconds` seconds ago. One that could not be taken over is free
    again.
    """
    if app.find_task(run.id) is not None:
        return None
    known = await app.log.find(run.id, run.owner)
    last = await app.log.read_last(run.id)
    if (last is not None and last.terminal) or not is_claimable(known):
        return None
    try:
        claimed = await app.log.claim(known)
    except SequenceConflictError:
        return None
    try:
        return await _append_fence(claimed, app, reader)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await release_lease(claimed, app.log, make_interrupted_checkpoint(known, claimed))
        raise


async def _append_fence(run: Run, app: App, reader: Reader) -> ResumedRun | None:
    for _attempt in range(APPEND_ATTEMPTS):
        transcript, last = await read_transcript(run, app)
        if last is not None and last.terminal:
            return None
        after = last.seq if last is not None else 0
        now = time.time()
        over = _is_over(transcript, now, app.settings.max_run_seconds)
        said: tuple[Event, ...] = (
            transcript.failed(DeadlineError(), now)
            if over
            else (_make_resumed_status(transcript, now),)
        )
        entries = as_entries(after, said)
        try:
            await app.log.append(run.id, entries)
        except SequenceConflictError:
            # The old producer got one more in, or somebody ended it: read again. Or somebody
            # claimed it after us, because we took so long.
            if (await app.log.find(run.id, run.owner)).epoch != run.epoch:
                return None
            continue
        if over:
            return None
        transcript.note(said[0])
        logger.info("Run %s goes on after entry %d.", run.id, after)
        question = load_question(
            run.question,
            owner=run.owner,
            resume=reader.resume,
            seconds_left=reader.seconds_left,
            response_seconds_left=reader.response_seconds_left,
            so_far=transcript.text,
            earlier=replace(
                transcript,
                answer=bytearray(transcript.answer),
                steps=dict(transcript.steps),
                unbilled=list(transcript.unbilled),
            ),
        )
        return ResumedRun(run, question, transcript, entries[-1].seq)
    return None


def _is_over(transcript: Transcript, now: float, longest: float) -> bool:
    idle_resumes = transcript.idle_resumes if len(transcript.text) == transcript.resumed_at else 0
    return idle_resumes >= IDLE_LIMIT or now - transcript.started > longest


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
        data={RESUMED_AT: len(transcript.text)},
    )
