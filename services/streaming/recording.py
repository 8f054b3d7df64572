"""Append, then show: the stage that puts a run's events into its log.

After it there are only entries. An entry that comes out of `record` has been acknowledged by
the store, so no reader ever sees what a resumed reader would not. Knows nothing of dialects.
"""

import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing

import anyio

from services.errors import RiverrunError
from services.runs import Entry, Run, RunLog
from services.streaming.events import KINDS, TERMINAL_KINDS, Event, payload
from services.streaming.installation import Installation
from services.streaming.lifecycle import Batches, StoppedError
from services.streaming.transcript import Transcript, failure_of

_log = logging.getLogger("riverrun.run")

Entries = AsyncGenerator[Entry | None, None]
"""The entries of a run as a reader gets them; None stands for silence."""


async def started(entries: Entries) -> Entries:
    """Run a generator to its first `yield`, which says only that it has begun.

    A generator that was never begun runs no `finally` when it is closed, and a response may be
    dropped before its first byte: so these two are begun where they are made.
    """
    await anext(entries)
    return entries


async def counted(entries: Entries, here: Installation) -> Entries:
    """Pass `entries` on, and count this reader out when it is done. Needs `started`.

    A log that fails under way, writing or reading, ends the stream with an error that is in no
    log: a reader who is told nothing waits for ever.
    """
    ended = False
    try:
        async with aclosing(entries):
            yield None
            async for entry in entries:
                ended = entry is not None and entry.terminal
                yield entry
    except Exception as error:  # noqa: BLE001 - it is logged, and told to the reader
        if not isinstance(error, RiverrunError) or error.code == "internal":
            _log.error("A run's log failed.", exc_info=error)
            error = RiverrunError("The answer could not be kept.", hint="Ask again in a moment.")
        if not ended:
            yield _entry(0, failure_of(error))
    finally:
        here.dismiss()


async def record(
    batches: Batches,
    run: Run,
    log: RunLog,
    transcript: Transcript,
    *,
    now: Callable[[], float] = time.time,
) -> Entries:
    """Append events to the log of `run`, then pass them on one by one. Needs `started`.

    Closed before its terminal event (the reader has gone), it closes the producer and ends the
    run in the log, so that nobody waits for the rest. Raises what the log raises. `now` gives
    epoch seconds.
    """
    seq = 0
    ended = False
    cause: RiverrunError = StoppedError("The reader left before the answer was finished.")
    try:
        async with aclosing(batches):
            yield None
            async for batch in batches:
                if not batch:
                    yield None
                    continue
                entries = _entries(seq, batch)
                await log.append(run.id, entries)
                seq += len(entries)
                ended = entries[-1].terminal
                for entry in entries:
                    yield entry
    except Exception:
        cause = RiverrunError("The answer could not be kept.", hint="Ask again in a moment.")
        raise
    finally:
        if not ended:
            with anyio.CancelScope(shield=True):
                await _end(transcript.failed(cause, now()), seq, run, log)


async def _end(ending: tuple[Event, ...], seq: int, run: Run, log: RunLog) -> None:
    try:
        await log.append(run.id, _entries(seq, ending))
    except Exception:  # noqa: BLE001 - after the end there is only the log
        _log.exception("Run %s could not be ended in its log.", run.id)


def _entries(seq: int, events: Iterable[Event]) -> list[Entry]:
    return [_entry(number, event) for number, event in enumerate(events, seq + 1)]


def _entry(seq: int, event: Event) -> Entry:
    kind = KINDS[type(event)]
    return Entry(seq, kind, payload(event), kind in TERMINAL_KINDS)
