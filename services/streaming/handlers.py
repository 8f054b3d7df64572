"""The front door: a question in, a streaming response (or one JSON object) out.

    response = await handle_streaming_request({"query": "What is there to see in Paris?"})

The question-answering pipeline is only the default producer. Any async generator of events, or
of plain strings, can be handed in; everything else (one terminal event, heartbeats, the run
log, resuming, stopping, cleaning up) comes with it.
"""

import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import anyio
from starlette.responses import Response

from ..errors import RiverrunError
from ..runs import Run
from .app import App, default_app
from .http.requests import fingerprint
from .http.responses import error_response, stream_response, terminal_response
from .question import Question, Reader, dump_question, parse_question
from .readers.join import join_run
from .readers.session import prime, serve_reader, start_uncancellable
from .run.log_writer import Entries
from .run.stages import Observer
from .run.start import Producer, open_producer, producer_name, start_run_task
from .run.task import read_live

__all__ = ["Producer", "handle_request", "handle_streaming_request"]

# How long one JSON answer waits for a run that is let go, in seconds: a function that has answered
# is frozen.
LEASE_RELEASE_SECONDS = 0.2


async def handle_streaming_request(
    data: Question | Mapping[str, Any],
    *,
    producer: Producer | None = None,
    resumable: bool = False,
    observers: tuple[Observer, ...] = (),
    app: App | None = None,
) -> Response:
    """Answer `data` as a stream of events.

    `data` is a request's JSON object (docs/contract.md, section 2) or a checked `Question`.
    `observers` are called with every event before it goes out. With `resumable`, `producer` (a
    function) says only what comes after `question.so_far`: then an answer that one invocation
    has no time for is finished by another. A request that cannot be served comes back as the
    contract's error object with its HTTP status.
    """
    app = app or default_app()
    asked = _Answer(producer, producer_name(producer, resumable=resumable), observers, app)
    try:
        question = _question(data)
        run, entries = await start_uncancellable(asked.run(question, question.reader))
    except BaseException as error:
        await _close_producer(producer)
        if isinstance(error, RiverrunError):
            return error_response(error)
        raise
    return stream_response(entries, question.dialect, run.id, partial(app.wait_finished, run.id))


async def handle_request(
    data: Question | Mapping[str, Any],
    *,
    producer: Producer | None = None,
    resumable: bool = False,
    observers: tuple[Observer, ...] = (),
    app: App | None = None,
) -> Response:
    """Answer `data` as one JSON object: the result, or the error with its HTTP status.

    Time that runs out is such an error, with a cursor: the same request with the same
    Idempotency-Key goes on. For the rest see `handle_streaming_request`.
    """
    app = app or default_app()
    asked = _Answer(producer, producer_name(producer, resumable=resumable), observers, app)
    try:
        question = _question(data)
        run, entries = await start_uncancellable(
            asked.run(question, replace(question.reader, resume=False))
        )
    except BaseException as error:
        await _close_producer(producer)
        if isinstance(error, RiverrunError):
            return error_response(error)
        raise
    async with aclosing(entries):
        async for entry in entries:
            if entry is not None and entry.terminal:
                if entry.seq == 0:
                    with anyio.move_on_after(LEASE_RELEASE_SECONDS):
                        await app.wait_finished(run.id)
                return terminal_response(entry, run.id)
    raise AssertionError("a run always ends with a terminal entry")


def _question(data: Question | Mapping[str, Any]) -> Question:
    return data if isinstance(data, Question) else parse_question(data)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a question is answered with. `name` is who can go on with it (`producer_name`)."""

    producer: Producer | None
    name: str | None
    observers: tuple[Observer, ...]
    app: App

    async def run(self, question: Question, reader: Reader) -> tuple[Run, Entries]:
        """The run of `question`, new or joined, and its entries for `reader`."""
        app = self.app
        mark = fingerprint(question)
        if question.session_id == "":
            question = replace(question, session_id=secrets.token_urlsafe(16))
        said = open_producer(self.producer, question, app)
        app.admit()
        try:
            run, new = await app.log.start(
                owner=question.owner,
                key=question.idempotency_key,
                fingerprint=mark,
                question=dump_question(question, self.name),
            )
        except BaseException:
            app.release()
            raise
        if not new:
            await said.aclose()
            # Whoever repeats the request wants its answer, so it goes on if it has to.
            return await join_run(
                run,
                0,
                reader,
                app,
                name=self.name,
                producer=self.producer,
                observers=self.observers,
                may_resume=True,
            )
        pausable = app.is_durable and self.name is not None
        run_task = start_run_task(
            run, question, said, app, observers=self.observers, pausable=pausable
        )
        will_resume = reader.resume and pausable
        entries = await prime(read_live(run_task, app, will_resume=will_resume))
        return run, await prime(serve_reader(entries, app, run, reader, will_resume=will_resume))


async def _close_producer(producer: Producer | None) -> None:
    # A generator that was handed in is closed even when it was never begun.
    if isinstance(producer, AsyncGenerator):
        await producer.aclose()
