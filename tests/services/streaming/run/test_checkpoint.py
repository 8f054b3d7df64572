"""What is known of a run from its log alone, and from what its last producer left."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runs import Entry
from services.runs.memory import MemoryLog
from services.streaming import App, handle_streaming_request
from services.streaming.events import RESUMED_KIND, Event, Sources, Status, Token, Usage, UsageEvent
from services.streaming.question import Question, dump_question
from services.streaming.run.checkpoint import (
    hand_back_checkpoint,
    make_checkpoint,
    read_pause_reason,
    read_transcript,
)
from services.streaming.run.log_writer import as_entries
from services.streaming.run.resume import RESUMED_DESCRIPTION
from services.streaming.run.transcript import Transcript

RESUMED = Status(step=3, name="answer", description="Going on", status="executing")
ENDED = Status(step=3, name="answer", description="d", status="completed")


def events() -> st.SearchStrategy[list[Event]]:
    """What a run may say in some invocations; what it spent only grows."""
    tokens = st.text("ab", min_size=1, max_size=4).map(Token)
    spent = st.integers(1, 99).map(lambda n: UsageEvent(Usage(input_tokens=n)))
    return st.lists(st.one_of(tokens, tokens, spent, st.sampled_from([RESUMED, ENDED])))


def note(transcript: Transcript, event: Event) -> None:
    """Remember `event`, as another producer's first one where it is `RESUMED`."""
    if event is RESUMED:
        transcript.note_resumed(RESUMED)
    else:
        transcript.note(event)


def entries_of(after: int, said: list[Event]) -> list[Entry]:
    """The entries of the log: that a run was resumed is in their kind, and in no event."""
    return [
        entry._replace(kind=RESUMED_KIND) if event is RESUMED else entry
        for entry, event in zip(as_entries(after, said), said, strict=True)
    ]


@pytest.mark.anyio
@given(
    before=events(),
    after=events(),
    unwanted=st.frozensets(st.sampled_from([Token, UsageEvent, Sources])),
    handed=st.booleans(),
)
async def test_the_next_producer_knows_what_the_last_one_knew(
    before: list[Event], after: list[Event], unwanted: frozenset[Any], handed: bool
) -> None:
    """Whatever the run was asked not to say; then what a killed one said after it, as logged.

    Also where a process in between took the run over and `handed` it back without a word.
    """
    log = MemoryLog()
    run, _ = await log.start(
        owner=None, key=None, fingerprint="f", question=dump_question(Question(query="q"))
    )
    known = Transcript(run_id=run.id, started=run.created)
    said = [event for event in before if type(event) not in unwanted]
    for event in before:
        note(known, event)
    await log.append(run.id, entries_of(0, said))
    await log.release(run, checkpoint=make_checkpoint(run, known, unwanted, "deadline", len(said)))
    if handed:
        claimed = await log.claim(await log.find(run.id, None))
        await log.release(claimed, checkpoint=hand_back_checkpoint(claimed))
        assert read_pause_reason(await log.find(run.id, None)) == "interrupted"
    logged = [event for event in after if type(event) not in unwanted]
    await log.append(run.id, entries_of(len(said), logged))
    found, _ = await read_transcript(await log.find(run.id, None), log)
    for event in logged:
        note(known, event)
    assert found.text == known.text
    assert found.usage == known.usage
    assert found.billing_state() == known.billing_state()


@pytest.mark.anyio
async def test_no_status_of_a_producer_touches_the_accounting() -> None:
    """Whatever data it has, and though it says word for word what a resumed run says."""
    forged = [
        Status(step=1, description=RESUMED_DESCRIPTION, status="executing", data=data)
        for data in ({"goesOnAt": 0}, {"resumed_at": 1, "idle_resumes": 9}, {"kind": RESUMED_KIND})
    ]

    async def producer(_question: Question) -> AsyncIterator[Event]:
        for event in forged:
            yield Token("word ")
            yield event

    log = MemoryLog()
    response: Any = await handle_streaming_request(
        {"query": "q"}, producer=producer, app=App(log=log)
    )
    run = response.headers["x-run-id"]
    assert [chunk async for chunk in response.body_iterator]
    entries = await log.read(run, 0)
    assert {entry.kind for entry in entries} == {"token", "status", "final"}
    found, _ = await read_transcript(await log.find(run, None), log)
    assert (found.idle_resumes, found.resumed_at, found.unbilled) == (0, 0, [])
