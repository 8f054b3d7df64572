"""Readers come and go: counting them, and what becomes of a run that nobody reads.

Losing a reader is not stopping. Where the log outlives this process, a run goes on to its end
without readers, and whoever comes back finds it; where the log is this process's memory, or
the installation says so (`RIVERRUN_ABANDONED=stop`), it is closed.
"""

import asyncio
import logging
from contextlib import aclosing

import anyio

from services.errors import RiverrunError
from services.streaming.installation import Installation
from services.streaming.recording import Entries, as_entry
from services.streaming.transcript import failure_of

log = logging.getLogger("riverrun.run")


async def started(entries: Entries) -> Entries:
    """Run a generator to its first `yield`, which says only that it has begun.

    A generator that was never begun runs no `finally` when it is closed, and a response may be
    dropped before its first byte: so these are begun where they are made.
    """
    await anext(entries)
    return entries


async def attended(entries: Entries, here: Installation, run_id: str) -> Entries:
    """Pass `entries` on to one reader of a run, and count that reader out. Needs `started`.

    A log that fails under way, writing or reading, ends the stream with an error that is in no
    log: a reader who is told nothing waits for ever.
    """
    here.readers[run_id] += 1
    ended = False
    try:
        async with aclosing(entries):
            yield None
            async for entry in entries:
                ended = entry is not None and entry.terminal
                yield entry
    except Exception as error:
        if not isinstance(error, RiverrunError) or error.code == "internal":
            log.error("A run's log failed.", exc_info=error)
            error = RiverrunError("The answer could not be kept.", hint="Ask again in a moment.")
        if not ended:
            yield as_entry(0, failure_of(error))
    finally:
        here.dismiss()
        with anyio.CancelScope(shield=True):
            await _left(here, run_id)


async def _left(here: Installation, run_id: str) -> None:
    here.readers[run_id] -= 1
    if here.readers[run_id] > 0:
        return
    del here.readers[run_id]
    if run_id not in here.productions or not here.gives_up:
        return
    if here.settings.abandoned_after:
        delay = here.settings.abandoned_after
        asyncio.get_running_loop().call_later(delay, _give_up, here, run_id)
    else:
        await here.productions[run_id].abandon()


def _give_up(here: Installation, run_id: str) -> None:
    production = here.productions.get(run_id)
    if production is not None and not here.readers[run_id]:
        production.task.cancel()
