"""The parts of a process: settings, run log, library, chat provider, recordings, live runs.

A program hands in the parts it has; each other part is opened by the settings when it is first
used, so that a cold start pays only for what it answers with.
"""

import os
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ..access import Access
from ..errors import RiverrunError, SetupError
from ..ledger import Ledger
from ..limits import Limiter
from ..passages import Retriever
from ..runs import RunLog, open_log
from ..settings import Settings, read_settings
from ..telemetry import LoopLag, Reporter, StepTimes
from .event_json import read_event
from .run.registry import LiveRuns

if TYPE_CHECKING:
    from ..chat import ChatProvider
    from ..ledger import Ledger
    from ..runs.recordings import Recording
    from ..telemetry.traces import Tracer

_default: list["App"] = []


class App:
    """The parts of one process.

    `log` keeps the runs, `context` finds passages, `chat` writes answers, and `recordings` are
    replayed instead of answering; `ledger` keeps records beside the runs. `live` is the register
    of the runs that are live here. `access` knows who may ask, `limiter` how much; `reporter` says
    what happened, `loop_lag` how late the event loop was, and `step_times` what steps took.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        log: RunLog | None = None,
        context: Retriever | None = None,
        chat: "ChatProvider | None" = None,
        recordings: "tuple[Recording, ...] | None" = None,
        ledger: "Ledger | None" = None,
    ) -> None:
        self.settings = settings if settings is not None else Settings()
        self.live = LiveRuns(self.settings.max_streams)
        self._log = log
        self._context = context
        self._chat = chat
        self._recordings = recordings
        self._ledger = ledger
        self.access = Access(self.settings.access, self.settings.api_keys, lambda: self.ledger)
        self.limiter = Limiter(self.settings.limits, lambda: self.ledger)
        self.reporter = Reporter(self.settings.telemetry)
        self.loop_lag = LoopLag(self.reporter.note_lag)
        self.step_times = StepTimes()
        self._is_ahead = False

    @cached_property
    def tracer(self) -> "Tracer | None":
        """The exporter of traces; None where none is named."""
        from ..telemetry.traces import open_tracer

        return open_tracer(self.settings.telemetry)

    @property
    def log(self) -> RunLog:
        """The log that keeps the runs."""
        if self._log is None:
            self._log = open_log(self.settings)
        return self._log

    @property
    def context(self) -> Retriever:
        """The library that finds passages."""
        if self._context is None:
            from ..context import open_context

            self._context = open_context(self.settings)
        return self._context

    @property
    def chat(self) -> "ChatProvider":
        """The provider that writes answers."""
        if self._chat is None:
            from ..chat import open_chat

            self._chat = open_chat(self.settings)
        return self._chat

    @property
    def recordings(self) -> "tuple[Recording, ...]":
        """The recordings that are replayed instead of answering; none where none were chosen."""
        if self._recordings is None:
            self._recordings = _open_recordings(self.settings)
        return self._recordings

    @property
    def ledger(self) -> "Ledger":
        """The ledger beside the run log."""
        if self._ledger is None:
            from ..ledger import open_ledger

            self._ledger = open_ledger(self.settings)
        return self._ledger

    def open_ahead(self) -> None:
        """Begin to open the library, in threads of its own, while a request is still being read.

        Of one that cannot be opened, the answer tells.
        """
        if not self._is_ahead:
            self._is_ahead = True
            with suppress(RiverrunError):
                if isinstance(self.context, _OpenableAhead):
                    self.context.open_ahead()

    async def prepare(self) -> None:
        """Open every part now, so that the first question need not wait.

        Raises `SetupError` for a part that cannot be opened.
        """
        self.open_ahead()
        _ = self.log, self.chat, self.recordings, self.tracer
        if isinstance(self.context, _Preparable):
            await self.context.prepare()

    async def check_log(self) -> None:
        """Check that the log can keep something."""
        await self.log.check()

    async def close_log(self) -> None:
        """Close the log, if it was opened. Nothing is kept after it."""
        if self._log is not None:
            await self._log.close()

    async def check_context(self) -> None:
        """Check that the library can be searched, as far as it can tell without a search."""
        if isinstance(self.context, _Checkable):
            await self.context.check()


@runtime_checkable
class _OpenableAhead(Protocol):
    def open_ahead(self) -> None: ...


@runtime_checkable
class _Preparable(Protocol):
    async def prepare(self) -> None: ...


@runtime_checkable
class _Checkable(Protocol):
    async def check(self) -> None: ...


def default_app() -> App:
    """Return the app of this process: the one that was set, else one of its environment."""
    if not _default:
        _default.append(App(read_settings(os.environ)))
    return _default[0]


def set_default_app(app: App | None) -> None:
    """Make `app` the app of this process; None makes the next one of its environment anew."""
    _default[:] = [] if app is None else [app]


def shut_down(app: App | None = None) -> None:
    """End this process's streams within 0.2 s: pause every run, end every body.

    No reader is admitted after this, and a run that is about to begin is paused before a model
    is paid. Call it on the event loop, for instance from a signal handler; `wait_closed` waits
    for what it set off.
    """
    (app or default_app()).live.close()


async def wait_closed(seconds: float, app: App | None = None) -> None:
    """Wait until no run is produced here any more, also none without readers; at most `seconds`."""
    await (app or default_app()).live.wait_closed(seconds)


async def close_log(app: App | None = None) -> None:
    """Close the log, if it was opened: what SQLite keeps in a file is whole in one then."""
    await (app or default_app()).close_log()


def _open_recordings(settings: Settings) -> "tuple[Recording, ...]":
    if settings.replay is None:
        return ()
    from ..runs.recordings import read_recordings

    recordings = read_recordings(settings.replay)
    for recording in recordings:
        for _, entry in recording.entries:
            try:
                read_event(entry.payload)
            except (LookupError, TypeError, ValueError, StopIteration, AttributeError) as error:
                raise SetupError(
                    f"Event {entry.seq} of the recording of run {recording.run_id} in "
                    f"{settings.replay} is none that this Riverrun knows."
                ) from error
    return recordings
