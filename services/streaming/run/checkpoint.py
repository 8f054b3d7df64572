"""What a run's log knows of it when its producer is gone: its checkpoint, and its transcript.

A producer that has to go before its answer is whole leaves a checkpoint with the lease. Kinds of
events that the request did not include are in no log, so the checkpoint has them.
"""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic_core import from_json, to_json

from ...runs import Entry, Run, RunLog
from ...runs.log import LAST_SEQ
from ..event_json import payload, read_event, read_status
from ..events import RESUMED_KIND, Event, PauseReason, Sources, Token, UsageEvent
from ..question import load_question
from .transcript import Transcript


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a producer leaves in the log when it pauses a run after entry `after`.

    It belongs to the producer of `epoch`, and to no later one. `unrequested` are the events, as
    JSON, that the run was not asked to say up to there; `billing` is the transcript's account
    where the log alone does not give it (`Transcript.billing_state`).
    """

    epoch: int
    reason: PauseReason
    after: int = LAST_SEQ
    unrequested: tuple[Mapping[str, Any], ...] = ()
    billing: Mapping[str, Any] | None = None

    def to_bytes(self) -> bytes:
        """Return the checkpoint as the log keeps it."""
        return to_json(asdict(self))


def read_checkpoint(run: Run) -> Checkpoint | None:
    """Return what the last producer of `run` that paused it left; None when none did."""
    return Checkpoint(**from_json(run.checkpoint)) if run.checkpoint else None


def make_checkpoint(
    run: Run, transcript: Transcript, unwanted: frozenset[type], reason: PauseReason, after: int
) -> bytes:
    """Make the checkpoint of a run that said `transcript`, without `unwanted` kinds of events."""
    unrequested: list[Event] = []
    if Token in unwanted and transcript.text:
        unrequested.append(Token(transcript.text))
    if Sources in unwanted and transcript.sources:
        unrequested.append(Sources(transcript.sources))
    if UsageEvent in unwanted and transcript.usage is not None:
        unrequested.append(UsageEvent(transcript.usage))
    return Checkpoint(
        epoch=run.epoch,
        reason=reason,
        after=after,
        unrequested=tuple(from_json(payload(event)) for event in unrequested),
        billing=transcript.billing_state() if unwanted else None,
    ).to_bytes()


def hand_back_checkpoint(claimed: Run) -> bytes:
    """Make the checkpoint of a process that `claimed` a run and has to go before it said a word.

    It holds what the run was left with by the producer before.
    """
    kept = from_json(claimed.checkpoint) if claimed.checkpoint else {}
    return to_json({**kept, "epoch": claimed.epoch, "reason": "interrupted"})


def read_pause_reason(run: Run) -> PauseReason | None:
    """Return why the last producer of `run` paused it; None when it did not, or one went on."""
    checkpoint = read_checkpoint(run)
    return checkpoint.reason if checkpoint is not None and checkpoint.epoch == run.epoch else None


def is_claimable(run: Run) -> bool:
    """Return whether no process produces `run`, as far as its log knows; it may have ended."""
    return read_pause_reason(run) is not None or run.is_free


async def read_transcript(
    run: Run, log: RunLog, up_to: int = LAST_SEQ
) -> tuple[Transcript, Entry | None]:
    """Read what `run` said up to entry `up_to`; return its transcript and the last entry of it.

    What the log lacks is taken from the checkpoint, at the entry after which it was left.
    """
    question = load_question(run.question) if run.question else None
    transcript = Transcript(
        run_id=run.id,
        started=run.created,
        session_id=question.session_id if question is not None else None,
        metadata=question.metadata if question is not None else {},
    )
    last: Entry | None = None
    checkpoint = read_checkpoint(run)
    async for entry in _read_entries(run, log, up_to):
        if checkpoint is not None and entry.seq > checkpoint.after:
            _restore(transcript, checkpoint)
            checkpoint = None
        last = entry
        if entry.kind == RESUMED_KIND:
            transcript.note_resumed(read_status(entry.payload))
        elif not entry.terminal:
            transcript.note(read_event(entry.payload))
    if checkpoint is not None:
        _restore(transcript, checkpoint)
    return transcript, last


def _restore(transcript: Transcript, checkpoint: Checkpoint) -> None:
    for event in checkpoint.unrequested:
        transcript.note(read_event(to_json(event)))
    if checkpoint.billing is not None:
        transcript.restore_billing(checkpoint.billing)


async def _read_entries(run: Run, log: RunLog, up_to: int) -> AsyncGenerator[Entry, None]:
    after = 0
    while after < up_to and (entries := await log.read(run.id, after)):
        for entry in entries:
            if entry.seq <= up_to:
                yield entry
        after = entries[-1].seq
