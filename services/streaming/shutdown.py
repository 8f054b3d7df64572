"""This process is being ended, with notice: SIGTERM on Lambda, in a container, at a terminal.

Every run is let go, and every reader told, before who gave notice loses patience. Knows nothing
of signals: whoever hears one calls `shut_down`.
"""

import asyncio

from .installation import Installation, installed
from .run.errors import PausedError

# How long the readers of a run that is produced here wait to be told how it was let go, when the
# process is being ended, in seconds; then they are told without.
LAST_MOMENT = 0.17


def shut_down(installation: Installation | None = None) -> None:
    """This process is being ended: let go of every run, and tell every reader, within 0.2 s.

    A run that cannot go on elsewhere ends as `interrupted`, and what it said is kept. Nobody is
    let in after this; what was about to begin is let go before a model is paid. Call it on the
    event loop; `wound_up` waits for what it set off.
    """
    here = installation or installed()
    here.closing = True
    for production in list(here.productions.values()):
        production.end(PausedError("shutdown"))
    loop = asyncio.get_running_loop()
    for run_id, seats in here.readers.items():
        # A log that hangs delays the end of a production, and not the word of it.
        delay = 0.0 if here.producing(run_id) is None else LAST_MOMENT
        for seat in seats:
            loop.call_later(delay, seat.send_off, PausedError("shutdown"))


async def wound_up(seconds: float, installation: Installation | None = None) -> None:
    """Wait until nothing is produced here any more, also what nobody reads, at most `seconds`."""
    here = installation or installed()
    if tasks := {production.task for production in here.productions.values()}:
        await asyncio.wait(tasks, timeout=seconds)
