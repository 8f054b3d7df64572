"""The first stage of a run: its producer, in a task that a stop or the deadline ends."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass

from ...errors import RiverrunError
from ..deadlines import ENDING_MARGIN, PRODUCER_MARGIN, SHUTDOWN_CLEANUP_SECONDS
from ..events import ErrorEvent, Event, Final, Status, Token
from .channel import Channel, run_pump
from .errors import DeadlineError, PausedError, run_stopped_error
from .stages import Output
from .transcript import EVENT_OVERHEAD

_CHANNEL_LIMIT = 64 * 1024

# Tokens that wait for more of them stop waiting when they cost this much: about 1 KiB of text.
GATHER_LIMIT = 4 * 1024


@dataclass(slots=True)
class _CleanupDeadline:
    """Until when, by the loop's clock, a producer may take to clean up; None: as ever."""

    until: float | None = None


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
    find_pace: Callable[[], float] = lambda: 0.0,
) -> AsyncGenerator[list[Output], None]:
    """Pass `events` on, and notice what happens while they are awaited.

    Runs `events` in a task of its own from first to last, so that it may hold cancel scopes and
    context variables. Yields what has come since the reader last asked, all at once; an empty
    list after each `heartbeat` seconds without an event. After tokens it lets more of them
    gather for the seconds that `find_pace` gives, or until `GATHER_LIMIT` bytes have. When
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
            events,
            channel,
            handshake=_needs_handshake,
            until=lambda: cleanup.until,
            context=context,
        ) as task,
        _cancel_when_over(channel, task, stop, seconds_left, cleanup),
    ):
        while (batch := await channel.take(heartbeat)) is not None:
            joins = batch and type(batch[-1]) is not Status
            yield batch
            if joins and (pace := find_pace()):
                await channel.gather(pace, GATHER_LIMIT)


@asynccontextmanager
async def _cancel_when_over(
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

    def on_stop(stop: "asyncio.Future[RiverrunError | None]") -> None:
        end(_stop_error(stop))

    timer = None
    if seconds_left is not None:
        timer = loop.call_later(seconds_left - PRODUCER_MARGIN, end, DeadlineError())
    if stop is not None:
        stop.add_done_callback(on_stop)
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()
        if stop is not None:
            stop.remove_done_callback(on_stop)


def _stop_error(stop: "asyncio.Future[RiverrunError | None] | None") -> RiverrunError:
    error = stop.result() if stop is not None and not stop.cancelled() else None
    return error or run_stopped_error()


def _needs_handshake(event: Output) -> bool:
    # After a status that announces work, the reader has it before that work begins; one that
    # looks back, or says how far that work is, goes out with the next. After a terminal event,
    # the producer stands still at that very `yield` until it is closed there.
    if isinstance(event, Status):
        return event.status in ("pending", "executing") and not event.elapsed_ms
    return isinstance(event, Final | ErrorEvent)


def _cost(event: Output) -> int:
    if isinstance(event, str):
        return EVENT_OVERHEAD + len(event)
    if isinstance(event, Token):
        return EVENT_OVERHEAD + len(event.text)
    return 4 * EVENT_OVERHEAD
