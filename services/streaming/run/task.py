"""A run that is produced in this process, apart from the readers it has.

A task drives the stages of one run from its producer into its log. What is in the log it also
hands to the readers here that keep up, through a bounded channel each; a reader that lags reads
on from the log, so no reader holds up the run or another reader. Knows nothing of HTTP or
encoders.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress

import anyio

from ...errors import RiverrunError
from ...runs import Entry, Run, RunLog, SequenceConflictError, UnknownRunError
from ..deadlines import DELIVERY_SECONDS, PRODUCER_MARGIN
from ..events import Partial
from .channel import Channel
from .errors import PausedError, reader_left_error
from .log_writer import EntryBatches
from .registry import LiveRuns
from .transcript import Transcript

logger = logging.getLogger("riverrun.run")

# What one reader may lag behind before it reads on from the log, in bytes.
READER_WINDOW = 64 * 1024

# After entries of these kinds the run waits for the readers that keep up, so that a status is on
# the wire before its work begins; `DELIVERY_SECONDS` at most.
_MILESTONE_KINDS = frozenset({"status", "final", "error"})


class RunTask:
    """One run's task here, going on after entry `after`.

    `stop_asked` is done when the task was asked to end, with what ends it as its result. One that
    `can_pause` may end without its run: `paused_by` is why it did. Entry `seq` is its last one in
    the log, and `transcript` is what it said up to there. `on_end` is called when nothing of it
    is left to be written.
    """

    def __init__(
        self,
        run: Run,
        transcript: Transcript,
        log: RunLog,
        live: LiveRuns,
        *,
        after: int = 0,
        can_pause: bool = False,
        on_end: "Callable[[RunTask], Awaitable[None]] | None" = None,
    ) -> None:
        self.run = run
        self.transcript = transcript
        self.can_pause = can_pause
        self.seq = after
        self.paused_by: PausedError | None = None
        self.stop_asked: asyncio.Future[RiverrunError | None]
        self.stop_asked = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[None]
        self._live = live
        # The channel of each reader here; None for one that lags.
        self._channels: dict[object, Channel[list[Entry]] | None] = {}
        self._is_over = False
        # Where the log is this process's memory, no reader elsewhere waits: then a run whose
        # readers all lag waits for the first of them, and memory is not filled for none.
        self._can_wait_for_readers = not log.is_durable
        self._wake: asyncio.Future[None] | None = None
        self._on_end = on_end

    def start(self, batches: EntryBatches, seconds_left: float | None = None) -> None:
        """Start to drive `batches`, which are in the log when they come out.

        `seconds_left` is how long the platform lets this process run.
        """
        self.task = asyncio.create_task(self._write(batches))
        self.task.add_done_callback(lambda _task: self._live.remove_task(self))
        if self._can_wait_for_readers and seconds_left is not None:
            delay = max(0.0, seconds_left - PRODUCER_MARGIN)
            timer = asyncio.get_running_loop().call_later(delay, self._stop_waiting)
            self.task.add_done_callback(lambda _task: timer.cancel())
        self._live.add_task(self)

    def stop(self, error: RiverrunError | None = None) -> None:
        """End the task with `error`; without one the run is stopped, and its answer kept.

        Asking again changes nothing.
        """
        if not self.stop_asked.done():
            self.stop_asked.set_result(error)
            self._stop_waiting()

    def abandon(self, *, keeps_run: bool = False) -> None:
        """Close the producer, as no reader is left. `keeps_run`: its run is paused, not ended."""
        if self.can_pause:
            self.stop(PausedError("abandoned") if keeps_run else reader_left_error())
        else:
            self.task.cancel()

    async def wait(self, seconds: float | None = None) -> None:
        """Wait until nothing of this run runs here any more, at most `seconds`.

        Shielded: no cancel scope of the caller ends it sooner.
        """
        with anyio.CancelScope(shield=True):
            await asyncio.wait({self.task}, timeout=seconds)

    def read_partial(self) -> Partial | None:
        """Return the answer as far as entry `seq`; None when there is nothing of it."""
        return self.transcript.partial()

    def subscribe(self, subscriber: object, after: int) -> Channel[list[Entry]] | None:
        """Return a channel that gets every entry from now on; None when `after` lags behind that.

        The channel is closed when the task is over, or when `subscriber` lags: then it reads on
        from the log and subscribes again.
        """
        if not self.can_subscribe(after):
            return None
        channel: Channel[list[Entry]] = Channel(READER_WINDOW, _cost)
        self._channels[subscriber] = channel
        self._wake_writer()
        return channel

    def can_subscribe(self, after: int) -> bool:
        """Return whether a reader that has read up to entry `after` keeps up with this task."""
        return not self._is_over and after >= self.seq

    def unsubscribe(self, subscriber: object) -> None:
        """Forget `subscriber`."""
        channel = self._channels.pop(subscriber, None)
        if channel is not None:
            channel.close()
        self._wake_writer()

    async def _write(self, batches: EntryBatches) -> None:
        try:
            async with aclosing(batches):
                async for batch in batches:
                    self.seq = batch[-1].seq
                    await self._publish(batch)
        except (SequenceConflictError, UnknownRunError):
            pass  # another process resumed, ended or deleted this run: its readers read the log
        except PausedError as error:
            self.paused_by = error
            self._live.end_bodies(self.run.id, error)
            self._close_channels(error)
        except Exception as error:
            if not self._close_channels(error):
                logger.error("A run without readers failed.", exc_info=error)
        finally:
            self._close_channels()
            if self._on_end is not None:
                with anyio.CancelScope(shield=True):
                    await self._on_end(self)

    async def _publish(self, batch: list[Entry]) -> None:
        is_milestone = batch[-1].kind in _MILESTONE_KINDS
        keeping_up: list[Channel[list[Entry]]] = []
        for subscriber, channel in self._channels.items():
            if channel is None:
                continue
            if channel.is_empty:
                keeping_up.append(channel)
            # Each reader has a list of its own, which it empties when it has passed it on.
            if not channel.put_now(list(batch)):
                self._channels[subscriber] = None
                channel.close()
        batch.clear()
        if is_milestone and keeping_up:
            with suppress(TimeoutError):
                async with asyncio.timeout(DELIVERY_SECONDS):
                    for channel in keeping_up:
                        await channel.wait_taken()
        while self._can_wait_for_readers and self._channels and not any(self._channels.values()):
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake

    def _close_channels(self, error: Exception | None = None) -> bool:
        """Close the channel of every reader; return whether one of them gets `error`."""
        self._is_over = True
        channels = [channel for channel in self._channels.values() if channel is not None]
        closed = [channel.close(error) for channel in channels]
        return any(closed)

    def _stop_waiting(self) -> None:
        self._can_wait_for_readers = False
        self._wake_writer()

    def _wake_writer(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


def _cost(batch: list[Entry]) -> int:
    return sum(256 + len(entry.payload) for entry in batch)
