"""The runs that are live in this process: which are produced here, and which readers are served.

The bottom of the package: a run's task, a reader's session and the watch over readers all know
this register, and it knows only what the two small protocols below say of them.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from ...errors import RiverrunError
from ...runs import Entry, Run, RunLogError
from ..deadlines import PAUSE_NOTICE_SECONDS, SHUTDOWN_NOTICE_SECONDS
from ..events import Partial
from .channel import Channel, lingering_tasks
from .errors import PausedError

logger = logging.getLogger("riverrun.run")

# For how long a log that was busy is asked to let a run go, and how long the pauses between the
# tries are, in seconds.
SETTLE_SECONDS = 600.0
FIRST_SETTLE_PAUSE = 0.5
LONGEST_SETTLE_PAUSE = 5.0


class BusyError(RiverrunError):
    """This process serves as many streams as its settings allow."""

    code = "rate_limited"
    retryable = True


class LiveTask(Protocol):
    """A run that is produced in this process, as its readers and a shutdown see it.

    `seq` is its last entry in the log. `paused_by` is why the task ended without its run, if it
    did. `can_pause` says whether another process could go on with the run.
    """

    run: Run
    seq: int
    paused_by: PausedError | None
    can_pause: bool
    task: "asyncio.Task[None]"

    def stop(self, error: RiverrunError | None = None) -> None:
        """End the task with `error`; without one the run is stopped, and its answer kept."""

    def abandon(self, *, keeps_run: bool = False) -> None:
        """End the task because no reader is left; one that `keeps_run` leaves it paused."""

    async def wait(self, seconds: float | None = None) -> None:
        """Wait until nothing of the task runs any more, at most `seconds`."""

    def can_subscribe(self, after: int) -> bool:
        """Return whether a reader that has read up to entry `after` keeps up with the task."""

    def subscribe(self, subscriber: object, after: int) -> Channel[list[Entry]] | None:
        """Return a channel that gets every entry from now on; None when `after` lags behind."""

    def unsubscribe(self, subscriber: object) -> None:
        """Forget `subscriber`."""

    def read_partial(self) -> Partial | None:
        """Return the answer as far as entry `seq`; None when there is nothing of it."""


class LiveReader(Protocol):
    """A reader that is served by this process."""

    def end_body(self, error: PausedError) -> None:
        """End the reader's body now, and tell it why."""


