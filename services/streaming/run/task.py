"""A run being produced in this process, apart from whoever reads it.

A production is a task that drives the stages of one run from its producer into its log. The
reader who asked is fed from it through a bounded channel, so a slow reader slows the producer;
a reader who leaves is only a reader who left. Knows nothing of HTTP or dialects.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import anyio

from ...errors import RiverrunError
from ...runs import LEASE_SECONDS, Entry, Run, SequenceConflictError
from ..app import App
from ..readers.tail import read_run
from .channel import Channel
from .errors import PausedError, reader_left_error
from .log_writer import Entries, EntryBatches
from .stages import DEADLINE_MARGIN
from .transcript import Transcript

logger = logging.getLogger("riverrun.run")

T = TypeVar("T")

_CHANNEL_LIMIT = 64 * 1024

# The kinds after which a producer goes on only when its reader has dealt with them.
_MILESTONES = frozenset({"status", "final", "error"})

# How long a production that is being ended waits for its reader, in seconds. One who has not
# taken everything by then finds it in the log.
READER_PATIENCE = 0.1


@dataclass(eq=False)
class RunTask:
    """One run's task here, going on after entry `after`.

    `stop` is done when it was asked to end, with what ends it as its result. A `pausable` one may
    be ended without its run: `paused` is how that happened, and `on_pause` is told of it. What it
    has said up to entry `seq`, the last one in the log, is then in `transcript`.
    """

    run: Run
    stop: "asyncio.Future[RiverrunError | None]"
    transcript: Transcript
    after: int = 0
    pausable: bool = False
    on_pause: Callable[[str, PausedError], None] = lambda _run, _error: None
    paused: PausedError | None = field(default=None, init=False)
    seq: int = field(default=0, init=False)
    channel: Channel[list[Entry]] = field(
        default_factory=lambda: Channel(_CHANNEL_LIMIT, _cost), init=False
    )
    task: "asyncio.Task[None]" = field(init=False)

    def begin(
        self,
        batches: EntryBatches,
        hold: Callable[[], Awaitable[None]],
        seconds_left: float | None = None,
    ) -> None:
        """Start driving `batches`, which are in the log when they come out.

        `hold` holds the lease while a slow reader is waited for; `seconds_left` is when the
        platform ends this process.
        """
        self.seq = self.after
        self.task = asyncio.create_task(self._write(batches, hold))
        if seconds_left is not None:
            self._stop_waiting(max(0.0, seconds_left - DEADLINE_MARGIN) + READER_PATIENCE)

    def end(self, error: RiverrunError | None = None) -> None:
        """End with `error`; without one the run is stopped, and what was said is kept.

        Asking again changes nothing.
        """
        if not self.stop.done():
            self.stop.set_result(error)
            self._stop_waiting(READER_PATIENCE)

    def abandon(self, *, pause: bool = False) -> None:
        """Close the producer, because nobody reads it: to `pause` the run, else to end it."""
        if self.pausable:
            self.end(PausedError("abandoned") if pause else reader_left_error())
        else:
            self.task.cancel()

    async def ended(self) -> None:
        """Wait until nothing of this run is left running here."""
        with anyio.CancelScope(shield=True):
            await asyncio.wait({self.task})

    def _stop_waiting(self, seconds: float) -> None:
        def look() -> None:
            if self.channel.is_awaited and not self.task.done():
                self._stop_waiting(READER_PATIENCE)
            else:
                # A reader who is not reading keeps nobody from writing down how it ended.
                self.channel.close()

        timer = asyncio.get_running_loop().call_later(seconds, look)
        self.task.add_done_callback(lambda _task: timer.cancel())

    async def _write(self, batches: EntryBatches, hold: Callable[[], Awaitable[None]]) -> None:
        channel = self.channel
        try:
            async with aclosing(batches):
                async for batch in batches:
                    self.seq = batch[-1].seq
                    milestone = batch[-1].kind in _MILESTONES
                    # Nobody may be there to take it: it is in the log, where readers look.
                    if not await _hold_lease_while(partial(channel.put, batch), hold):
                        batch.clear()
                    elif milestone:
                        await _hold_lease_while(channel.wait_taken, hold)
        except SequenceConflictError:
            pass  # somebody else goes on with this run, or has ended it: the log tells the reader
        except PausedError as error:
            self.paused = error
            self.on_pause(self.run.id, error)
            channel.close(error)
        except Exception as error:
            if not channel.close(error):
                logger.error("A run without readers failed.", exc_info=error)
        finally:
            channel.close()


async def _hold_lease_while(
    wait: Callable[[], Awaitable[T]], hold: Callable[[], Awaitable[None]]
) -> T:
    while True:
        try:
            async with asyncio.timeout(LEASE_SECONDS / 3):
                return await wait()
        except TimeoutError:
            await hold()


def _cost(batch: list[Entry]) -> int:
    return sum(256 + len(entry.payload) for entry in batch)


async def read_live(
    run_task: RunTask, app: App, after: int = 0, *, will_resume: bool = False
) -> Entries:
    """What a production says, for the reader who asked, who has read up to entry `after`.

    Its first `yield` only says that it has begun, so that its `finally` runs (`started`). None
    stands for a heartbeat of silence. It goes on with the log, as `read_run` does, where somebody
    else has gone on with the run, or this reader was too slow. Raises `PausedError` when the
    production is let go.
    """
    run, channel = run_task.run, run_task.channel
    try:
        yield None
        while after < run_task.after:
            for entry in await app.log.read(run.id, after, run_task.after - after):
                after = entry.seq
                yield entry
        while (batches := await channel.take(app.settings.heartbeat)) is not None:
            if not batches:
                yield None
            for batch in batches:
                for entry in batch:
                    after = entry.seq
                    yield entry
                    if entry.terminal:
                        return
                batch.clear()
        async with aclosing(read_run(run, after, app, will_resume=will_resume)) as rest:
            async for followed in rest:
                yield followed
    finally:
        channel.close()
