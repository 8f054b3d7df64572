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
from typing import Any

import anyio

from ...errors import RiverrunError
from ...runs import Entry, Run
from ..app import App
from ..deadlines import BODY_MARGIN, FRONT_MARGIN, PARTIAL_READ_SECONDS
from ..events import Partial, Paused
from ..question import Reader
from ..run.checkpoint import read_transcript
from ..run.errors import PausedError
from ..run.log_writer import Entries, as_entry
from ..run.registry import LiveTask
from ..run.transcript import make_error_event
from .presence import on_first_reader, on_last_reader_left

logger = logging.getLogger("riverrun.run")


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
    session = _open_session(app, run, reader)
    run_task = app.live.find_task(run.id)
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
        await _close_session(app, run, session, will_return=pause is not None, is_over=ended)


def _make_paused_entry(pause: PausedError, cursor: str, *, idle: bool) -> Entry:
    # Somebody who comes back to a body that said nothing would come back at once for ever.
    wait = 1000 if idle else 0
    return as_entry(0, Paused(reason=pause.reason, cursor=cursor, resume_after_ms=wait))


async def _make_error_entry(
    pause: PausedError, run: Run, seq: int, app: App, run_task: LiveTask | None
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


async def _read_partial(run: Run, seq: int, app: App, run_task: LiveTask | None) -> Partial | None:
    """What there is of the answer up to entry `seq`, which is what this reader has read."""
    if run_task is not None and run_task.pause is not None and run_task.seq == seq:
        return run_task.read_partial()
    known = await app.log.find(run.id, run.owner)
    transcript, _ = await read_transcript(known, app.log, seq)
    return transcript.partial()


def _open_session(app: App, run: Run, reader: Reader) -> ReaderSession:
    session = ReaderSession(reader)
    if app.live.add_reader(run.id, session):
        on_first_reader(app, run.id)
    if app.live.is_closing and app.live.find_task(run.id) is None:
        session.disconnect(PausedError("shutdown"))  # it was admitted at the last moment
    return session


async def _close_session(
    app: App, run: Run, session: ReaderSession, *, will_return: bool, is_over: bool
) -> None:
    session.close()
    app.live.release()
    with anyio.CancelScope(shield=True):
        if app.live.remove_reader(run.id, session):
            await on_last_reader_left(app, run.id, will_return=will_return, is_over=is_over)
