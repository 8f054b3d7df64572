"""The default producer: question -> context -> chat -> events, as one async generator.

It only says what happens; ending, logging, encoding and sending are other modules' work.
"""

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol, runtime_checkable

import anyio

from ...chat import DraftingProvider, Prompt, Turn, UnbilledCall, answer, check_citations
from ...chat.citations import Grounding
from ...chat.draft import Draft
from ...passages import Passage
from ...progress import Progress
from ...small_talk import find_small_talk
from ..app import App
from ..deadlines import PRODUCER_MARGIN
from ..events import (
    Event,
    Final,
    Result,
    Source,
    Sources,
    Status,
)
from ..question import Earlier, Question
from ..run.interruption import report_event
from .collector import AnswerCollector
from .follow_ups import suggest_follow_ups
from .sources import make_sources, mark_quotes
from .steps import Steps

HISTORY_TURNS = 6

# How many citations that do not hold a result names; the score counts all of them.
UNMATCHED_LIMIT = 20

# The step in which a model is asked.
ANSWER_STEP = "answer"

STEPS = ("question", "search", ANSWER_STEP)


@runtime_checkable
class _Listing(Protocol):
    async def list_documents(self) -> Sequence[str]: ...


def answer_question(question: Question, app: App) -> AsyncGenerator[Event, None]:
    """Answer `question` from the indexed documents, or go on with an answer begun `earlier`.

    Then nothing is said again that was said: no step that is done, no sources, no text. Raises
    what the services raise: `RiverrunError` with a code of the contract.
    """
    events = _answer(question, app)
    return events if question.earlier is None else _skip_earlier(events, question.earlier)


async def _skip_earlier(
    events: AsyncGenerator[Event, None], earlier: Earlier
) -> AsyncGenerator[Event, None]:
    async with aclosing(events):
        async for event in events:
            if not _is_known(event, earlier):
                yield event


def _is_known(event: Event, earlier: Earlier) -> bool:
    if isinstance(event, Sources):
        return bool(earlier.sources)
    last = earlier.last_step
    if not isinstance(event, Status) or last is None:
        return False
    # The process that took the run over has said that the last of them goes on.
    begins = event.status == "executing" and not event.elapsed_ms
    return event.step < last.step or (event.step == last.step and begins)


async def _answer(question: Question, app: App) -> AsyncGenerator[Event, None]:
    earlier = question.earlier
    steps = _make_steps(earlier, app)

    def report(progress: Progress) -> None:
        status = steps.report(progress)
        if earlier is None or not _is_known(status, earlier):
            report_event(status)

    begun = steps.begin("Reading the question")
    session_id = question.session_id
    if session_id:
        # Only a conversation has to be looked up. Else the step is over as it begins, and the
        # next one says so: one write less before the answer.
        yield begun
    history = await _read_history(question, app)
    yield steps.end(_describe_question(len(history)))

    yield steps.begin("Searching the documents")
    chat = app.chat  # now: at the first question its modules load while the library opens
    passages = await app.context.retrieve(
        question.query,
        question.top_k,
        previous="\n".join(turn.question for turn in history) or None,
        report=report,
    )
    sources = make_sources(passages)
    if earlier is not None and earlier.sources:
        sources = earlier.sources
        passages = _find_cited(sources, passages)
    yield steps.end(_describe_passages(passages), passages=len(passages))

    collector = AnswerCollector.resume_from(question)
    prompt = Prompt(
        question=question.query,
        passages=passages,
        history=history,
        max_tokens=app.settings.chat_tokens,
        so_far=question.so_far,
        until=_answer_deadline(question),
        spent=collector.spent,
        unbilled_calls=_list_unbilled_calls(question),
        is_watched=bool(question.streaming),
        documents=await _list_documents(question, app),
    )
    draft: Draft | None = None
    if isinstance(chat, DraftingProvider):
        draft = await chat.draft(prompt)
        prompt = replace(prompt, draft=draft)
        # Nothing stands beside what quotes nothing.
        sources = sources if draft.is_quoting else ()
    yield Sources(sources)

    yield steps.begin("Writing the answer")
    async with aclosing(answer(chat, prompt, report=report)) as pieces:
        async for piece in pieces:
            if (event := collector.to_event(piece)) is not None:
                yield event
    text = collector.take_text()
    if session_id and text:
        await _remember_turn(question, session_id, text, app)
    sources = mark_quotes(sources, text, passages)
    cited = {number for number, source in enumerate(sources, 1) if source.cited}
    yield steps.end(_describe_answer(draft, sources, cited), characters=len(text))
    if collector.finish_reason == "stop":
        steps.learn()
    yield Final(
        Result(
            answer=text,
            finish_reason=collector.finish_reason,
            tools_used=("search",),
            session_id=session_id,
            sources=sources,
            usage=collector.usage,
            model=collector.model or chat.model,
            grounding=_check_grounding(text, passages),
            follow_ups=suggest_follow_ups(question.query, passages, cited) or None,
        )
    )


