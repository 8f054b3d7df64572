"""From a producer to a production: the stages of one run, put together and begun.

Knows what can be handed in as a producer, and in which order the stages stand; not how a run was
asked for, nor who reads it.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine
from functools import partial

from ...runs import Run
from ..answering.pipeline import answer_question
from ..answering.replay import replay
from ..app import App
from ..events import Event, Notice, PauseReason, Reset, Sources, Token, UsageEvent
from ..question import Question
from ..readers.tail import make_checkpoint
from .errors import PausedError
from .log_writer import record
from .stages import Observer, Output, complete, drop_kinds, make_interruptible, observe
from .task import RunTask
from .transcript import Transcript

Producer = Callable[[Question], AsyncIterable[Output]] | AsyncIterable[Output]
"""An async generator of events or strings, or a function of the question that makes one."""

# How often a silent run looks into its log for somebody who ended it, in seconds.
LOG_CHECK_INTERVAL = 0.5

# How long tokens wait for company after the last ones went to a durable log, in seconds.
GATHER_SECONDS = 0.05


def start_run_task(
    run: Run,
    question: Question,
    said: AsyncGenerator[Output, None],
    app: App,
    *,
    observers: tuple[Observer, ...] = (),
    pausable: bool = False,
    transcript: Transcript | None = None,
    after: int = 0,
) -> RunTask:
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
    run_task = RunTask(
        run,
        asyncio.get_running_loop().create_future(),
        transcript,
        after=after,
        pausable=pausable,
        on_pause=app.disconnect_readers,
    )
    # What was recorded was joined then: said again, it is the same events.
    joins = app.is_durable and app.settings.replay is None
    quiet = make_interruptible(
        said,
        stop=run_task.stop,
        seconds_left=question.seconds_left,
        heartbeat=LOG_CHECK_INTERVAL,
        pace=GATHER_SECONDS if joins else 0.0,
    )
    events = complete(quiet, transcript, pausable=pausable)
    unwanted = _unwanted_kinds(question)
    if unwanted:
        events = drop_kinds(events, unwanted, heartbeat=LOG_CHECK_INTERVAL)
    if observers:
        events = observe(events, *observers)
    make_checkpoint = partial(_make_checkpoint, run, transcript, unwanted) if pausable else None
    entries = record(
        events, run, app.log, transcript, after=after, join=joins, make_checkpoint=make_checkpoint
    )
    app.run_tasks[run.id] = run_task
    run_task.begin(entries, partial(app.log.renew, run), question.seconds_left)
    run_task.task.add_done_callback(lambda _task: app.remove_task(run_task))
    if app.is_closing:
        run_task.end(PausedError("shutdown"))  # before its first step: no model is paid
    return run_task


def _make_checkpoint(
    run: Run, transcript: Transcript, unwanted: frozenset[type], reason: PauseReason, after: int
) -> bytes:
    unsaid: list[Event] = []
    if Token in unwanted and transcript.text:
        unsaid.append(Token(transcript.text))
    if Sources in unwanted and transcript.sources:
        unsaid.append(Sources(transcript.sources))
    if UsageEvent in unwanted and transcript.usage is not None:
        unsaid.append(UsageEvent(transcript.usage))
    billing_state = transcript.billing_state() if unwanted else None
    return make_checkpoint(run, reason, after, unsaid, billing_state)


def open_producer(
    producer: Producer | None, question: Question, app: App
) -> AsyncGenerator[Output, None]:
    """What `producer` says to `question`; the pipeline where there is none.

    Raises `TypeError` for what is no producer.
    """
    if producer is None and app.settings.replay is not None:
        return replay(question, app.recordings, app.settings.replay_speed)
    if producer is None:
        return answer_question(question, app)
    # Whatever the types promise, a function without `yield` is an easy mistake.
    said: object = producer(question) if callable(producer) else producer
    if isinstance(said, AsyncGenerator):
        return said
    if isinstance(said, AsyncIterable):
        return _as_generator(said)
    if isinstance(said, Coroutine):
        said.close()
    raise TypeError(
        f"A producer is an async generator of events or strings, not {type(said).__name__}. "
        "Write `async def` with `yield`."
    )


def producer_name(producer: Producer | None, *, resumable: bool) -> str | None:
    """The name by which a run knows who can go on with it: "" the pipeline, None nobody."""
    if producer is None:
        return ""
    if not resumable or not callable(producer):
        return None  # a generator that was handed in is at its end when it is closed
    kind = producer if hasattr(producer, "__qualname__") else type(producer)
    return f"{kind.__module__}.{kind.__qualname__}"


async def _as_generator(said: AsyncIterable[Output]) -> AsyncGenerator[Output, None]:
    iterator = aiter(said)
    try:
        async for event in iterator:
            yield event
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()


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
