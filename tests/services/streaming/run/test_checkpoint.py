"""What is known of a run from its log alone, and from what its last producer left."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runs.memory import MemoryLog
from services.streaming.events import Event, Sources, Status, Token, Usage, UsageEvent
from services.streaming.question import Question, dump_question
from services.streaming.run.checkpoint import (
    hand_back_checkpoint,
    make_checkpoint,
    pause_reason,
    read_transcript,
)
from services.streaming.run.log_writer import as_entries
from services.streaming.run.transcript import RESUMED_AT, Transcript

RESUMED_DESCRIPTION = Status(
    step=3, name="answer", description="d", status="executing", data={RESUMED_AT: 0}
)
ENDED = Status(step=3, name="answer", description="d", status="completed")


def events() -> st.SearchStrategy[list[Event]]:
    """What a run may say in some invocations; what it spent only grows."""
    tokens = st.text("ab", min_size=1, max_size=4).map(Token)
    spent = st.integers(1, 99).map(lambda n: UsageEvent(Usage(input_tokens=n)))
    return st.lists(st.one_of(tokens, tokens, spent, st.sampled_from([RESUMED_DESCRIPTION, ENDED])))


@pytest.mark.anyio
@given(
    before=events(),
    after=events(),
    unwanted=st.frozensets(st.sampled_from([Token, UsageEvent, Sources])),
    handed=st.booleans(),
)
async def test_whoever_goes_on_knows_what_the_last_producer_knew(
    before: list[Event], after: list[Event], unwanted: frozenset[Any], handed: bool
) -> None:
    """Whatever the run was asked not to say; then what a killed one said after it, as logged.

    Also where somebody in between took the run over and `handed` it back without a word.
    """
    log = MemoryLog()
    run, _ = await log.start(
        owner=None, key=None, fingerprint="f", question=dump_question(Question(query="q"))
    )
    known = Transcript(run_id=run.id, started=run.created)
    said = [event for event in before if type(event) not in unwanted]
    for event in before:
        known.note(event)
    await log.append(run.id, as_entries(0, said))
    await log.release(run, checkpoint=make_checkpoint(run, known, unwanted, "deadline", len(said)))
    if handed:
        left = await log.find(run.id, None)
        claimed = await log.claim(left)
        await log.release(claimed, checkpoint=hand_back_checkpoint(left, claimed))
        assert pause_reason(await log.find(run.id, None)) == "interrupted"
    logged = [event for event in after if type(event) not in unwanted]
    await log.append(run.id, as_entries(len(said), logged))
    found, _ = await read_transcript(await log.find(run.id, None), log)
    for event in logged:
        known.note(event)
    assert found.text == known.text
    assert found.usage == known.usage
    assert found.billing_state() == known.billing_state()
