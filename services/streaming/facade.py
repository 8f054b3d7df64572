"""The front door: a question in, a streaming response (or one JSON object) out.

    response = await handle_streaming_request({"query": "What is there to see in Paris?"})

The question-answering pipeline is only the default producer. Any async generator of events, or
of plain strings, can be handed in; everything else (one terminal event, heartbeats, the run
log, resuming, stopping, cleaning up) comes with it.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine, Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any

from starlette.responses import Response

from services.errors import RiverrunError
from services.runs import Run
from services.streaming.attendance import attended, started
from services.streaming.events import Notice, Reset, Sources, Spent, Token
from services.streaming.installation import Installation, installed
from services.streaming.lifecycle import Observer, Said, complete, interruptible, observe, without
from services.streaming.pipeline import answer_question
from services.streaming.production import Production, heard
from services.streaming.question import Question, kept_question, parse_question
from services.streaming.reading import read_run
from services.streaming.recording import Entries, record
from services.streaming.replay import replayed
from services.streaming.requests import fingerprint
from services.streaming.responses import error_response, streamed, terminal_response
from services.streaming.transcript import Transcript

Producer = Callable[[Question], AsyncIterable[Said]] | AsyncIterable[Said]
"""An async generator of events or strings, or a function of the question that makes one."""

# How often a silent run looks into its log for somebody who ended it, in seconds.
TICK = 0.5

# How long tokens wait for company after the last ones went to a durable log, in seconds.
PACE = 0.05


async def handle_streaming_request(
    data: Question | Mapping[str, Any],
    *,
    producer: Producer | None = None,
    observers: tuple[Observer, ...] = (),
    installation: Installation | None = None,
) -> Response:
    """Answer `data` as a stream of events.

    `data` is a request's JSON object (docs/contract.md, section 2) or a checked `Question`.
    `observers` are called with every event before it goes out. A request that cannot be served
    comes back as the contract's error object with its HTTP status.
    """
    here = installation or installed()
    try:
        question = _question(data)
        run, entries = await _run(question, producer, observers, here)
    except BaseException as error:
        await _discard(producer)
        if isinstance(error, RiverrunError):
            return error_response(error)
        raise
    return streamed(entries, question.dialect, run.id, partial(here.finished, run.id))


async def handle_request(
    data: Question | Mapping[str, Any],
    *,
    producer: Producer | None = None,
    observers: tuple[Observer, ...] = (),
    installation: Installation | None = None,
) -> Response:
    """Answer `data` as one JSON object: the result, or the error with its HTTP status."""
    here = installation or installed()
    try:
        question = _question(data)
        run, entries = await _run(question, producer, observers, here)
    except BaseException as error:
        await _discard(producer)
        if isinstance(error, RiverrunError):
            return error_response(error)
        raise
    async with aclosing(entries):
        async for entry in entries:
            if entry is not None and entry.terminal:
                return terminal_response(entry, run.id)
    raise AssertionError("a run always ends with a terminal entry")


def _question(data: Question | Mapping[str, Any]) -> Question:
    return data if isinstance(data, Question) else parse_question(data)


async def _run(
    question: Question,
    producer: Producer | None,
    observers: tuple[Observer, ...],
    here: Installation,
) -> tuple[Run, Entries]:
    if question.session_id == "":
        question = replace(question, session_id=secrets.token_urlsafe(16))
    said = _produced(producer, question, here)
    here.admit()
    try:
        run, new = await here.log.start(
            owner=question.owner,
            key=question.idempotency_key,
            fingerprint=fingerprint(question),
            question=kept_question(question),
        )
    except BaseException:
        here.dismiss()
        raise
    if new:
        production = _produce(run, question, said, observers, here)
        entries = await started(heard(production, here.log, here.settings.heartbeat))
    else:
        await said.aclose()
        entries = read_run(run, 0, here)
    return run, await started(attended(entries, here, run.id))


def _produce(
    run: Run,
    question: Question,
    said: AsyncGenerator[Said, None],
    observers: tuple[Observer, ...],
    here: Installation,
) -> Production:
    production = Production(run, asyncio.get_running_loop().create_future())
    transcript = Transcript(
        run_id=run.id,
        started=run.created,
        session_id=question.session_id,
        metadata=question.metadata,
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
    events = complete(quiet, transcript)
    if unwanted := _unwanted(question):
        events = without(events, unwanted, heartbeat=TICK)
    if observers:
        events = observe(events, *observers)
    here.productions[run.id] = production
    production.begin(record(events, run, here.log, transcript, join=joins))
    production.task.add_done_callback(lambda _task: here.productions.pop(run.id, None))
    return production


def _produced(
    producer: Producer | None, question: Question, here: Installation
) -> AsyncGenerator[Said, None]:
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


async def _discard(producer: Producer | None) -> None:
    # A generator that was handed in is closed even when it was never begun.
    if isinstance(producer, AsyncGenerator):
        await producer.aclose()
