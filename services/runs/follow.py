"""Read a run from its log as it grows."""

from collections.abc import AsyncGenerator

from .log import Entry, RunLog


async def follow(
    log: RunLog, run_id: str, after: int = 0, *, heartbeat: float = 10.0
) -> AsyncGenerator[Entry | None, None]:
    """Every entry of a run after `after`, as they come, up to and with the terminal one.

    Yields None when all that was there has been read, and after each `heartbeat` seconds in which
    nothing came; nothing at all when `after` is the end. Reading never starts or changes a run.
    """
    last = await log.read_last(run_id)
    if last is not None and last.terminal and last.seq <= after:
        return
    silent = True
    while True:
        while entries := await log.read(run_id, after):
            for entry in entries:
                yield entry
                after = entry.seq
                if entry.terminal:
                    return
        if silent:
            yield None
        silent = not await log.wait(run_id, after, heartbeat)
