"""A run that is produced in this process, apart from the readers it has.

A task drives the stages of one run from its producer into its log. The reader that asked is fed
from it through a bounded channel. Knows nothing of HTTP or encoders.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import TypeVar

import anyio

from ...errors import RiverrunError
from ...runs import LEASE_SECONDS, Entry, Run, RunLog, SequenceConflictError
from ..events import Partial
from .channel import Channel
from .errors import PausedError, reader_left_error
from .log_writer import EntryBatches
from .registry import LiveRuns
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


class RunTask:
    """One run's task here, going on after entry `after`.

    `stop_asked` is done when it was asked to end, with what ends it as its result. One that
    `can_pause` may end without its run: `pause` is why it did. Entry `seq` is its last one in the
    log, and `transcript` is what it said up to there.
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
    ) -> None:
        self.run = run
        self.transcript = transcript
        self.can_pause = can_pause
        self.after = self.seq = after
        self.pause: PausedError | None = None
        self.stop_asked: asyncio.Future[RiverrunError | None]
        self.stop_asked = asyncio.get_running_loop().create_future()
        self.channel: Channel[list[Entry]] = Channel(_CHANNEL_LIMIT, _cost)
        self.task: asyncio.Task[None]
        self._log = log
        self._live = live

    def start(self, batches: EntryBatches, seconds_left: float | None = None) -> None:
        """Start to drive `batches`, which are in the log when they come out.

        `seconds_left` is how long the platform lets this process run.
        """
        self.task = asyncio.create_task(self._write(batches))
        self.task.add_done_callback(lambda _task: self._live.remove_task(self))
        if seconds_left is not None:
            self._stop_waiting(max(0.0, seconds_left - DEADLINE_MARGIN) + READER_PATIENCE)
        self._live.add_task(self)

    def stop(self, error: RiverrunError | None = None) -> None:
        """End the task with `error`; without one the run is stopped, and its answer kept.

        Asking again changes nothing.
        """
        if not self.stop_asked.done():
            self.stop_asked.set_result(error)
            self._stop_waiting(READER_PATIENCE)

    def abandon(self, *, pause: bool = False) -> None:
        """Close the producer, because no reader is left: `pause` the run, or end it."""
        if self.can_pause:
            self.stop(PausedError("abandoned") if pause else reader_left_error())
        else:
            self.task.cancel()

    async def wait(self) -> None:
        """Wait until nothing of this run runs here any more."""
        with anyio.CancelScope(shield=True):
            await asyncio.wait({self.task})

    def read_partial(self) -> Partial | None:
        """Return the answer as far as entry `seq`; None when there is nothing of it."""
        return self.transcript.partial()

    def _stop_waiting(self, seconds: float) -> None:
        def look() -> None:
            if self.channel.is_awaited and not self.task.done():
                self._stop_waiting(READER_PATIENCE)
            else:
                # A reader who is not reading keeps nobody from writing down how it ended.
                self.channel.close()

        timer = asyncio.get_running_loop().call_later(seconds, look)
        self.task.add_done_callback(lambda _task: timer.cancel())

    async def _write(self, batches: EntryBatches) -> None:
        channel, hold = self.channel, partial(self._log.renew, self.run)
        try:
            async with aclosing(batches):
                async for batch in batches:
                    self.seq = batch[-1].seq
                    milestone = batch[-1].kind in _MILESTONES
                    # There may be no reader to take it: it is in the log.
                    if not await _hold_lease_while(partial(channel.put, batch), hold):
                        batch.clear()
                    elif milestone:
                        await _hold_lease_while(channel.wait_taken, hold)
        except SequenceConflictError:
            pass  # another process resumed or ended this run: its readers read the log
        except PausedError as error:
            self.pause = error
            self._live.disconnect_readers(self.run.id, error)
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
