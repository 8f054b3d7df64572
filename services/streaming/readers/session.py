"""Readers come and go: counting them, and sending them off.

Losing a reader is not stopping. Where the log outlives this process, a run goes on to its end
without readers, and whoever comes back finds it; the installation may say otherwise
(`RIVERRUN_ON_ABANDONED`, `presence.py`). Where the log is this process's memory, it is closed.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio

from ...errors import RiverrunError
from ...runs import Entry, Run
from ..app import App
from ..events import Partial, Paused
from ..question import Reader
from ..run.errors import PausedError
from ..run.log_writer import Entries, as_entry
from ..run.transcript import make_error_event
from .presence import on_first_reader, on_last_reader_left
from .tail import read_transcript

if TYPE_CHECKING:
    from ..run.task import RunTask

logger = logging.getLogger("riverrun.run")

# A body ends by itself this long before the platform ends the function, or the front the body,
# in seconds. Before the first, the run has been let go already (`DEADLINE_MARGIN`).
BODY_MARGIN = 1.4
FRONT_MARGIN = 1.0

# How long the last look into the log may take, in seconds: the body still ends a second before
# the platform ends the function.
PARTIAL_READ_SECONDS = 0.3


class ReaderSession:
    """One reader's place: from it they can be sent off at once, whatever they wait for.

    `limit` is what their own time ends with. As `asyncio.timeout`, but with one timer for a whole
    body: one for each entry would take longer than all the rest of it.
    """

    __slots__ = ("_disconnected_by", "_task", "_timer", "limit")

    def __init__(self, reader: Reader) -> None:
        self.limit = PausedError("deadline")
        self._disconnected_by: PausedError | None = None
        self._task: asyncio.Task[Any] | None = None
        left: float | None = None
        if reader.seconds_left is not None:
            left = reader.seconds_left - BODY_MARGIN
        if reader.response_seconds_left is not None:
            front = max(
                reader.response_seconds_left - FRONT_MARGIN, reader.response_seconds_left / 2
            )
            if left is None or front < left:
                self.limit, left = PausedError("front"), front
        self._timer: asyncio.TimerHandle | None = None
        if left is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, left), self.disconnect, self.limit)

    def disconnect(self, error: PausedError) -> None:
        """End this body between two entries, now. Asking again changes nothing."""
        if self._disconnected_by is None:
            self._disconnected_by = error
            if self._task is not None:
                self._task.cancel()

    async def next(self, entries: AsyncIterator[Entry | None]) -> Entry | None:
        """The next entry. Raises what they were sent off with, else what `anext` raises."""
        if self._disconnected_by is not None:
            raise self._disconnected_by
        self._task = task = asyncio.current_task()
        cancelling = task.cancelling() if task is not None else 0
        try:
            return await anext(entries)
        except asyncio.CancelledError:
            if (error := self._disconnect_error()) is None or (
                task and task.uncancel() > cancelling
            ):
                raise  # somebody else means it
            raise error from None
        finally:
            self._task = None

    def _disconnect_error(self) -> PausedError | None:
        return self._disconnected_by

    def close(self) -> None:
        """The reader has gone."""
        if self._timer is not None:
            self._timer.cancel()


async def prime(entries: Entries) -> Entries:
    """Run a generator to its first `yield`, which says only that it has begun.

    A generator that was never begun runs no `finally` when it is closed, and a response may be
    dropped before its first byte: so these are begun where they are made.
    """
    await anext(entries)
    return entries


async def start_uncancellable(
    beginning: Coroutine[Any, Any, tuple[Run, Entries]],
) -> tuple[Run, Entries]:
    """Begin to read a run, and not in part: cancelled, it is begun all the same, and left.

    Between the lease and the producer there would be a run that nobody writes, and that nobody
    else may write until its lease is over.
    """
    task = asyncio.create_task(beginning)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        with anyio.CancelScope(shield=True):
            await asyncio.wait({task})
            if not task.cancelled() and task.exception() is None:
                await task.result()[1].aclose()
        raise
    return task.result()


async def serve_reader(
    entries: Entries,
    app: App,
    run: Run,
    reader: Reader,
    after: int = 0,
    *,
    will_resume: bool = False,
) -> Entries:
    """Pass `entries` on to one reader of a run, and count that reader out. Needs `prime`.

    The body ends in time, and one whose run is not at its end with a word in no log: `paused` for a
    reader who `will_resume` to go on, else an error that may be retried. A log that fails under
    way, writing or reading, ends it with an error too: a reader who is told nothing waits for ever.
    """
    session = _open_session(app, run.id, reader)
    run_task = app.find_task(run.id)
    if app.is_closing and run_task is None:
        session.disconnect(PausedError("shutdown"))  # they were let in at the last moment
    seq = after
    ended = False
    pause: PausedError | None = None
    try:
        async with aclosing(entries):
            yield None
            while not ended:
                try:
                    entry = await session.next(entries)
                except StopAsyncIteration:
                    break
                if entry is not None:
                    seq, ended = entry.seq, entry.terminal
                yield entry
    except PausedError as error:
        pause = error
        # Somebody whose own time was over may come back to a run that nobody can go on with:
        # somebody writes it.
        comes_back = reader.resume if error is session.limit else will_resume
        if comes_back:
            yield _make_paused_entry(error, f"{run.id}-{seq}", idle=seq == after)
        else:
            yield await _make_error_entry(error, run, seq, app, run_task)
    except Exception as error:
        if not isinstance(error, RiverrunError) or error.code == "internal":
            logger.error("A run's log failed.", exc_info=error)
            error = RiverrunError("The answer could not be kept.", hint="Ask again in a moment.")
        if not ended:
            yield as_entry(0, make_error_event(error))
    finally:
        session.close()
        app.release()
        with anyio.CancelScope(shield=True):
            await _close_session(app, run.id, session, will_resume=pause is not None, ended=ended)


def _make_paused_entry(pause: PausedError, cursor: str, *, idle: bool) -> Entry:
    # Somebody who comes back to a body that said nothing would come back at once for ever.
    wait = 1000 if idle else 0
    return as_entry(0, Paused(reason=pause.reason, cursor=cursor, resume_after_ms=wait))


async def _make_error_entry(
    pause: PausedError, run: Run, seq: int, app: App, run_task: "RunTask | None"
) -> Entry:
    failure = make_error_event(pause)
    try:
        async with asyncio.timeout(PARTIAL_READ_SECONDS):
            failure = replace(failure, partial=await _read_partial(run, seq, app, run_task))
    except Exception:  # noqa: BLE001 - without what there was, it is still told in time
        logger.warning("Run %s: what there was could not be read in time.", run.id)
    return as_entry(
        0,
        replace(
            failure,
            code="deadline",
            run_id=run.id,
            cursor=f"{run.id}-{seq}",
            hint="Read on from the cursor.",
        ),
    )


async def _read_partial(run: Run, seq: int, app: App, run_task: "RunTask | None") -> Partial | None:
    """What there is of the answer up to entry `seq`, which is what this reader has read."""
    if run_task is not None and run_task.paused is not None and run_task.seq == seq:
        return run_task.transcript.partial()
    known = await app.log.find(run.id, run.owner)
    transcript, _ = await read_transcript(known, app, seq)
    return transcript.partial()


def _open_session(app: App, run_id: str, reader: Reader) -> ReaderSession:
    session = ReaderSession(reader)
    sessions = app.readers.setdefault(run_id, set())
    if not sessions:
        on_first_reader(app, run_id)
    sessions.add(session)
    return session


async def _close_session(
    app: App, run_id: str, session: ReaderSession, *, will_resume: bool, ended: bool
) -> None:
    sessions = app.readers[run_id]
    sessions.discard(session)
    if not sessions:
        del app.readers[run_id]
        await on_last_reader_left(app, run_id, will_resume=will_resume, ended=ended)
