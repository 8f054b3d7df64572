"""The run log in this process's memory: for one process, gone when it ends.

Bounded: what has ended is dropped oldest first, after an hour, and sooner where there is too
much of it; a run that no producer writes or holds any more counts as ended after an hour of
silence, or after the retention where that is longer.
"""

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from heapq import nlargest
from itertools import count
from typing import Any

from .errors import IdempotencyConflictError, SequenceConflictError
from .log import (
    KEEP_TURNS,
    LEASE_SECONDS,
    MEMORY_RETENTION_SECONDS,
    RELEASED,
    Entry,
    Run,
    Summary,
    check_next,
    new_run,
)
from .memory_records import KeptRun, KeptRuns, OwnedName
from .notify import Notifier
from .state_ages import StateAges

KEEP_SESSIONS = 1000


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
        self._now = now
        self._monotonic = monotonic
        self._notifier = Notifier()
        self._numbers = count(1)
        self._records = KeptRuns(retention, now, monotonic)
        self._sessions: OrderedDict[OwnedName, deque[tuple[str, str]]] = OrderedDict()

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
        """See `RunLog.start`."""
        self._records.drop_expired()
        named = (owner, key) if key is not None else None
        known = self._records.find(self._records.keys.get(named, "")) if named else None
        if known is not None:
            if known.run.fingerprint != fingerprint:
                raise IdempotencyConflictError
            return known.run, False
        now = self._now()
        run = new_run(owner, fingerprint, question, created=now, lease=lease)
        number, touched = next(self._numbers), self._monotonic()
        self._records.add(KeptRun(run, named, session, number, touched=touched))
        return run, True

    async def find(self, run_id: str, owner: str | None) -> Run:
        """See `RunLog.find`."""
        return self._records.require_owned(run_id, owner).run

    async def append(self, run_id: str, entries: Sequence[Entry]) -> None:
        """See `RunLog.append`."""
        record = self._records.require(run_id)
        check_next(entries, len(record.entries), ended=record.ended)
        if not entries:
            return
        self._records.extend(record, entries)
        self._notifier.wake(run_id, len(record.entries))

    async def read(self, run_id: str, after: int, limit: int = 256) -> list[Entry]:
        """See `RunLog.read`."""
        after = max(0, after)
        return self._records.require(run_id).entries[after : after + max(0, limit)]

    async def wait(self, run_id: str, after: int, timeout: float) -> bool:
        """See `RunLog.wait`."""
        if len(self._records.require(run_id).entries) > after:
            return True
        with self._notifier.subscribe(run_id, after) as woken:
            return await self._notifier.wait_for(woken, timeout)

    async def read_last(self, run_id: str) -> Entry | None:
        """See `RunLog.read_last`."""
        entries = self._records.require(run_id).entries
        return entries[-1] if entries else None

    async def read_append_times(self, run_id: str) -> list[tuple[int, float]]:
        """See `RunLog.read_append_times`."""
        return list(self._records.require(run_id).appended)

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
        record = self._records.require(run_id)
        record.read_marks += 1
        record.read_seconds = seconds

    async def seconds_unread(self, run_id: str) -> float:
        """See `RunLog.seconds_unread`."""
        record = self._records.require(run_id)
        if not record.read_marks:
            return math.inf
        age = self.state_ages.measure_age(("read", run_id), record.read_marks)
        return age - record.read_seconds

    async def keep_feedback(self, run_id: str, feedback: bytes) -> None:
        """See `RunLog.keep_feedback`."""
        self._records.require(run_id).feedback = feedback

    async def read_feedback(self, run_id: str) -> bytes:
        """See `RunLog.read_feedback`."""
        return self._records.require(run_id).feedback

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
        self._records.drop_expired()
        return _summarize(self._records, limit)

    async def list_owned(self, owner: str, limit: int = 20) -> list[Summary]:
        """See `RunLog.list_owned`."""
        return _summarize((one for one in self._records if one.run.owner == owner), limit)

    async def list_session(self, owner: str | None, session_id: str) -> list[str]:
        """See `RunLog.list_session`."""
        asked = (owner, session_id)
        return [one.run.id for one in self._records if (one.run.owner, one.session) == asked]

    async def delete(self, run_id: str, owner: str | None) -> bool:
        """See `RunLog.delete`."""
        record = self._records.require_owned(run_id, owner)
        if record.ended:
            self._records.remove(record)
        return record.ended

    async def forget_turns(self, owner: str | None, session_id: str) -> bool:
        """See `RunLog.forget_turns`."""
        return self._sessions.pop((owner, session_id), None) is not None

    async def check(self) -> None:
        """See `RunLog.check`."""

    async def close(self) -> None:
        """See `RunLog.close`."""

    def _require_epoch(self, run: Run) -> KeptRun:
        record = self._records.require(run.id)
        if record.run.epoch != run.epoch:
            raise SequenceConflictError
        return record

    def _require_unrenewed(self, run: Run) -> KeptRun:
        record = self._require_epoch(run)
        if record.run.is_free or record.run.renewals != run.renewals:
            raise SequenceConflictError
        return record

    def _change(self, record: KeptRun, **changes: Any) -> Run:
        record.touched = self._monotonic()
        renewals = record.run.renewals + 1
        record.run = replace(record.run, renewals=renewals, is_doubted=False, **changes)
        return record.run


def _summarize(records: Iterable[KeptRun], limit: int) -> list[Summary]:
    newest = nlargest(max(0, limit), records, key=lambda record: record.number)
    return [Summary(record.run, len(record.entries), record.ended) for record in newest]
