"""The stages every run passes: generator in, generator out.

    producer -> make_interruptible -> terminate -> drop_kinds -> observe -> append_to_log -> the log

`make_interruptible` (interruption.py) notices a stop, the deadline and silence while the producer
waits; `terminate` makes exactly one terminal event, whatever happens; `observe` shows every event
to observers; `append_to_log` is in log_writer.py.
A stage closes the generator that it was handed. Nothing here knows about HTTP, logs or encoders.

Errors come in three phases. Before the first byte: a real HTTP status. After it: one `error`
event, made here. After the end: only the logger is told.
"""

import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

from ...errors import RiverrunError
from ..events import (
    KINDS,
    ErrorEvent,
    Event,
    Final,
    Paused,
    Result,
    Status,
    Terminal,
    Token,
)
from .errors import PausedError, StoppedError
from .transcript import Transcript, split_tokens
from .trim import trim_event

logger = logging.getLogger("riverrun.run")

Observer = Callable[[Event], object]

# What one run may say in all, as `Transcript.size` counts it: a producer that never ends is
# ended before it has filled the memory.
RUN_LIMIT = 256 * 1024 * 1024

# A tuple, because `isinstance` of a union takes three times as long, once per event.
_TERMINALS = (Final, ErrorEvent)


Output = Event | str
"""What a producer may yield: events, or plain strings, which are pieces of the answer."""

Batches = AsyncGenerator[list[Event], None]
"""Events in order, as many at a time as there are. An empty list says that nothing came.

A stage empties a list when it has what it needs of it: each stage before still holds the list while
the next one is waited for, and a thousand runs would hold a thousand of them.
"""


async def terminate(
    batches: AsyncGenerator[list[Output], None],
    transcript: Transcript,
    *,
    can_pause: bool = False,
    now: Callable[[], float] = time.time,
) -> Batches:
    """Pass events on and end them with exactly one terminal event, whatever happens.

    Strings become tokens. A producer that ends without a word about how gets a `Final` of its
    tokens; one that raises gets a `ErrorEvent` with what there was; one that says more than
    `RUN_LIMIT` is cut there. Nothing follows a terminal event. `now` gives epoch seconds. A
    run that `can_pause` has no end when its producer has to go: `PausedError` is raised on.
    """
    last: Terminal | Exception = Final(Result())
    try:
        async with aclosing(batches):
            async for batch in batches:
                silent = not batch
                events, end = _take_events(batch, transcript, now)
                batch.clear()
                if events or silent:
                    yield events
                if end is not None:
                    last = end
                    break
    except Exception as error:
        # Whatever a producer raises becomes an event.
        if can_pause and isinstance(error, PausedError):
            raise
        last = error
    # Half a character that nothing completed is said as what it is: none.
    rest = split_tokens(transcript.half_character)
    for event in rest:
        transcript.note(event)
    yield [*rest, *_make_ending(last, transcript, now())]


def _take_events(
    batch: list[Output], transcript: Transcript, now: Callable[[], float]
) -> tuple[list[Event], Terminal | Exception | None]:
    """Return the events of `batch`, noted, up to a terminal one or a fault, which comes last."""
    events: list[Event] = []
    for said in batch:
        if isinstance(said, _TERMINALS):
            return events, said
        if transcript.size > RUN_LIMIT:
            logger.warning("Run %s said too much and was cut.", transcript.run_id)
            return events, Final(Result(finish_reason="length"))
        try:
            ready = _prepare(said, transcript, now)
        except Exception as error:  # noqa: BLE001 - it ends the run, after these events
            return events, error
        for event in ready:
            transcript.note(event)
            events.append(event)
    return events, None


def _prepare(event: Output, transcript: Transcript, now: Callable[[], float]) -> tuple[Event, ...]:
    if isinstance(event, str):
        return split_tokens(transcript.complete_character(event))
    if isinstance(event, Token):
        return split_tokens(transcript.complete_character(event.text))
    if type(event) not in KINDS or type(event) is Paused:
        raise TypeError(f"A producer yields events or strings, not {type(event).__name__}.")
    if isinstance(event, Status) and event.timestamp == 0:
        event = replace(event, timestamp=int(now() * 1000))
    return (trim_event(event),)


def _make_ending(
    last: Terminal | Exception, transcript: Transcript, now: float
) -> tuple[Event, ...]:
    if isinstance(last, StoppedError):
        return transcript.make_stopped_ending(now)
    if isinstance(last, Exception):
        return transcript.make_failed_ending(_public_error(last, transcript.run_id), now)
    try:
        return transcript.make_ending(last, now)
    except Exception as error:  # noqa: BLE001 - a result that cannot be written is a fault too
        return transcript.make_failed_ending(_public_error(error, transcript.run_id), now)


def _public_error(error: Exception, run_id: str) -> RiverrunError:
    """Return `error` as a client may be shown it; the logger gets the rest."""
    alone: BaseException = error
    while isinstance(alone, BaseExceptionGroup) and len(alone.exceptions) == 1:
        # A task group wraps even a single failure of its own.
        alone = alone.exceptions[0]
    if not isinstance(alone, RiverrunError):
        logger.error("Run %s failed.", run_id, exc_info=error)
        return RiverrunError("Something went wrong on our side.", hint="Ask again in a moment.")
    if alone.__cause__ is not None or alone.code == "internal":
        # Of a mistake in code the cause is the traceback to read.
        cause = alone.__cause__ if alone.code == "internal" else None
        logger.error("Run %s failed: %s", run_id, alone.code, exc_info=cause or error)
    else:
        logger.info("Run %s ended with %s.", run_id, alone.code)
    return alone


async def observe(batches: Batches, *observers: Observer) -> Batches:
    """Show every event to every observer before it goes on. One that fails is only logged."""
    async with aclosing(batches):
        async for batch in batches:
            for event in batch:
                for observer in observers:
                    try:
                        observer(event)
                    except Exception:
                        logger.exception("An observer failed.")
            yield batch


async def drop_kinds(
    batches: Batches,
    unwanted: frozenset[type],
    *,
    heartbeat: float = 10.0,
    clock: Callable[[], float] = time.monotonic,
) -> Batches:
    """Leave out the kinds of events that this run was asked not to say.

    A reader that gets nothing of a long answer until its end still gets a heartbeat, after
    `heartbeat` seconds in which everything that came was unwanted. `clock` gives seconds.
    """
    last_yield = clock()
    async with aclosing(batches):
        async for batch in batches:
            silent = not batch
            wanted = [event for event in batch if type(event) not in unwanted]
            batch.clear()
            if wanted or silent or clock() - last_yield >= heartbeat:
                yield wanted
                last_yield = clock()
