"""The run log in this process's memory: for one process, gone when it ends.

Bounded: what has ended is dropped oldest first, after an hour, and sooner where there is too
much of it; a run that no producer writes or holds any more counts as ended after an hour of
silence, or after the retention where that is longer.
"""

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from heapq import nlargest
from itertools import count
from typing import Any

from .errors import (
    ExpiredRunError,
    IdempotencyConflictError,
    SequenceConflictError,
    UnknownRunError,
)
from .log import (
    KEEP_TURNS,
    LEASE_SECONDS,
    LIVE_RETENTION_SECONDS,
    MEMORY_RETENTION_SECONDS,
    RELEASED,
    Entry,
    Run,
    Summary,
    check_next,
    new_run,
)
from .notify import Notifier
from .state_ages import StateAges

KEEP_RUNS = 1000
KEEP_BYTES = 256 * 1024 * 1024
KEEP_SESSIONS = 1000

# What an entry takes besides its payload, in bytes.
_OVERHEAD = 200


@dataclass(slots=True)
class _Record:
    run: Run
    key: tuple[str | None, str] | None
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
        return bool(self.entries) and self.entries[-1].terminal


class MemoryLog:
    """`RunLog` in a dict.

    `retention` is in seconds; `now` gives epoch seconds, `monotonic` seconds that only grow. A test
    says `is_durable` of one that stands for a log that other processes share.
    """

    def __init__(
        self,
        *,
        retention: float = MEMORY_RETENTION_SECONDS,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        is_durable: bool = False,
    ) -> None:
        self.is_durable = is_durable
        self.state_ages = StateAges(monotonic)
        self._retention = retention
        self._now = now
        self._notifier = Notifier()
        self._numbers = count(1)
        self._running: OrderedDict[str, _Record] = OrderedDict()
        self._ended: OrderedDict[str, _Record] = OrderedDict()
        self._ended_size = 0
        self._expired: OrderedDict[str, str | None] = OrderedDict()
        self._keys: dict[tuple[str | None, str], str] = {}
        self._sessions: OrderedDict[tuple[str | None, str], deque[tuple[str, str]]] = OrderedDict()

    async def start(
        self,
        *,
        owner: str | None,
        key: str | None,
        fingerprint: str,
        question: bytes = b"",
        lease: float = LEASE_SECONDS,
    ) -> tuple[Run, bool]:
        """See `RunLog.start`."""
        self._forget()
        named = (owner, key) if key is not None else None
        if named is not None and (record := self._find_kept(self._keys.get(named, ""))) is not None:
            if record.run.fingerprint != fingerprint:
                raise IdempotencyConflictError
            return record.run, False
        now = self._now()
        run = new_run(owner, fingerprint, question, created=now, lease=lease)
        self._running[run.id] = _Record(run, named, next(self._numbers), touched=now)
        if named is not None:
            self._keys[named] = run.id
        return run, True

    async def find(self, run_id: str, owner: str | None) -> Run:
        """See `RunLog.find`."""
        self._forget()
        record = self._find_kept(run_id)
        if record is None and self._expired.get(run_id, ...) == owner:
            raise ExpiredRunError
        if record is None or record.run.owner != owner:
            raise UnknownRunError
        return record.run

    async def append(self, run_id: str, entries: Sequence[Entry]) -> None:
        """See `RunLog.append`."""
        record = self._record(run_id)
        check_next(entries, len(record.entries), ended=record.ended)
        if not entries:
            return
        record.entries.extend(entries)
        record.size += sum(len(entry.payload) + _OVERHEAD for entry in entries)
        record.touched = self._now()
        record.appended.append((entries[-1].seq, record.touched))
        if record.ended:
            self._ended[run_id] = self._running.pop(run_id)
            self._ended_size += record.size
        self._notifier.wake(run_id, len(record.entries))

    async def read(self, run_id: str, after: int, limit: int = 256) -> list[Entry]:
        """See `RunLog.read`."""
        after = max(0, after)
        return self._record(run_id).entries[after : after + max(0, limit)]

    async def wait(self, run_id: str, after: int, timeout: float) -> bool:
        """See `RunLog.wait`."""
        if len(self._record(run_id).entries) > after:
            return True
        with self._notifier.subscribe(run_id, after) as woken:
            return await self._notifier.wait_for(woken, timeout)

    async def read_last(self, run_id: str) -> Entry | None:
        """See `RunLog.read_last`."""
        entries = self._record(run_id).entries
        return entries[-1] if entries else None

    async def read_append_times(self, run_id: str) -> list[tuple[int, float]]:
        """See `RunLog.read_append_times`."""
        return list(self._record(run_id).appended)

    async def claim(self, run: Run, *, lease: float = LEASE_SECONDS) -> Run:
        """See `RunLog.claim`."""
        record = self._require_epoch(run)
        if not record.run.is_free:
            raise SequenceConflictError
        return self._change(record, epoch=run.epoch + 1, lease_until=self._now() + lease)

    async def renew(self, run: Run, *, lease: float = LEASE_SECONDS) -> None:
        """See `RunLog.renew`."""
        record = self._require_epoch(run)
        if record.run.lease_until == RELEASED:
            raise SequenceConflictError
        self._change(record, lease_until=self._now() + lease)

    async def release(self, run: Run, *, checkpoint: bytes = b"") -> None:
        """See `RunLog.release`."""
        self._change(self._require_epoch(run), lease_until=RELEASED, checkpoint=checkpoint)

    async def doubt(self, run: Run) -> None:
        """See `RunLog.doubt`."""
        record = self._require_unrenewed(run)
        record.run = replace(record.run, is_doubted=True)

    async def expire(self, run: Run) -> None:
        """See `RunLog.expire`."""
        record = self._require_unrenewed(run)
        if not record.run.is_doubted:
            raise SequenceConflictError
        record.run = replace(record.run, lease_until=0.0, is_doubted=False)

    async def mark_read(self, run_id: str, seconds: float) -> None:
        """See `RunLog.mark_read`."""
        record = self._record(run_id)
        record.read_marks += 1
        record.read_seconds = seconds

    async def seconds_unread(self, run_id: str) -> float:
        """See `RunLog.seconds_unread`."""
        record = self._record(run_id)
        if not record.read_marks:
            return math.inf
        age = self.state_ages.measure_age(("read", run_id), record.read_marks)
        return age - record.read_seconds

    async def keep_feedback(self, run_id: str, feedback: bytes) -> None:
        """See `RunLog.keep_feedback`."""
        self._record(run_id).feedback = feedback

    async def read_feedback(self, run_id: str) -> bytes:
        """See `RunLog.read_feedback`."""
        return self._record(run_id).feedback

    async def read_turns(
        self, owner: str | None, session_id: str, limit: int
    ) -> list[tuple[str, str]]:
        """See `RunLog.read_turns`."""
        turns = list(self._sessions.get((owner, session_id), ()))
        return turns[max(0, len(turns) - limit) :]

    async def add_turn(
        self, owner: str | None, session_id: str, question: str, answer: str
    ) -> None:
        """See `RunLog.add_turn`."""
        name = (owner, session_id)
        self._sessions.setdefault(name, deque(maxlen=KEEP_TURNS)).append((question, answer))
        self._sessions.move_to_end(name)
        while len(self._sessions) > KEEP_SESSIONS:
            self._sessions.popitem(last=False)

    async def list_recent(self, limit: int = 20) -> list[Summary]:
        """See `RunLog.list_recent`."""
        self._forget()
        kept = filter(self._is_kept, (*self._running.values(), *self._ended.values()))
        newest = nlargest(max(0, limit), kept, key=lambda record: record.number)
        return [Summary(record.run, len(record.entries), record.ended) for record in newest]

    async def check(self) -> None:
        """See `RunLog.check`."""

    async def close(self) -> None:
        """See `RunLog.close`."""

    def _record(self, run_id: str) -> _Record:
        record = self._find_kept(run_id)
        if record is None:
            gone = run_id in self._expired or run_id in self._running or run_id in self._ended
            raise ExpiredRunError if gone else UnknownRunError
        return record

    def _require_epoch(self, run: Run) -> _Record:
        record = self._record(run.id)
        if record.run.epoch != run.epoch:
            raise SequenceConflictError
        return record

    def _require_unrenewed(self, run: Run) -> _Record:
        record = self._require_epoch(run)
        if record.run.is_free or record.run.renewals != run.renewals:
            raise SequenceConflictError
        return record

    def _change(self, record: _Record, **changes: Any) -> Run:
        record.touched = self._now()
        renewals = record.run.renewals + 1
        record.run = replace(record.run, renewals=renewals, is_doubted=False, **changes)
        return record.run

    def _find_kept(self, run_id: str) -> _Record | None:
        record = self._running.get(run_id) or self._ended.get(run_id)
        return record if record is not None and self._is_kept(record) else None

    def _is_kept(self, record: _Record) -> bool:
        live = 0.0 if record.ended else LIVE_RETENTION_SECONDS
        return record.touched >= self._now() - max(self._retention, live)

    def _forget(self) -> None:
        while self._ended and (
            len(self._ended) > KEEP_RUNS
            or self._ended_size > KEEP_BYTES
            or not self._is_kept(_first(self._ended))
        ):
            run_id, record = self._ended.popitem(last=False)
            self._ended_size -= record.size
            self._drop(run_id, record)
        # The producers of these never ended them. One that is still written keeps those behind it.
        while self._running and not self._is_kept(_first(self._running)):
            self._drop(*self._running.popitem(last=False))

    def _drop(self, run_id: str, record: _Record) -> None:
        if record.key is not None and self._keys.get(record.key) == run_id:
            del self._keys[record.key]
        self._expired[run_id] = record.run.owner
        while len(self._expired) > KEEP_RUNS:
            self._expired.popitem(last=False)


def _first(records: OrderedDict[str, _Record]) -> _Record:
    return next(iter(records.values()))
