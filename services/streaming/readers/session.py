"""Serve one reader of a run: count it, end its body in time.

A reader that leaves does not stop the run. Where the log outlives this process, the run goes on to
its end without readers, and is read later; the settings may say otherwise
(`RIVERRUN_ON_ABANDONED`, `presence.py`). Where the log is this process's memory, the run ends.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import anyio

from ...errors import RiverrunError
from ...runs import Entry, Run
from ..app import App
from ..deadlines import BODY_MARGIN, FRONT_MARGIN, PARTIAL_READ_SECONDS
from ..events import Partial, Paused
from ..question import ReaderTerms
from ..run.checkpoint import read_transcript
from ..run.errors import BodyOverError, CutError, PausedError
from ..run.log_writer import Entries, as_entry
from ..run.registry import LiveTask
from ..run.transcript import make_error_event
from .presence import on_first_reader, on_last_reader_left

logger = logging.getLogger("riverrun.run")

# How long a reader that had a body without an event is told to stay away, in milliseconds: else it
# would come back at once for ever.
IDLE_WAIT_MS = 1000


class ReaderSession:
    """One reader of a run, whose body can be ended at once, whatever it waits for.

    When its own time is over its body ends with `BodyOverError`. Does what `asyncio.timeout` does
    with one timer for a whole body: one for each entry would cost more than the entry.
    """

    __slots__ = ("_ended_by", "_task", "_timer")

    def __init__(self, reader: ReaderTerms) -> None:
        self._ended_by: CutError | None = None
        self._task: asyncio.Task[Any] | None = None
        seconds: float | None = None
        over = BodyOverError("deadline")
        if reader.seconds_left is not None:
            seconds = reader.seconds_left - BODY_MARGIN
        if reader.response_seconds_left is not None:
            front = max(
                reader.response_seconds_left - FRONT_MARGIN, reader.response_seconds_left / 2
            )
            if seconds is None or front < seconds:
                over, seconds = BodyOverError("front"), front
        self._timer: asyncio.TimerHandle | None = None
        if seconds is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, seconds), self.end_body, over)

    def end_body(self, error: CutError) -> None:
        """End this body with `error` now, between two entries. Asking again changes nothing."""
        if self._ended_by is None:
            self._ended_by = error
            if self._task is not None:
                self._task.cancel()

    async def next(self, entries: AsyncIterator[Entry | None]) -> Entry | None:
        """Return the next entry. Raises the error of `end_body`, else what `anext` raises."""
        if self._ended_by is not None:
            raise self._ended_by
        self._task = task = asyncio.current_task()
        cancelling = task.cancelling() if task is not None else 0
        try:
            return await anext(entries)
        except asyncio.CancelledError:
            if (error := self._find_ended_by()) is None or (task and task.uncancel() > cancelling):
                raise  # another caller cancelled the task
            raise error from None
        finally:
            self._task = None

    def _find_ended_by(self) -> CutError | None:
        return self._ended_by

    def close(self) -> None:
        """End the timer: the reader has left."""
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
    """Run `beginning` to its end even if the caller is cancelled; then close what it opened.

    Cancelled between the lease and the producer, it would leave a run without a producer that no
    other process may write until the lease is over.
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
    reader: ReaderTerms,
    after: int = 0,
    *,
    is_told_paused: bool = False,
) -> Entries:
    """Pass `entries` on to one reader of a run, and release that reader at the end. Needs `prime`.

    The body ends in time. Where its run is not at its end, its last event is in no log: `paused`
    for a reader that comes back (where the run was paused, one that `is_told_paused`; where only
    its own time is over, any with `resume`), else an error that may be retried. A log that fails,
    writing or reading, ends the body too: without a word a reader would wait for ever.
    """
    session = _open_session(app, run, reader)
    run_task = app.live.find_unpaused_task(run.id)
    seq = after
    ended = False
    ended_by: CutError | None = None
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
    except CutError as error:
        ended_by = error
        # A reader whose own time is over may come back also to a run that cannot be resumed: its
        # producer still writes it.
        if reader.resume if isinstance(error, BodyOverError) else is_told_paused:
            yield _make_paused_entry(error, f"{run.id}-{seq}", IDLE_WAIT_MS if seq == after else 0)
        else:
            entry = await _make_read_on_entry(error, run, seq, app, run_task, idle=seq == after)
            yield entry
    except Exception as error:  # noqa: BLE001 - whatever it is, the reader is told
        last = _make_log_failure_entry(error, run, seq, is_told_paused=is_told_paused)
        if not ended:
            yield last
    finally:
        await _close_session(app, run, session, will_return=ended_by is not None, is_over=ended)


def _make_log_failure_entry(error: Exception, run: Run, seq: int, *, is_told_paused: bool) -> Entry:
    if not isinstance(error, RiverrunError) or error.code == "internal":
        logger.error("The log of run %s failed.", run.id, exc_info=error)
        error = RiverrunError("The answer could not be kept.", hint="Its log says why.")
    cursor = f"{run.id}-{seq}" if error.retryable else None
    if cursor is not None and is_told_paused:
        wait_ms = error.retry_after_ms or IDLE_WAIT_MS
        return _make_paused_entry(PausedError("interrupted"), cursor, wait_ms)
    return as_entry(0, replace(make_error_event(error), run_id=run.id, cursor=cursor))


def _make_paused_entry(error: CutError, cursor: str, wait_ms: int) -> Entry:
    return as_entry(0, Paused(reason=error.reason, cursor=cursor, resume_after_ms=wait_ms))


async def _make_read_on_entry(
    error: CutError, run: Run, seq: int, app: App, run_task: LiveTask | None, *, idle: bool
) -> Entry:
    # Whatever ended this body, the contract has one error for its reader (section 6): `deadline`,
    # with a cursor. The run itself goes on, or waits; its own end has a code of its own.
    failure = make_error_event(error)
    try:
        async with asyncio.timeout(PARTIAL_READ_SECONDS):
            failure = replace(failure, partial=await _read_partial(run, seq, app, run_task))
    except Exception:  # noqa: BLE001 - the error goes out in time, without the partial answer
        logger.warning("Run %s: its partial answer could not be read in time.", run.id)
    return as_entry(
        0,
        replace(
            failure,
            code="deadline",
            run_id=run.id,
            cursor=f"{run.id}-{seq}",
            retry_after_ms=IDLE_WAIT_MS if idle else None,
            hint="Read on from the cursor, with resume=1.",
        ),
    )


async def _read_partial(run: Run, seq: int, app: App, run_task: LiveTask | None) -> Partial | None:
    """Return the answer up to entry `seq`, which is what this reader has read."""
    if run_task is not None and run_task.paused_by is not None and run_task.seq == seq:
        return run_task.read_partial()
    known = await app.log.find(run.id, run.owner)
    transcript, _ = await read_transcript(known, app.log, seq)
    return transcript.partial()


def _open_session(app: App, run: Run, reader: ReaderTerms) -> ReaderSession:
    session = ReaderSession(reader)
    if app.live.add_reader(run.id, session):
        on_first_reader(app, run.id)
    return session


async def _close_session(
    app: App, run: Run, session: ReaderSession, *, will_return: bool, is_over: bool
) -> None:
    session.close()
    app.live.release()
    with anyio.CancelScope(shield=True):
        if app.live.remove_reader(run.id, session):
            await on_last_reader_left(app, run.id, will_return=will_return, is_over=is_over)