class LiveRuns:
    """The register: `streams` counts the readers, `readers` has them by run, `tasks` the runs.

    `presence_tasks` has, for each run, the task that tells other processes of readers here, or
    looks for readers there; `looks` has when a waiting reader here last looked at its producer, and
    what it saw. Once `is_closing`, no reader is admitted.
    """

    def __init__(self, max_streams: int) -> None:
        self.streams = 0
        self.is_closing = False
        self.readers: dict[str, set[LiveReader]] = {}
        self.tasks: dict[str, LiveTask] = {}
        self.presence_tasks: dict[str, asyncio.Task[None]] = {}
        self.looks: dict[str, tuple[float, Run, bool]] = {}
        self._take_overs: set[asyncio.Task[None]] = set()
        self._settlements: set[asyncio.Task[None]] = set()
        self._max_streams = max_streams

    def admit(self, *, starts_run: bool = False) -> None:
        """Count a reader in. Raises `BusyError` when there is no room, or the process is ending.

        A reader that `starts_run` finds no room either where as many runs are at work as readers
        may be: a reader who leaves ends no run. A producer that was cancelled and has not ended
        is at work.
        """
        if self.is_closing:
            raise BusyError(
                "This service is being ended.",
                code="overloaded",
                retry_after_ms=1000,
                hint="Ask again in a moment.",
            )
        at_work = len(self.tasks) + len(lingering_tasks) if starts_run else 0
        if max(self.streams, at_work) >= self._max_streams:
            raise BusyError(
                "Too many answers are being streamed at the moment.",
                retry_after_ms=1000,
                hint="Ask again in a moment.",
            )
        self.streams += 1

    def release(self) -> None:
        """Count a reader out."""
        self.streams -= 1

    def add_task(self, task: LiveTask) -> None:
        """Register a task; one that is added while the process is closing is stopped at once."""
        self.tasks[task.run.id] = task
        if self.is_closing:
            task.stop(PausedError("shutdown"))  # before its first step: no model is paid

    def remove_task(self, task: LiveTask) -> None:
        """Forget a task that has ended."""
        if self.tasks.get(task.run.id) is task:
            del self.tasks[task.run.id]

    def find_unpaused_task(self, run_id: str) -> LiveTask | None:
        """Return the task that produces a run here; None also for one that has just paused it."""
        task = self.tasks.get(run_id)
        return task if task is not None and task.paused_by is None else None

    async def wait_finished(self, run_id: str, seconds: float | None = None) -> None:
        """Wait until a run is not produced here any more, at most `seconds`."""
        if (task := self.tasks.get(run_id)) is not None:
            await task.wait(seconds)

    def add_reader(self, run_id: str, reader: LiveReader) -> bool:
        """Register a reader of a run; return whether it is the first here."""
        readers = self.readers.setdefault(run_id, set())
        readers.add(reader)
        if self.is_closing:
            self._end_body_in_time(run_id, reader)  # admitted at the last moment
        return len(readers) == 1

    def remove_reader(self, run_id: str, reader: LiveReader) -> bool:
        """Forget a reader; return whether it was the last of its run here."""
        readers = self.readers[run_id]
        readers.discard(reader)
        if readers:
            return False
        del self.readers[run_id]
        self.looks.pop(run_id, None)
        return True

    def end_bodies(self, run_id: str, reason: PausedError) -> None:
        """End, 0.05 s from now, the bodies of a run paused here whose readers still read its log.

        The others were told already: their channels were closed with `reason`.
        """
        loop = asyncio.get_running_loop()
        for reader in self.readers.get(run_id, ()):
            loop.call_later(PAUSE_NOTICE_SECONDS, reader.end_body, reason)

    def close(self) -> None:
        """Pause every run and end every body, within 0.2 s; admit no reader any more.

        A run that cannot go on elsewhere ends as `interrupted`, and its answer so far is kept.
        """
        self.is_closing = True
        for settlement in self._settlements:
            settlement.cancel()
        for task in list(self.tasks.values()):
            task.stop(PausedError("shutdown"))
        for run_id, readers in self.readers.items():
            for reader in readers:
                self._end_body_in_time(run_id, reader)

    def _end_body_in_time(self, run_id: str, reader: LiveReader) -> None:
        # A log that hangs delays the end of a task, and not the word of it. Nor is it left to the
        # task: one whose run another process has ends without a word to its readers here.
        delay = 0.0 if self.find_unpaused_task(run_id) is None else SHUTDOWN_NOTICE_SECONDS
        loop = asyncio.get_running_loop()
        loop.call_later(delay, reader.end_body, PausedError("shutdown"))

    async def finish_take_over(self, work: Coroutine[Any, Any, None]) -> None:
        """Take a run over, to the end of `work` also where the reader that asked for it leaves.

        Cut off between the claim and the producer, it would leave a run that no process writes and
        none may claim. A reader that leaves is not kept waiting for it, the end of the process is.
        """
        task = asyncio.create_task(work)
        self._take_overs.add(task)
        task.add_done_callback(self._take_overs.discard)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_log_failure)
            raise

    def settle_later(self, settle: Callable[[], Awaitable[None]]) -> None:
        """Have `settle` let a run go that is not produced here any more, once its log takes it.

        Until then the run looks as if it were. The end of this process does not wait for it.
        """
        if not self.is_closing:
            task = asyncio.create_task(_settle(settle))
            self._settlements.add(task)
            task.add_done_callback(self._settlements.discard)

    async def wait_closed(self, seconds: float) -> None:
        """Wait until no run is produced or taken over here any more, at most `seconds`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while tasks := self._take_overs | {task.task for task in self.tasks.values()}:
            if (left := end - loop.time()) <= 0:
                return
            # One that is being taken over is a task in a moment, and stops at once.
            await asyncio.wait(tasks, timeout=left)


async def _settle(settle: Callable[[], Awaitable[None]]) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + SETTLE_SECONDS
    pause = FIRST_SETTLE_PAUSE
    while loop.time() < end:
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_SETTLE_PAUSE)
        try:
            await settle()
        except RunLogError as error:
            if error.retryable:
                continue
        except RiverrunError:
            pass  # another process has gone on with it, ended it or deleted it
        return


def _log_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.warning("A run could not be taken over: %r", error)
