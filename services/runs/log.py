"""The protocol of the run log and its rules, the same for every store.

- Sequence numbers count from 1 without gaps; an entry is never changed.
- `append` returns only when its entries are as durable as the store makes them.
- The first terminal entry ends a run; the store refuses any after it.
- A run of another owner looks exactly like one that does not exist.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from services.errors import RiverrunError
from services.settings import Settings


class Entry(NamedTuple):
    """One event of a run as the log keeps it: `payload` is the JSON object of the event.

    `seq` counts from 1; 0 is for what was shown and could not be kept, which has no place to
    resume from. A tuple, because one is made per token and a frozen dataclass takes three times
    as long.
    """

    seq: int
    kind: str
    payload: bytes
    terminal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One answer being produced.

    `owner` is who may read it (None: anybody who knows the id). `created` is epoch seconds.
    `stop` is done when somebody asked the run to end.
    """

    id: str
    owner: str | None
    created: float
    fingerprint: str
    stop: "asyncio.Future[None]" = field(repr=False, compare=False)


class UnknownRunError(RiverrunError):
    """There is no such run, or it is somebody else's."""

    code = "not_found"

    def __init__(self) -> None:
        super().__init__("There is no such run.")


class ExpiredRunError(RiverrunError):
    """The run was kept for as long as promised and is gone."""

    code = "expired"

    def __init__(self) -> None:
        super().__init__("This run is no longer kept.", hint="Ask the question again.")


class IdempotencyConflictError(RiverrunError):
    """The idempotency key was used for another question."""

    code = "idempotency_conflict"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used with another request.",
            hint="Use a new key for a new question.",
        )


class NotNextError(RiverrunError, ValueError):
    """Entries that leave a gap, repeat what is there, or follow the end of the run.

    Whoever writes them is no longer the one who writes this run.
    """

    code = "interrupted"

    def __init__(self) -> None:
        super().__init__("The answer was interrupted.", hint="Ask again.")


class RunLog(Protocol):
    """A store of runs. Every method raises `UnknownRunError` for a run that is not there."""

    async def start(
        self, *, owner: str | None, key: str | None, fingerprint: str
    ) -> tuple[Run, bool]:
        """Make a run, or find the one that `key` already started.

        The flag says whether the run is new. Raises `IdempotencyConflictError` when `key` was
        used with another `fingerprint`.
        """

    async def find(self, run_id: str, owner: str | None) -> Run:
        """The run, if `owner` may read it. Raises `ExpiredRunError` when it is gone."""

    async def append(self, run_id: str, entries: Sequence[Entry]) -> None:
        """Add the next entries, all or none, and wake the readers.

        Raises `NotNextError` when they do not go on where the run is.
        """

    async def read(self, run_id: str, after: int, limit: int = 256) -> list[Entry]:
        """Up to `limit` entries with a sequence number greater than `after`, in order."""

    async def wait(self, run_id: str, after: int, timeout: float) -> bool:
        """Wait until there is an entry after `after`; False when `timeout` seconds passed."""

    async def last(self, run_id: str) -> Entry | None:
        """The newest entry, or None when nothing was said yet."""

    async def stop(self, run_id: str) -> None:
        """Ask the run to end. Asking again, or asking an ended run, changes nothing."""

    async def turns(self, owner: str | None, session_id: str, limit: int) -> list[tuple[str, str]]:
        """The last `limit` questions and answers of a session, oldest first."""

    async def add_turn(
        self, owner: str | None, session_id: str, question: str, answer: str
    ) -> None:
        """Remember a question and its answer."""


async def follow(
    log: RunLog, run_id: str, after: int = 0, *, heartbeat: float = 10.0
) -> AsyncGenerator[Entry | None, None]:
    """Every entry of a run after `after`, as they come, up to and with the terminal one.

    Yields None after each `heartbeat` seconds without an entry, and nothing at all when `after`
    is the end. Reading never starts or changes a run.
    """
    last = await log.last(run_id)
    if last is not None and last.terminal and last.seq <= after:
        return
    while True:
        entries = await log.read(run_id, after)
        for entry in entries:
            yield entry
            after = entry.seq
            if entry.terminal:
                return
        if not entries and not await log.wait(run_id, after, heartbeat):
            yield None


def new_id() -> str:
    """A run id: 128 random bits, 32 hexadecimal digits, never guessable."""
    return secrets.token_hex(16)


def open_log(settings: Settings) -> RunLog:
    """The store that `settings.log` names."""
    scheme = settings.log.partition("://")[0]
    return STORES[scheme](settings)


def _memory(_settings: Settings) -> RunLog:
    from services.runs.memory import MemoryLog

    return MemoryLog()


STORES: dict[str, Callable[[Settings], RunLog]] = {"memory": _memory}
