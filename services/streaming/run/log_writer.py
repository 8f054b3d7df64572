"""Append, then show: the stage that puts a run's events into its log.

After it there are only entries. An entry that comes out of `append_to_log` has been acknowledged by
the store, so no reader ever sees what a resumed reader would not. Knows nothing of dialects.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from functools import partial

import anyio

from ...errors import RiverrunError
from ...runs import (
    LEASE_SECONDS,
    Entry,
    Run,
    RunLog,
    RunLogError,
    SequenceConflictError,
    UnknownRunError,
)
from ...runs.lease import RENEWALS_PER_LEASE
from ...runs.retry import append_patiently
from ..deadlines import SHUTDOWN_CLEANUP_SECONDS
from ..event_json import payload
from ..events import KINDS, TERMINAL_KINDS, Event, PauseReason, Token
from .errors import PausedError, reader_left_error
from .stages import Batches
from .transcript import TOKEN_LIMIT, Transcript

logger = logging.getLogger("riverrun.run")

# However much a producer writes, it renews its lease after this many seconds: that is also how a
# store knows for how long to keep the run.
LONGEST_UNRENEWED = 15.0

# How often a log that fails is asked to release a lease.
RELEASE_TRIES = 5

# How often a silent producer's log is looked at, in seconds: a stop from another process is an end
# that is there already. `make_interruptible` passes an empty batch as often.
LOG_CHECK_INTERVAL = 0.5

# A token of a durable log grows by its neighbours until it has this many characters.
JOINED_TOKEN_LENGTH = 48

Entries = AsyncGenerator[Entry | None, None]
"""The entries of a run as a reader gets them; None stands for silence."""

EntryBatches = AsyncGenerator[list[Entry], None]
"""Entries as they were appended, never an empty list. Taken as `Batches` are."""

SettleLater = Callable[[Callable[[], Awaitable[None]]], None]
"""Does again, until a log that is busy takes it, what lets a run go."""


async def append_to_log(
    batches: Batches,
    run: Run,
    log: RunLog,
    transcript: Transcript,
    *,
    after: int = 0,
    join: Callable[[], bool] = lambda: False,
    make_checkpoint: Callable[[PauseReason, int], bytes] | None = None,
    may_wait: Callable[[], bool] = lambda: True,
    settle_later: SettleLater | None = None,
    now: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> EntryBatches:
    """Yield append events to the log of `run` after entry `after`, then pass them on.

    Where `join` says so, neighbouring tokens of a batch become one entry: a store that must reach
    a disk or a network is asked tens of times an answer, not once a token. In silence the lease is
    renewed and the log looked at: another process may have ended the run. A log that is busy is
    asked again for as long as `may_wait` says. Closed before its terminal event, it closes the
    producer and ends the run in the log, so that no reader waits for the rest. The lease of a run
    that can go on elsewhere is released instead, with the checkpoint that
    `make_checkpoint` gives for the last entry that was acknowledged. What a log that is busy does
    not take of that is left to `settle_later`. Raises `PausedError` then,
    and what the log raises. Raises `SequenceConflictError` when another process has ended this run
    or writes it: on the way out it closes `batches`, and with them every stage down to the
    producer, whose task is cancelled (`channel.run_pump`). `now` gives epoch seconds, `monotonic`
    seconds that only grow.
    """
    seq = after
    owes_ending = True
    lease = _Lease(log, run, monotonic)
    cause = reader_left_error()
    pause_reason: PauseReason | None = None
    try:
        async with aclosing(batches):
            async for batch in batches:
                await lease.renew_if_due()
                if not batch:
                    await _check_conflict(log, run, seq)
                    continue
                entries = as_entries(seq, _join_tokens(batch) if join() else batch)
                batch.clear()
                await append_patiently(log, run.id, entries, may_wait=may_wait)
                lease.note_append()
                seq += len(entries)
                owes_ending = not entries[-1].terminal
                yield entries
    except (SequenceConflictError, UnknownRunError):
        owes_ending = False  # another process writes it, or its owner deleted it
        raise
    except PausedError as error:
        pause_reason = error.reason
        raise
    except (asyncio.CancelledError, GeneratorExit):
        pause_reason = "shutdown"  # this process, or this invocation of it, is being ended
        raise
    except RunLogError as error:
        pause_reason = "interrupted"  # another process may go on with it, when the log works again
        cause = make_log_error(error)
        raise cause from error
    except Exception:
        cause = RiverrunError("The answer could not be kept.", hint="Ask again in a moment.")
        raise
    finally:
        if owes_ending:
            with anyio.CancelScope(shield=True):
                if make_checkpoint is not None and pause_reason is not None:
                    checkpoint = make_checkpoint(pause_reason, seq)
                    await release_lease(run, log, checkpoint, settle_later)
                else:
                    ending = as_entries(seq, transcript.make_failed_ending(cause, now()))
                    await _append_ending(ending, run, log, settle_later)


class _Lease:
    """The signs of life of one producer: its entries, and renewals where it has none.

    By a monotonic clock: one that people set is no measure of silence.
    """

    def __init__(self, log: RunLog, run: Run, monotonic: Callable[[], float]) -> None:
        self._log = log
        self._run = run
        self._monotonic = monotonic
        self._signed_at = self._renewed_at = monotonic()

    async def renew_if_due(self) -> None:
        """Renew the lease where the last sign is too old. A busy log is asked the next time."""
        now = self._monotonic()
        is_silent = now - self._signed_at >= LEASE_SECONDS / RENEWALS_PER_LEASE
        if is_silent or now - self._renewed_at >= LONGEST_UNRENEWED:
            try:
                await self._log.renew(self._run)
            except RunLogError as error:
                if not error.retryable:
                    raise
            else:
                self._signed_at = self._renewed_at = now

    def note_append(self) -> None:
        """Count an entry as a sign of life."""
        self._signed_at = self._monotonic()


def make_log_error(error: RunLogError) -> RunLogError:
    """Make what a reader is told of a log that did not keep an event or give it back."""
    return RunLogError(
        "The answer could not be kept.",
        code=error.code,
        retryable=error.retryable,
        retry_after_ms=error.retry_after_ms,
        hint="Ask again in a moment." if error.retryable else None,
    )


async def _check_conflict(log: RunLog, run: Run, seq: int) -> None:
    try:
        last = await log.read_last(run.id)
    except RunLogError as error:
        if not error.retryable:
            raise
        return  # looked at again in a moment
    if last is not None and last.seq > seq:
        raise SequenceConflictError


async def release_lease(
    run: Run, log: RunLog, checkpoint: bytes, settle_later: SettleLater | None = None
) -> None:
    """End the lease of `run` now, and leave `checkpoint`. Raises nothing.

    A log that fails at once is asked again at once: a process that ends has a tenth of a second,
    and a release that was applied although it failed may be applied again. After that it is left
    to `settle_later`.
    """
    release = partial(log.release, run, checkpoint=checkpoint)
    end = time.monotonic() + SHUTDOWN_CLEANUP_SECONDS
    for _ in range(RELEASE_TRIES):
        if await _try_to_settle(run, release):
            return
        if time.monotonic() >= end:
            break
    _leave_unsettled(run, release, settle_later)


async def _append_ending(
    ending: list[Entry], run: Run, log: RunLog, settle_later: SettleLater | None
) -> None:
    append = partial(log.append, run.id, ending)
    if not await _try_to_settle(run, append):
        _leave_unsettled(run, append, settle_later)


async def _try_to_settle(run: Run, settle: Callable[[], Awaitable[None]]) -> bool:
    """Return whether nothing more is to be done; False where a log is busy. Raises nothing."""
    try:
        await settle()
    except (SequenceConflictError, UnknownRunError):
        pass  # another process has resumed, ended or deleted it
    except Exception as error:
        if isinstance(error, RunLogError) and error.retryable:
            return False
        logger.exception("Run %s could not be released or ended in its log.", run.id)
    return True


def _leave_unsettled(
    run: Run, settle: Callable[[], Awaitable[None]], settle_later: SettleLater | None
) -> None:
    logger.warning("Run %s could not be released or ended: its log is busy.", run.id)
    if settle_later is not None:
        settle_later(settle)


def _join_tokens(events: Iterable[Event]) -> list[Event]:
    # A few words at a time: an answer still arrives in pieces, also one that is made at once.
    joined: list[Event] = []
    for event in events:
        last = joined[-1] if joined else None
        if type(event) is Token and type(last) is Token and len(last.text) < JOINED_TOKEN_LENGTH:
            text = last.text + event.text
            if len(text) <= TOKEN_LIMIT:
                joined[-1] = Token(text)
                continue
        joined.append(event)
    return joined


def as_entries(seq: int, events: Iterable[Event]) -> list[Entry]:
    """Return `events` as the entries that follow entry `seq`."""
    return [as_entry(number, event) for number, event in enumerate(events, seq + 1)]


def as_entry(seq: int, event: Event) -> Entry:
    """Return one event as an entry; `seq` 0 for what is shown and not kept."""
    kind = KINDS[type(event)]
    return Entry(seq, kind, payload(event), kind in TERMINAL_KINDS)
