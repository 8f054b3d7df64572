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
same work. No clock of one machine is compared with that of another: a lease has no end that a
clock could step over. It is held until its producer releases it, or until a reader has seen no sign
of life for long enough by its own monotonic clock, asked for one (`doubt`) and had no answer
(`expire`); `services.runs.lease` has the rules. A process that claims a run reads it after the
claim, then appends. An old producer that still got an entry in between causes a conflict, and the
next append of its own is refused.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ..errors import RiverrunError
from .errors import SequenceConflictError
from .state_ages import StateAges

# How long a producer may be silent before another process may take its run, in seconds.
LEASE_SECONDS = 4.0

# What a lease is set to that its own producer gave back: 0 is one that a reader ended.
RELEASED = -1.0

# A run that has not ended is kept at least this long after its last sign of life, in seconds: a
# short retention, or a clock that steps by minutes, takes no live run away.
LIVE_RETENTION_SECONDS = 3600.0

# What one entry may hold, in bytes, the same in every store: under what DynamoDB takes at once.
ENTRY_BYTES = 3_000_000

DURABLE_RETENTION_SECONDS = 24 * 3600.0
MEMORY_RETENTION_SECONDS = 3600.0

# A run's numbers stay below this in every store, so that a cursor has a width.
LAST_SEQ = 999_999_999

# A session keeps its last turns, in every store.
KEEP_TURNS = 20


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
    are epoch seconds, for people: nothing waits for them, but a lease of 0 or less is over, and any
    process may claim the run. Each claim makes `epoch` grow by one, each sign of life `renewals`;
    it is `is_doubted` from a reader's doubt to the next renewal. `question` is what another
    process needs to go on (JSON), `checkpoint` what the last `release` left behind.
    """

    id: str
    owner: str | None
    created: float
    fingerprint: str
    question: bytes = b""
    epoch: int = 1
    lease_until: float = 0.0
    checkpoint: bytes = b""
    renewals: int = 0
    is_doubted: bool = False

    @property
    def is_free(self) -> bool:
        """Whether any process may claim it."""
        return self.lease_until <= 0.0


@dataclass(frozen=True, slots=True)
class Summary:
    """A run at a glance: `last` is its newest sequence number, 0 when nothing was said yet."""

    run: Run
    last: int
    ended: bool


class RunLog(Protocol):
    """A store of runs.

    Methods that take a run raise `UnknownRunError` when it is not there, and `ExpiredRunError` when
    it is not any more. Every method raises `RunLogError` when the store is busy or out of reach,
    and `SetupError` when the installation is at fault: a full disk, a missing table, refused
    credentials. `state_ages` is what this process has seen of leases, by its own clock.
    """

    # Whether runs outlive this process, and other processes can read them.
    is_durable: bool
    state_ages: StateAges

    async def start(
        self,
        *,
        owner: str | None,
        key: str | None,
        fingerprint: str,
        question: bytes = b"",
        session: str | None = None,
        lease: float = LEASE_SECONDS,
    ) -> tuple[Run, bool]:
        """Make a run, of `session` where it has one, or find the one `key` started for `owner`.

        The flag says whether the run is new; of any number of callers with one key, in any number
        of processes, one is told so. `lease` is in seconds. Raises `IdempotencyConflictError`
        when `key` was used with another `fingerprint`.
        """

    async def find(self, run_id: str, owner: str | None) -> Run:
        """The run, if `owner` may read it. Raises `ExpiredRunError` when it is gone."""

    async def append(self, run_id: str, entries: Sequence[Entry]) -> None:
        """Add the next entries, all or none, durably, and wake the readers.

        To a reader that looks at the producer they are a sign of life, as a renewal is. A store may
        end a doubt with them too, where it writes the run's own row in any case; where it does not,
        `services.runs.lease` takes the doubt for old.
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
        """Become the producer of a run whose lease is over.

        Raises `SequenceConflictError` when it is not over, or when another process claimed it
        since `run` was read.
        """

    async def renew(self, run: Run, *, lease: float = LEASE_SECONDS) -> None:
        """Give a sign of life, and take back a lease that a reader ended meanwhile.

        Raises `SequenceConflictError` when the run was claimed, or released: a renewal may arrive
        after the release that was sent behind it.
        """

    async def release(self, run: Run, *, checkpoint: bytes = b"") -> None:
        """End the lease now, and leave `checkpoint` for the process that claims the run next.

        Raises `SequenceConflictError` when it was claimed.
        """

    async def doubt(self, run: Run) -> None:
        """Ask the producer of `run` for a sign of life: its next renewal is the answer.

        Raises `SequenceConflictError` when it gave one, or was released or claimed, since `run` was
        read.
        """

    async def expire(self, run: Run) -> None:
        """End the lease of a doubted run whose producer gave no answer.

        Raises `SequenceConflictError` as `doubt` does.
        """

    async def mark_read(self, run_id: str, seconds: float) -> None:
        """Leave a sign that the run is read, for `seconds` from when it is seen.

        It runs out by itself; the last one counts. It is for the process that produces the run, and
        changes nothing else: not the lease, nor how long the run is kept. It may be lost with the
        machine.
        """

    async def seconds_unread(self, run_id: str) -> float:
        """For how many seconds no sign of `mark_read` has held: negative while one does.

        By the monotonic clock of this process, from when it first saw that sign. Infinity where
        none was left.
        """

    async def keep_feedback(self, run_id: str, feedback: bytes) -> None:
        """Keep what a reader thinks of the run: the last one counts, b"" is none.

        It is kept as long as the run, and changes nothing else of it.
        """

    async def read_feedback(self, run_id: str) -> bytes:
        """The last `keep_feedback` of the run, b"" where there is none."""

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

    async def list_owned(self, owner: str, limit: int = 20) -> list[Summary]:
        """The newest runs of `owner`, newest first."""

    async def list_session(self, owner: str | None, session_id: str) -> list[str]:
        """The ids of the runs that `owner` started in a session, oldest first; some may be gone."""

    async def delete(self, run_id: str, owner: str | None) -> bool:
        """Forget a run of `owner` that has ended: question, entries, feedback and key.

        False, and nothing is changed, while it has not ended. Afterwards it is as one that never
        was, and a producer that still writes gets an error. What a failed call left is forgotten by
        the next one. Raises what `find` raises.
        """

    async def forget_turns(self, owner: str | None, session_id: str) -> bool:
        """Forget the questions and answers of a session. False where there were none."""

    async def check(self) -> None:
        """Keep something small for a moment. Raises what an append would raise."""

    async def close(self) -> None:
        """Finish what was asked for and let go of files and connections."""


def check_next(entries: Sequence[Entry], last: int, *, ended: bool) -> None:
    """Raise `SequenceConflictError` unless `entries` go on after `last`, gapless, to one end.

    Raises a typed error for an entry that no store would take.
    """
    for expected, entry in enumerate(entries, last + 1):
        if ended or entry.seq != expected or expected > LAST_SEQ:
            raise SequenceConflictError
        ended = entry.terminal
        if len(entry.payload) > ENTRY_BYTES:
            raise RiverrunError("This is too long to be kept.", code="payload_too_large")


def new_id() -> str:
    """A run id: 128 random bits, 32 hexadecimal digits, never guessable."""
    return secrets.token_hex(16)


def new_run(
    owner: str | None, fingerprint: str, question: bytes, *, created: float, lease: float
) -> Run:
    """A run that is about to be put into a store."""
    return Run(
        id=new_id(),
        owner=owner,
        created=created,
        fingerprint=fingerprint,
        question=question,
        lease_until=created + lease,
    )