def _make_steps(earlier: Earlier | None, app: App) -> Steps:
    if earlier is None:
        return Steps(STEPS, times=app.step_times)
    # What is left of an answer that was begun elsewhere, no whole one tells.
    last = earlier.last_step
    return Steps(STEPS, least=(last and last.progress) or 0.0)


async def _read_history(question: Question, app: App) -> tuple[Turn, ...]:
    turns: Sequence[tuple[str, str]] = question.history[-HISTORY_TURNS:]
    if question.session_id:
        turns = await app.log.read_turns(question.owner, question.session_id, HISTORY_TURNS)
        turns = _drop_repeats(turns, question.query)
    return tuple(Turn(question, said) for question, said in turns)


def _drop_repeats(turns: Sequence[tuple[str, str]], asked: str) -> list[tuple[str, str]]:
    """Leave out what was asked again next: the last answer to it is the one that counts."""
    following = (*(question for question, _ in turns), asked)[1:]
    return [turn for turn, after in zip(turns, following, strict=True) if turn[0] != after]


async def _list_documents(question: Question, app: App) -> tuple[str, ...]:
    """List the documents for who asks what there is to ask."""
    if find_small_talk(question.query) == "about" and isinstance(app.context, _Listing):
        return tuple(await app.context.list_documents())
    return ()


def _list_unbilled_calls(question: Question) -> tuple[UnbilledCall, ...]:
    """List the calls for this answer that are over, and whose cost was never reported.

    One is a producer's go that said something, or was writing when it went: without a word a
    model may have been asked all the same.
    """
    unbilled = question.earlier.unbilled if question.earlier is not None else ()
    return tuple(
        UnbilledCall(question.so_far[: segment.start], segment.text)
        for segment in unbilled
        if segment.text or segment.step == ANSWER_STEP
    )


def _describe_answer(
    draft: Draft | None, sources: tuple[Source, ...], cited: Collection[int]
) -> str:
    """Describe what was written: a refusal is none, and what cites nothing says so."""
    if draft is not None and not draft.is_quoting:
        return draft.summary
    return "Answer written" if cited or not sources else "Answer written, without a citation"


def _answer_deadline(question: Question) -> float | None:
    """Return when the answer has to be whole, by the clock of the event loop."""
    if question.seconds_left is None:
        return None
    return anyio.current_time() + question.seconds_left - PRODUCER_MARGIN


def _check_grounding(text: str, passages: tuple[Passage, ...]) -> Grounding | None:
    found = check_citations(text, passages)
    return found and replace(found, unmatched=found.unmatched[:UNMATCHED_LIMIT])


async def _remember_turn(question: Question, session_id: str, text: str, app: App) -> None:
    log, turn = app.log, (question.query, text)
    # An earlier producer may have come as far as this.
    known = question.earlier and await log.read_turns(question.owner, session_id, 1)
    if known != [turn]:
        await log.add_turn(question.owner, session_id, *turn)


def _find_cited(sources: tuple[Source, ...], found: tuple[Passage, ...]) -> tuple[Passage, ...]:
    # A citation [n] that was said means the n-th of the sources that were said, also when the
    # documents have changed since: then what is left of a passage is what was shown of it.
    known = {passage.id: passage for passage in found}
    return tuple(known.get(source.id) or _restore_passage(source) for source in sources)


def _restore_passage(source: Source) -> Passage:
    return Passage(
        id=source.id,
        title=source.title,
        uri=source.uri,
        text=source.text or source.snippet,
        score=source.score,
        coverage=0.0,
        sentences=(),
    )


def _describe_question(earlier: int) -> str:
    return f"Read, after {_count(earlier, 'earlier question')}" if earlier else "Question read"


def _describe_passages(passages: tuple[Passage, ...]) -> str:
    documents = len({passage.uri.partition("#")[0] for passage in passages})
    if not passages:
        return "Found nothing that fits"
    return f"Found {_count(len(passages), 'passage')} in {_count(documents, 'document')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
