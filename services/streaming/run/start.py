"""From a producer to a production: the stages of one run, put together and begun.

Knows what can be handed in as a producer, and in which order the stages stand; not how a run was
asked for, nor who reads it.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine
from functools import partial

from ...runs import Run
from ..answering.pipeline import answer_question
from ..answering.replay import replayed
from ..events import Event, Notice, PauseReason, Reset, Sources, Spent, Token
from ..installation import Installation
from ..question import Question
from ..readers.tail import checkpoint
from .errors import PausedError
from .log_writer import record
from .stages import Observer, Said, complete, interruptible, observe, without
from .task import Production
from .transcript import Transcript

Producer = Callable[[Question], AsyncIterable[Said]] | AsyncIterable[Said]
"""An async generator of events or strings, or a function of the question that makes one."""

# How often a silent run looks into its log for somebody who ended it, in seconds.
TICK = 0.5

# How long tokens wait for company after the last ones went to a durable log, in seconds.
PACE = 0.05


def produce(
    run: Run,
    question: Question,
    said: AsyncGenerator[Said, None],
    here: Installation,
    *,
    observers: tuple[Observer, ...] = (),
    pausable: bool = False,
    transcript: Transcript | None = None,
    after: int = 0,
) -> Production:
    """Begin to produce `run` here: what is `said`, after entry `after`, into its log.

    `transcript` is what a run that is gone on with said before. A `pausable` one is let go where
    it would otherwise end because this process, or its time, does.
    """
    transcript = transcript or Transcript(
        run_id=run.id,
        started=run.created,
        session_id=question.session_id,
        metadata=question.metadata,
    )
    production = Production(
        run,
        asyncio.get_running_loop().create_future(),
        transcript,
        after=after,
        pausable=pausable,
        on_pause=here.let_go,
    )
    # What was recorded was joined then: said again, it is the same events.
    joins = here.durable and here.settings.replay is None
    quiet = interruptible(
        said,
        stop=production.stop,
        seconds_left=question.seconds_left,
        heartbeat=TICK,
        pace=PACE if joins else 0.0,
    )
    events = complete(quiet, transcript, pausable=pausable)
    unwanted = _unwanted(question)
    if unwanted:
        events = without(events, unwanted, heartbeat=TICK)
    if observers:
        events = observe(events, *observers)
    leave = partial(_checkpoint, run, transcript, unwanted) if pausable else None
    entries = record(events, run, here.log, transcript, after=after, join=joins, leave=leave)
    here.productions[run.id] = production
    production.begin(entries, partial(here.log.renew, run), question.seconds_left)
    production.task.add_done_callback(lambda _task: here.over(production))
    if here.closing:
        production.end(PausedError("shutdown"))  # before its first step: no model is paid
    return production


def _checkpoint(
    run: Run, transcript: Transcript, unwanted: frozenset[type], reason: PauseReason, after: int
) -> bytes:
    unsaid: list[Event] = []
    if Token in unwanted and transcript.text:
        unsaid.append(Token(transcript.text))
    if Sources in unwanted and transcript.sources:
        unsaid.append(Sources(transcript.sources))
    if Spent in unwanted and transcript.usage is not None:
        unsaid.append(Spent(transcript.usage))
    account = transcript.account() if unwanted else None
    return checkpoint(run, reason, after, unsaid, account)


def produced(
    producer: Producer | None, question: Question, here: Installation
) -> AsyncGenerator[Said, None]:
    """What `producer` says to `question`; the pipeline where there is none.

    Raises `TypeError` for what is no producer.
    """
    if producer is None and here.settings.replay is not None:
        return replayed(question, here.recordings, here.settings.replay_speed)
    if producer is None:
        return answer_question(question, here)
    # Whatever the types promise, a function without `yield` is an easy mistake.
    said: object = producer(question) if callable(producer) else producer
    if isinstance(said, AsyncGenerator):
        return said
    if isinstance(said, AsyncIterable):
        return _generator(said)
    if isinstance(said, Coroutine):
        said.close()
    raise TypeError(
        f"A producer is an async generator of events or strings, not {type(said).__name__}. "
        "Write `async def` with `yield`."
    )


def name_of(producer: Producer | None, *, goes_on: bool) -> str | None:
    """The name by which a run knows who can go on with it: "" the pipeline, None nobody."""
    if producer is None:
        return ""
    if not goes_on or not callable(producer):
        return None  # a generator that was handed in is at its end when it is closed
    kind = producer if hasattr(producer, "__qualname__") else type(producer)
    return f"{kind.__module__}.{kind.__qualname__}"


async def _generator(said: AsyncIterable[Said]) -> AsyncGenerator[Said, None]:
    iterator = aiter(said)
    try:
        async for event in iterator:
            yield event
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()


def _unwanted(question: Question) -> frozenset[type]:
    # Left out where they are made, not where they are read: a reader's ids have no gaps.
    unwanted: set[type] = set()
    if "tokens" not in question.include:
        unwanted |= {Token, Reset, Notice}
    if "sources" not in question.include:
        unwanted.add(Sources)
    if "usage" not in question.include:
        unwanted.add(Spent)
    return frozenset(unwanted)
