"""This process is being ended, with notice: SIGTERM on Lambda, in a container, at a terminal.

Every run is let go, and every reader told, before who gave notice loses patience. Knows nothing
of signals: whoever hears one calls `shut_down`.
"""

import asyncio

from .app import App, default_app
from .run.errors import PausedError

# How long the readers of a run that is produced here wait to be told how it was let go, when the
# process is being ended, in seconds; then they are told without.
READER_NOTICE = 0.17


def shut_down(app: App | None = None) -> None:
    """This process is being ended: let go of every run, and tell every reader, within 0.2 s.

    A run that cannot go on elsewhere ends as `interrupted`, and what it said is kept. Nobody is
    let in after this; what was about to begin is let go before a model is paid. Call it on the
    event loop; `wait_closed` waits for what it set off.
    """
    app = app or default_app()
    app.is_closing = True
    for run_task in list(app.run_tasks.values()):
        run_task.end(PausedError("shutdown"))
    loop = asyncio.get_running_loop()
    for run_id, sessions in app.readers.items():
        # A log that hangs delays the end of a production, and not the word of it.
        delay = 0.0 if app.find_task(run_id) is None else READER_NOTICE
        for session in sessions:
            loop.call_later(delay, session.disconnect, PausedError("shutdown"))


async def wait_closed(seconds: float, app: App | None = None) -> None:
    """Wait until nothing is produced here any more, also what nobody reads, at most `seconds`."""
    app = app or default_app()
    if tasks := {run_task.task for run_task in app.run_tasks.values()}:
        await asyncio.wait(tasks, timeout=seconds)
