"""What this process is made of: its settings, run log, context and chat provider.

Each part is opened when first used, so a cold start pays only for what it answers with, and an
installation at fault says so before a model is paid.
"""

import asyncio
import os
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING

from ..errors import RiverrunError
from ..runs import RunLog, open_log
from ..settings import Settings, read_settings

if TYPE_CHECKING:
    from ..chat import ChatProvider
    from ..context import Library
    from ..runs.recordings import Recording
    from .readers.session import ReaderSession
    from .run.errors import PausedError
    from .run.task import RunTask


# How long the readers of a run that was let go have to read its last entries, in seconds.
PAUSE_NOTICE = 0.05


class BusyError(RiverrunError):
    """This process has as many streams open as it was told to."""

    code = "rate_limited"
    retryable = True


@dataclass
class App:
    """One process's parts.

    `streams` counts the readers it serves now, `readers` are their seats, for each run; `run_tasks`
    are the runs that are being produced here. `presence_tasks` are the tasks that tell other
    processes of the readers here, or look for theirs, one for a run. Once `is_closing`, nobody is
    let in.
    """

    settings: Settings
    streams: int = field(default=0, init=False)
    is_closing: bool = field(default=False, init=False)
    readers: "dict[str, set[ReaderSession]]" = field(default_factory=dict, init=False)
    run_tasks: "dict[str, RunTask]" = field(default_factory=dict, init=False)
    presence_tasks: "dict[str, asyncio.Task[None]]" = field(default_factory=dict, init=False)

    @property
    def is_durable(self) -> bool:
        """Whether the log outlives this process."""
        return not self.settings.log.startswith("memory://")

    @cached_property
    def log(self) -> RunLog:
        """Where runs are kept."""
        return open_log(self.settings)

    @cached_property
    def context(self) -> "Library":
        """Where passages come from."""
        from ..context import open_context

        return open_context(self.settings)

    @cached_property
    def chat(self) -> "ChatProvider":
        """Who writes the answers."""
        from ..chat import open_chat

        return open_chat(self.settings)

    @cached_property
    def recordings(self) -> "tuple[Recording, ...]":
        """What is replayed instead of answering; none where nothing is."""
        from .answering.replay import open_recordings

        return open_recordings(self.settings.replay) if self.settings.replay else ()

    def admit(self) -> None:
        """Count a reader in. Raises `BusyError` when there is no room, or no time any more."""
        if self.is_closing:
            raise BusyError(
                "This service is being ended.",
                code="overloaded",
                retry_after_ms=1000,
                hint="Ask again in a moment.",
            )
        if self.streams >= self.settings.max_streams:
            raise BusyError(
                "Too many answers are being streamed at the moment.",
                retry_after_ms=1000,
                hint="Ask again in a moment.",
            )
        self.streams += 1

    def find_task(self, run_id: str) -> "RunTask | None":
        """Who writes that run here; None also for a production that has just let it go."""
        run_task = self.run_tasks.get(run_id)
        return run_task if run_task is not None and run_task.paused is None else None

    def disconnect_readers(self, run_id: str, paused: "PausedError") -> None:
        """A run was let go here: whoever still waits for it in a moment is told so."""
        loop = asyncio.get_running_loop()
        for session in self.readers.get(run_id, ()):
            loop.call_later(PAUSE_NOTICE, session.disconnect, paused)

    def remove_task(self, run_task: "RunTask") -> None:
        """A production has ended here."""
        if self.run_tasks.get(run_task.run.id) is run_task:
            del self.run_tasks[run_task.run.id]

    async def wait_finished(self, run_id: str) -> None:
        """Wait until a run is not produced here any more."""
        if (run_task := self.run_tasks.get(run_id)) is not None:
            await run_task.ended()

    def release(self) -> None:
        """Count a reader out."""
        self.streams -= 1


@cache
def default_app() -> App:
    """The installation of this process, from its environment."""
    return App(read_settings(os.environ))
