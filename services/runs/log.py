"""The protocol of the run log and its rules, the same for every store.

- Sequence numbers count from 1 without gaps; an entry is never changed.
- **Append is a compare-and-swap on the sequence number.** The first writer of entry n has
  written it; every other one who tries n gets `SequenceConflictError`, and knows by it that it is
  not the only writer. That one rule carries the safety: a producer that was thought dead and wakes
  up (a frozen function, a stopped process) cannot write into a run that another has gone on with.
- The first terminal entry ends a run and nothing follows it. To end a run, its producer, the
  request that stops it, or a reader that finds its producer dead appends a terminal entry by the
  same rule, so there is never more than one.
- `append` returns only when its entries are as durable as the store makes them.
- A run of another owner looks exactly like one that does not exist.

Leases say who should write, appends say who may: a lease only keeps two producers from doing the
same work. A process that claims a run reads it after the claim, then appends. An old producer that
still got an entry in between causes a conflict, and the next append of its own is refused.
"""

import secrets
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from .errors import SequenceConflictError

LEASE_SECONDS = 15.0
DURABLE_RETENTION_SECONDS = 24 * 3600.0
MEMORY_RETENTION_SECONDS = 3600.0

# A run's numbers stay below this in every store, so that a cursor has a width.
LAST_SEQ = 999_999_999


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
    """One answer being produced: what was fixed when it was made, and who produces it now.

    `owner` is who may read it (None: every caller that knows the id). `created` and `lease_until`
    are epoch seconds; once the lease is over, any process may claim the run, and each claim makes
    `epoch` grow by one. `question` is what another process needs to go on (JSON), `checkpoint` what
    the last `release` left behind.
    """

    id: str
    owner: str | None
    created: float
    fingerprint: str
    question: bytes = b""
    epoch: int = 1
    lease_until: float = 0.0
    checkpoint: bytes = b""


@dataclass(frozen=True, slots=True)
class Summary:
    """A run at a glance: `last` is its newest sequence number, 0 when nothing was said yet."""

    run: Run
    last: int
    ended: bool


class RunLog(Protocol):
    """A store of runs.

    Methods that take a run raise `UnknownRunError` when it is not there (any more). Every method
    raises `RunLogError` when the store is busy or out of reach, and `SetupError` when the
    installation is at fault: a full disk, a missing table, refused credentials.
    """

    # Whether runs outlive this process, and other processes can read them.
    is_durable: bool

    async def start(
        self,
        *,
        owner: str | None,
        key: str | None,
        fingerprint: str,
        question: bytes = b"",
        lease: float = LEASE_SECONDS,
    ) -> tuple[Run, bool]:
        """Make a run, or find the one that `key` already started for `owner`.

        The flag says whether the run is new; of any number of callers with one key, in any number
        of processes, one is told so. `lease` is in seconds. Raises `IdempotencyConflictError`
        when `key` was used with another `fingerprint`.
        """

    async def find(self, run_id: str, owner: str | None) -> Run:
        """The run, if `owner` may read it. Raises `ExpiredRunError` when it is gone."""

    async def append(self, run_id: str, entries: Sequence[Entry]) -> None:
        """Add the next entries, all or none, durably, and wake the readers.

        Raises `SequenceConflictError` when they do not go on where the run is.
        """

    async def read(self, run_id: str, after: int, limit: int = 256) -> list[Entry]:
        """Up to `limit` entries with a sequence number greater than `after`, in order."""

    async def wait(self, run_id: str, after: int, timeout: float) -> bool:
        """Wait until there is an entry after `after`; False when `timeout` seconds passed.

        What this process appends is seen at once, what another one does within half a second.
        """

    async def read_last(self, run_id: str) -> Entry | None:
        """The newest entry, or None when nothing was said yet."""

    async def read_append_times(self, run_id: str) -> list[tuple[int, float]]:
        """When the run was written: each append's last sequence number and epoch seconds.

        In order. Beside the entries, not in them: readers have no use for it, and an entry is
        made per token. Appends of a version that did not take the time are left out.
        """

    async def claim(self, run: Run, *, lease: float = LEASE_SECONDS) -> Run:
        """Become the producer of a run whose lease is over, for `lease` seconds.

        Raises `SequenceConflictError` when it is not over, or when another process claimed it
        since `run` was read.
        """

    async def renew(self, run: Run, *, lease: float = LEASE_SECONDS) -> None:
        """Hold the run for `lease` seconds from now.

        Raises `SequenceConflictError` when it was claimed.
        """

    async def release(self, run: Run, *, checkpoint: bytes = b"") -> None:
        """End the lease now, and leave `checkpoint` for the process that claims the run next.

        Raises `SequenceConflictError` when it was claimed.
        """

    async def mark_read(self, run_id: str, seconds: float) -> None:
        """Leave a sign that the run is read, for `seconds` from now.

        It runs out by itself; a shorter one takes nothing from a longer one. It is for who produces
        the run in another process, and changes nothing else: not the lease, nor how long the run
        is kept. It may be lost with the machine.
        """

    async def seconds_unread(self, run_id: str) -> float:
        """For how many seconds no sign of `mark_read` has held: negative while one does.

        Infinity where none was left.
        """

    async def read_turns(
        self, owner: str | None, session_id: str, limit: int
    ) -> list[tuple[str, str]]:
        """The last `limit` questions and answers of a session, oldest first."""

    async def add_turn(
        self, owner: str | None, session_id: str, question: str, answer: str
    ) -> None:
        """Remember a question and its answer."""

    async def list_recent(self, limit: int = 20) -> list[Summary]:
        """The newest runs, of all owners, newest first: for the operator."""

    async def close(self) -> None:
        """Finish what was asked for and let go of files and connections."""


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


def check_next(entries: Sequence[Entry], last: int, *, ended: bool) -> None:
    """Raise `SequenceConflictError` unless `entries` go on after `last`, gapless, to one end."""
    for expected, entry in enumerate(entries, last + 1):
        if ended or entry.seq != expected or expected > LAST_SEQ:
            raise SequenceConflictError
        ended = entry.terminal


def new_id() -> str:
    """A run id: 128 random bits, 32 hexadecimal digits, never guessable."""
    return secrets.token_hex(16)
