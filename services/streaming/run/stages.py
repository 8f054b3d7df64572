"""The stages every run passes: generator in, generator out.

    producer -> interruptible -> complete -> (recorded, framed elsewhere)

`make_interruptible` lets a stop, the deadline and silence be noticed while the producer waits;
`complete` makes exactly one terminal event of whatever happens; `observe` lets others listen.
A stage closes the generator that it was handed. Nothing here knows about HTTP, logs or encoders.

Errors come in three phases. Before the first byte: a real HTTP status. After it: one `error`
event, made here. After the end: only the log.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, replace

from ...errors import RiverrunError
from ..deadlines import ENDING_MARGIN, PRODUCER_MARGIN, SHUTDOWN_CLEANUP_SECONDS
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
from .channel import Channel, run_pump
from .errors import DeadlineError, PausedError, StoppedError, run_stopped_error
from .transcript import EVENT_OVERHEAD, Transcript, split_tokens, trim_event

logger = logging.getLogger("riverrun.run")

Observer = Callable[[Event], object]

# What one run may say in all, as `Transcript.size` counts it: a producer that never ends is
# ended before it has filled the memory.
RUN_LIMIT = 256 * 1024 * 1024

_CHANNEL_LIMIT = 64 * 1024

# Tokens that wait for company stop waiting when they cost this much: about 1 KiB of text.
GATHER_LIMIT = 4 * 1024

# A tuple, because `isinstance` of a union takes three times as long, once per event.
_TERMINALS = (Final, ErrorEvent)


@dataclass(slots=True)
class _CleanupDeadline:
    """Until when, by the loop's clock, a producer may take to clean up; None: as ever."""

    until: float | None = None


Output = Event | str
"""What a producer may yield: events, or plain strings, which are pieces of the answer."""

Batches = AsyncGenerator[list[Event], None]
"""Events in order, as many at a time as there are. An empty list says that nothing came.

A stage empties a list when it has what it needs of it: each stage before still holds the list while
the next one is waited for, and a thousand runs would hold a thousand of them.
"""


_put_report: ContextVar[Callable[[Event], object]] = ContextVar("put_report")


def report_event(event: Event) -> None:
    """Put `event` into the run whose producer calls this, beside what that yields.

    For the callbacks of what a producer awaits. Never waits: a report that finds no room is
    dropped, since there are fresher ones before it. Outside a run it does nothing.
    """
    if (put := _put_report.get(None)) is not None:
        put(event)


async def make_interruptible(
    events: AsyncGenerator[Output, None],
    *,
    stop: "asyncio.Future[RiverrunError | None] | None" = None,
    seconds_left: float | None = None,
    heartbeat: float | None = None,
    pace: float = 0.0,
) -> AsyncGenerator[list[Output], None]:
    """Pass `events` on, and notice what happens while they are awaited.

    Runs `events` in a task of its own from first to last, so that it may hold cancel scopes and
    context variables. Yields what has come since the reader last asked, all at once; an empty
    list after each `heartbeat` seconds without an event. After tokens it lets more of them
    gather for `pace` seconds, or until `GATHER_LIMIT` bytes have. When
    `stop` is done, or `PRODUCER_MARGIN` before `seconds_left` have passed, the producer is
    cancelled at once, however slow the reader, and what is raised is the result of `stop`
    (`StoppedError` if it has none), or `DeadlineError`. A status is with the reader before the
    work that it announces begins.
    """
    over = stop is not None and stop.done()
    if over or (seconds_left is not None and seconds_left <= PRODUCER_MARGIN):
        # What is over before it began is never begun: no model is paid for it.
        await events.aclose()
        raise _stop_error(stop) if over else DeadlineError()
    cleanup = _CleanupDeadline()
    if seconds_left is not None:
        cleanup.until = asyncio.get_running_loop().time() + seconds_left - ENDING_MARGIN
    channel: Channel[Output] = Channel(_CHANNEL_LIMIT, _cost)
    context = copy_context()
    context.run(_put_report.set, channel.put_now)
    async with (
        run_pump(
            events, channel, handshake=_is_milestone, until=lambda: cleanup.until, context=context
        ) as task,
        _watch(channel, task, stop, seconds_left, cleanup),
    ):
        while (batch := await channel.take(heartbeat)) is not None:
            joins = pace and batch and type(batch[-1]) is not Status
            yield batch
            if joins:
                await channel.gather(pace, GATHER_LIMIT)


