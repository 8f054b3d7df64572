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
from .http.requests import fingerprint
from .http.responses import error_response, streamed, terminal_response
from .installation import Installation, installed
from .question import Question, Reader, kept_question, parse_question
from .readers.join import joined
from .readers.session import attended, started, undivided
from .run.log_writer import Entries
from .run.stages import Observer
from .run.start import Producer, name_of, produce, produced
from .run.task import heard

__all__ = ["Producer", "handle_request", "handle_streaming_request"]

# How long one JSON answer waits for a run that is let go, in seconds: a function that has answered
# is frozen.
LET_GO = 0.2


async def handle_streaming_request(
    data: Question | Mapping[str, Any],
    *,
    producer: Producer | None = None,
    goes_on: bool = False,
    observers: tuple[Observer, ...] = (),
    installation: Installation | None = None,
) -> Response:
    """Answer `data` as a stream of events.

    `data` is a request's JSON object (docs/contract.md, section 2) or a checked `Question`.
    `observers` are called with every event before it goes out. With `goes_on`, `producer` (a
    function) says only what comes after `question.so_far`: then an answer that one invocation
    has no time for is finished by another. A request that cannot be served comes back as the
    contract's error object with its HTTP status.
    """
    here = installation or installed()
    asked = _Asked(producer, name_of(producer, goes_on=goes_on), observers, here)
    try:
        question = _question(data)
        run, entries = await undivided(asked.run(question, question.reader))
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
    goes_on: bool = False,
    observers: tuple[Observer, ...] = (),
    installation: Installation | None = None,
) -> Response:
    """Answer `data` as one JSON object: the result, or the error with its HTTP status.

    Time that runs out is such an error, with a cursor: the same request with the same
    Idempotency-Key goes on. For the rest see `handle_streaming_request`.
    """
    here = installation or installed()
    asked = _Asked(producer, name_of(producer, goes_on=goes_on), observers, here)
    try:
        question = _question(data)
        run, entries = await undivided(asked.run(question, replace(question.reader, resume=False)))
    except BaseException as error:
        await _discard(producer)
        if isinstance(error, RiverrunError):
            return error_response(error)
        raise
    async with aclosing(entries):
        async for entry in entries:
            if entry is not None and entry.terminal:
                if entry.seq == 0:
                    with anyio.move_on_after(LET_GO):
                        await here.finished(run.id)
                return terminal_response(entry, run.id)
    raise AssertionError("a run always ends with a terminal entry")


def _question(data: Question | Mapping[str, Any]) -> Question:
    return data if isinstance(data, Question) else parse_question(data)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a question is answered with. `name` is who can go on with it (`name_of`)."""

    producer: Producer | None
    name: str | None
    observers: tuple[Observer, ...]
    here: Installation

    async def run(self, question: Question, reader: Reader) -> tuple[Run, Entries]:
        """The run of `question`, new or joined, and its entries for `reader`."""
        here = self.here
        mark = fingerprint(question)
        if question.session_id == "":
            question = replace(question, session_id=secrets.token_urlsafe(16))
        said = produced(self.producer, question, here)
        here.admit()
        try:
            run, new = await here.log.start(
                owner=question.owner,
                key=question.idempotency_key,
                fingerprint=mark,
                question=kept_question(question, self.name),
            )
        except BaseException:
            here.dismiss()
            raise
        if not new:
            await said.aclose()
            # Whoever repeats the request wants its answer, so it goes on if it has to.
            return await joined(
                run,
                0,
                reader,
                here,
                name=self.name,
                producer=self.producer,
                observers=self.observers,
                wakes=True,
            )
        pausable = here.durable and self.name is not None
        production = produce(run, question, said, here, observers=self.observers, pausable=pausable)
        returns = reader.resume and pausable
        entries = await started(heard(production, here, returns=returns))
        return run, await started(attended(entries, here, run, reader, returns=returns))


async def _discard(producer: Producer | None) -> None:
    # A generator that was handed in is closed even when it was never begun.
    if isinstance(producer, AsyncGenerator):
        await producer.aclose()
