"""What this process is made of: its settings, run log, context and chat provider.

Each part is opened when first used, so a cold start pays only for what it answers with, and an
installation at fault says so before a model is paid.
"""

import os
from collections import Counter
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING

from services.errors import RiverrunError
from services.runs import RunLog, open_log
from services.settings import Settings, read_settings

if TYPE_CHECKING:
    from services.chat import ChatProvider
    from services.context import Library
    from services.runs.recordings import Recording
    from services.streaming.production import Production


class BusyError(RiverrunError):
    """This process has as many streams open as it was told to."""

    code = "rate_limited"
    retryable = True


@dataclass
class Installation:
    """One process's parts.

    `streams` counts the readers it serves now, `readers` those of each run; `productions` are
    the runs that are being produced here.
    """

    settings: Settings
    streams: int = field(default=0, init=False)
    readers: Counter[str] = field(default_factory=Counter, init=False)
    productions: "dict[str, Production]" = field(default_factory=dict, init=False)

    @property
    def durable(self) -> bool:
        """Whether the log outlives this process."""
        return not self.settings.log.startswith("memory://")

    @property
    def gives_up(self) -> bool:
        """Whether a run that nobody reads is closed: nobody could find it again, or so set."""
        return not self.durable or self.settings.abandoned == "stop"

    @cached_property
    def log(self) -> RunLog:
        """Where runs are kept."""
        return open_log(self.settings)

    @cached_property
    def context(self) -> "Library":
        """Where passages come from."""
        from services.context import open_context

        return open_context(self.settings)

    @cached_property
    def chat(self) -> "ChatProvider":
        """Who writes the answers."""
        from services.chat import open_chat

        return open_chat(self.settings)

    @cached_property
    def recordings(self) -> "tuple[Recording, ...]":
        """What is replayed instead of answering; none where nothing is."""
        from services.streaming.replay import open_recordings

        return open_recordings(self.settings.replay) if self.settings.replay else ()

    def admit(self) -> None:
        """Count a reader in. Raises `BusyError` when there is no room."""
        if self.streams >= self.settings.max_streams:
            raise BusyError(
                "Too many answers are being streamed at the moment.",
                retry_after_ms=1000,
                hint="Ask again in a moment.",
            )
        self.streams += 1

    async def finished(self, run_id: str) -> None:
        """Wait until a run is not produced here any more."""
        if (production := self.productions.get(run_id)) is not None:
            await production.ended()

    def dismiss(self) -> None:
        """Count a reader out."""
        self.streams -= 1


@cache
def installed() -> Installation:
    """The installation of this process, from its environment."""
    return Installation(read_settings(os.environ))
