"""Going on with a run that its last producer left unfinished, under the same numbers.

Whoever goes on claims the run, reads what it said, and appends a status of their own before
anything is paid for. That entry is the fence: an old producer that was thought dead finds its
next number taken, writes no more and closes its provider. Says nothing of how the rest is made.
"""

import logging
import time
from dataclasses import dataclass, replace

import anyio

from ...runs import NotNextError, Run
from ..events import Event, Status
from ..installation import Installation
from ..question import Question, Reader, recalled_question, who_goes_on
from ..readers.tail import (
    ATTEMPTS,
    handed_back,
    is_free,
    transcript_of,
)
from .errors import DeadlineError
from .log_writer import as_entries, give_back
from .transcript import REACH, Transcript

log = logging.getLogger("riverrun.run")

# How often in a row a run may be gone on with without a word more of its answer.
IDLE_LIMIT = 3

GOING_ON = "Going on with the answer"


@dataclass(frozen=True, slots=True)
class Continued:
    """A run that is ours now: what it said, up to and with entry `after`, and its question."""

    run: Run
    question: Question
    transcript: Transcript
    after: int


def can_go_on(run: Run, producer: str | None) -> bool:
    """Whether the producer of that name may go on with `run`. None may with none."""
    return producer is not None and who_goes_on(run.question) == producer


async def take_over(run: Run, here: Installation, reader: Reader) -> Continued | None:
    """Become the producer of `run`, if nobody is.

    None when somebody is, or was faster, or the run is over: then it is only to be read. A run that
    is gone on with again and again and says nothing more is ended instead, as is one that began
    more than `settings.max_run_seconds` seconds ago. One that could not be taken over is free
    again.
    """
    if here.producing(run.id) is not None:
        return None
    known = await here.log.find(run.id, run.owner)
    last = await here.log.last(run.id)
    if (last is not None and last.terminal) or not is_free(known):
        return None
    try:
        claimed = await here.log.claim(known)
    except NotNextError:
        return None
    try:
        return await _fence(claimed, here, reader)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await give_back(claimed, here.log, handed_back(known, claimed))
        raise


async def _fence(run: Run, here: Installation, reader: Reader) -> Continued | None:
    for _attempt in range(ATTEMPTS):
        transcript, last = await transcript_of(run, here)
        if last is not None and last.terminal:
            return None
        after = last.seq if last is not None else 0
        now = time.time()
        over = _is_over(transcript, now, here.settings.max_run_seconds)
        said: tuple[Event, ...] = (
            transcript.failed(DeadlineError(), now) if over else (_going_on(transcript, now),)
        )
        entries = as_entries(after, said)
        try:
            await here.log.append(run.id, entries)
        except NotNextError:
            # The old producer got one more in, or somebody ended it: read again. Or somebody
            # claimed it after us, because we took so long.
            if (await here.log.find(run.id, run.owner)).epoch != run.epoch:
                return None
            continue
        if over:
            return None
        transcript.note(said[0])
        log.info("Run %s goes on after entry %d.", run.id, after)
        question = recalled_question(
            run.question,
            owner=run.owner,
            resume=reader.resume,
            seconds_left=reader.seconds_left,
            front_left=reader.front_left,
            so_far=transcript.text,
            earlier=replace(
                transcript,
                said=bytearray(transcript.said),
                steps=dict(transcript.steps),
                untold=list(transcript.untold),
            ),
        )
        return Continued(run, question, transcript, entries[-1].seq)
    return None


def _is_over(transcript: Transcript, now: float, longest: float) -> bool:
    idle = transcript.idle if len(transcript.text) == transcript.reach else 0
    return idle >= IDLE_LIMIT or now - transcript.started > longest


def _going_on(transcript: Transcript, now: float) -> Status:
    last = transcript.last_step or Status(step=1, description="", status="executing")
    return Status(
        step=last.step,
        name=last.name,
        description=GOING_ON,
        status="executing",
        timestamp=int(now * 1000),
        total_steps=last.total_steps,
        progress=last.progress,
        data={REACH: len(transcript.text)},
    )
