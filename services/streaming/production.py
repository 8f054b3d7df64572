"""A run being produced in this process, apart from whoever reads it.

A production is a task that drives the stages of one run from its producer into its log. The
reader who asked is fed from it through a bounded channel, so a slow reader slows the producer;
a reader who leaves is only a reader who left. Knows nothing of HTTP or dialects.
"""

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass, field

import anyio

from services.errors import RiverrunError
from services.runs import Entry, NotNextError, Run, RunLog, follow
from services.streaming.channel import Channel
from services.streaming.recording import Entries, Recorded

log = logging.getLogger("riverrun.run")

_CHANNEL_LIMIT = 64 * 1024

# The kinds after which a producer goes on only when its reader has dealt with them.
_MILESTONES = frozenset({"status", "final", "error"})


@dataclass(eq=False)
class Production:
    """One run's task here. `stop` is done when somebody asked it to end."""

    run: Run
    stop: "asyncio.Future[None]"
    channel: Channel[list[Entry]] = field(
        default_factory=lambda: Channel(_CHANNEL_LIMIT, _cost), init=False
    )
    task: "asyncio.Task[None]" = field(init=False)

    def begin(self, batches: Recorded) -> None:
        """Start driving `batches`, which are in the log when they come out."""
        self.task = asyncio.create_task(_drive(batches, self.channel))

    def end(self) -> None:
        """Ask the run to end: what was said is kept. Asking again changes nothing."""
        if not self.stop.done():
            self.stop.set_result(None)

    async def abandon(self) -> None:
        """Close the producer now, because nobody reads it."""
        # A task that was never begun runs no `finally`, and its run would never end.
        await asyncio.sleep(0)
        self.task.cancel()
        await self.ended()

    async def ended(self) -> None:
        """Wait until nothing of this run is left running here."""
        with anyio.CancelScope(shield=True):
            await asyncio.wait({self.task})


def _cost(batch: list[Entry]) -> int:
    return sum(256 + len(entry.payload) for entry in batch)


async def _drive(batches: Recorded, channel: Channel[list[Entry]]) -> None:
    try:
        async with aclosing(batches):
            async for batch in batches:
                # Nobody may be there to take it: it is in the log, where readers look.
                if await channel.put(batch) and batch[-1].kind in _MILESTONES:
                    await channel.taken()
        channel.close()
    except NotNextError:
        # Somebody else goes on with this run, or has ended it: the log tells the reader.
        channel.close()
    except Exception as error:
        if not channel.close(error):
            log.error("A run without readers failed.", exc_info=error)
    finally:
        channel.close()


async def heard(production: Production, log: RunLog, heartbeat: float) -> Entries:
    """What a production says, for the reader who asked; None after `heartbeat` of silence.

    Its first `yield` only says that it has begun, so that its `finally` runs (`started`). It
    goes on with the log where somebody else has gone on with the run.
    """
    seq = 0
    channel = production.channel
    try:
        yield None
        while (batches := await channel.take(heartbeat)) is not None:
            if not batches:
                yield None
            for entry in (entry for batch in batches for entry in batch):
                seq = entry.seq
                yield entry
                if entry.terminal:
                    return
        async for followed in follow(log, production.run.id, seq, heartbeat=heartbeat):
            yield followed
    finally:
        channel.close()


def interrupted() -> RiverrunError:
    """What ends a run whose producer is gone."""
    return RiverrunError(
        "The answer was interrupted: whoever was writing it is gone.",
        code="interrupted",
        retryable=True,
        hint="Ask again.",
    )
