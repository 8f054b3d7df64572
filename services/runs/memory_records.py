"""The register of the runs in a process's memory: which are kept, for how long, under which key.

Knows nothing of leases and readers: those are the business of `services.runs.memory`.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from .errors import ExpiredRunError, UnknownRunError
from .log import LIVE_RETENTION_SECONDS, Entry, Run

KEEP_RUNS = 1000
KEEP_BYTES = 256 * 1024 * 1024

# What an entry takes besides its payload, in bytes.
_OVERHEAD = 200

OwnedName = tuple[str | None, str]
"""The owner, and the name that it gave."""


@dataclass(slots=True)
class KeptRun:
    """A run and all that is kept of it. `number` counts the runs of this process."""

    run: Run
    key: OwnedName | None
    session: str | None
    number: int
    touched: float
    entries: list[Entry] = field(default_factory=list)
    appended: list[tuple[int, float]] = field(default_factory=list)
    size: int = 0
    read_marks: int = 0
    read_seconds: float = 0.0
    feedback: bytes = b""

    @property
    def ended(self) -> bool:
        """Whether its last entry is terminal."""
        return bool(self.entries) and self.entries[-1].terminal


class KeptRuns:
    """The records that are kept: those that run, those that have ended, and which have expired.

    `retention` is in seconds, by `monotonic`; `now` gives epoch seconds, which people read.
    """

    def __init__(
        self, retention: float, now: Callable[[], float], monotonic: Callable[[], float]
    ) -> None:
        self.running: OrderedDict[str, KeptRun] = OrderedDict()
        self.ended: OrderedDict[str, KeptRun] = OrderedDict()
        self.ended_size = 0
        self.expired: OrderedDict[str, str | None] = OrderedDict()
        self.keys: dict[OwnedName, str] = {}
        self._retention = retention
        self._now = now
        self._monotonic = monotonic

    def __iter__(self) -> Iterator[KeptRun]:
        """The records that are kept, in no order."""
        return filter(self._is_kept, (*self.running.values(), *self.ended.values()))

    def add(self, record: KeptRun) -> None:
        """Keep a run that begins."""
        self.running[record.run.id] = record
        if record.key is not None:
            self.keys[record.key] = record.run.id

    def extend(self, record: KeptRun, entries: Sequence[Entry]) -> None:
        """Add entries to a record, which may end it."""
        record.entries.extend(entries)
        record.size += sum(len(entry.payload) + _OVERHEAD for entry in entries)
        record.touched = self._monotonic()
        record.appended.append((entries[-1].seq, self._now()))
        if record.ended:
            self.ended[record.run.id] = self.running.pop(record.run.id)
            self.ended_size += record.size

    def find(self, run_id: str) -> KeptRun | None:
        """The record of a run that is kept."""
        record = self.running.get(run_id) or self.ended.get(run_id)
        return record if record is not None and self._is_kept(record) else None

    def require(self, run_id: str) -> KeptRun:
        """The record of a run. Raises `UnknownRunError`, `ExpiredRunError` where there was one."""
        record = self.find(run_id)
        if record is None:
            gone = run_id in self.expired or run_id in self.running or run_id in self.ended
            raise ExpiredRunError if gone else UnknownRunError
        return record

    def require_owned(self, run_id: str, owner: str | None) -> KeptRun:
        """The record of a run of `owner`; one of another owner is unknown."""
        self.drop_expired()
        # The same steps for a run of another owner as for none: no clock tells them apart.
        found = self.ended.get(run_id, self.running.get(run_id))
        was_owned = self.expired.get(run_id, ...) == owner
        record = found if found is not None and found.run.owner == owner else None
        if record is not None and self._is_kept(record):
            return record
        raise ExpiredRunError if record is not None or was_owned else UnknownRunError

    def remove(self, record: KeptRun) -> None:
        """Forget a run that has ended, and that it was there."""
        self.ended_size -= self.ended.pop(record.run.id).size
        self._forget_key(record)

    def drop_expired(self) -> None:
        """Drop what is over: runs whose time is, and the oldest of too many that have ended."""
        while self.ended and (
            len(self.ended) > KEEP_RUNS
            or self.ended_size > KEEP_BYTES
            or not self._is_kept(_first(self.ended))
        ):
            _, record = self.ended.popitem(last=False)
            self.ended_size -= record.size
            self._expire(record)
        # The producers of these never ended them. One that is still written keeps those behind it.
        while self.running and not self._is_kept(_first(self.running)):
            self._expire(self.running.popitem(last=False)[1])

    def _is_kept(self, record: KeptRun) -> bool:
        live = 0.0 if record.ended else LIVE_RETENTION_SECONDS
        return record.touched >= self._monotonic() - max(self._retention, live)

    def _expire(self, record: KeptRun) -> None:
        self._forget_key(record)
        self.expired[record.run.id] = record.run.owner
        while len(self.expired) > KEEP_RUNS:
            self.expired.popitem(last=False)

    def _forget_key(self, record: KeptRun) -> None:
        if record.key is not None and self.keys.get(record.key) == record.run.id:
            del self.keys[record.key]


def _first(records: OrderedDict[str, KeptRun]) -> KeptRun:
    return next(iter(records.values()))