@asynccontextmanager
async def _watch(
    channel: Channel[Output],
    task: "asyncio.Task[None]",
    stop: "asyncio.Future[RiverrunError | None] | None",
    seconds_left: float | None,
    cleanup: _CleanupDeadline,
) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()

    def end(error: RiverrunError) -> None:
        if isinstance(error, PausedError) and error.reason == "shutdown":
            cleanup.until = loop.time() + SHUTDOWN_CLEANUP_SECONDS
        if channel.close(error):
            task.cancel()

    def asked(stop: "asyncio.Future[RiverrunError | None]") -> None:
        end(_stop_error(stop))

    timer = None
    if seconds_left is not None:
        timer = loop.call_later(seconds_left - PRODUCER_MARGIN, end, DeadlineError())
    if stop is not None:
        stop.add_done_callback(asked)
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()
        if stop is not None:
            stop.remove_done_callback(asked)


def _stop_error(stop: "asyncio.Future[RiverrunError | None] | None") -> RiverrunError:
    error = stop.result() if stop is not None and not stop.cancelled() else None
    return error or run_stopped_error()


def _is_milestone(event: Output) -> bool:
    # After a status that announces work, the reader has it before that work begins; one that
    # looks back, or says how far that work is, goes out with the next. After a terminal event,
    # the producer stands still at that very `yield` until it is closed there.
    if isinstance(event, Status):
        return event.status in ("pending", "executing") and not event.elapsed_ms
    return isinstance(event, _TERMINALS)


def _cost(event: Output) -> int:
    if isinstance(event, str):
        return EVENT_OVERHEAD + len(event)
    if isinstance(event, Token):
        return EVENT_OVERHEAD + len(event.text)
    return 4 * EVENT_OVERHEAD


async def complete(
    batches: AsyncGenerator[list[Output], None],
    transcript: Transcript,
    *,
    pausable: bool = False,
    now: Callable[[], float] = time.time,
) -> Batches:
    """Pass events on and end them with exactly one terminal event, whatever happens.

    Strings become tokens. A producer that ends without a word about how gets a `Final` of its
    tokens; one that raises gets a `ErrorEvent` with what there was; one that says more than
    `RUN_LIMIT` is cut there. Nothing follows a terminal event. `now` gives epoch seconds. What
    is `pausable` has no end when its producer has to go: `PausedError` is raised on.
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
        if pausable and isinstance(error, PausedError):
            raise
        last = error
    yield list(_make_ending(last, transcript, now()))


def _take_events(
    batch: list[Output], transcript: Transcript, now: Callable[[], float]
) -> tuple[list[Event], Terminal | Exception | None]:
    """The events of `batch`, noted, up to a terminal one or a fault, which comes with them."""
    events: list[Event] = []
    for said in batch:
        if isinstance(said, _TERMINALS):
            return events, said
        if transcript.size > RUN_LIMIT:
            logger.warning("Run %s said too much and was cut.", transcript.run_id)
            return events, Final(Result(finish_reason="length"))
        try:
            ready = _prepare(said, now)
        except Exception as error:  # noqa: BLE001 - it ends the run, after these events
            return events, error
        for event in ready:
            transcript.note(event)
            events.append(event)
    return events, None


def _prepare(event: Output, now: Callable[[], float]) -> tuple[Event, ...]:
    if isinstance(event, str):
        return split_tokens(event)
    if isinstance(event, Token):
        return split_tokens(event.text)
    if type(event) not in KINDS or type(event) is Paused:
        raise TypeError(f"A producer yields events or strings, not {type(event).__name__}.")
    if isinstance(event, Status) and event.timestamp == 0:
        event = replace(event, timestamp=int(now() * 1000))
    return (trim_event(event),)


def _make_ending(
    last: Terminal | Exception, transcript: Transcript, now: float
) -> tuple[Event, ...]:
    if isinstance(last, StoppedError):
        return transcript.stopped(now)
    if isinstance(last, Exception):
        return transcript.failed(_public_error(last, transcript.run_id), now)
    try:
        return transcript.ending(last, now)
    except Exception as error:  # noqa: BLE001 - a result that cannot be written is a fault too
        return transcript.failed(_public_error(error, transcript.run_id), now)


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
        logger.error("Run %s failed: %s", run_id, alone.code, exc_info=error)
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
