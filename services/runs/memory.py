"""The run log in this process's memory: for one process, gone when it ends.

Bounded: what has ended is dropped oldest first, after an hour, and sooner where there is too
much of it; a run that nobody writes any more counts as ended after an hour of silence.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from services.runs.log import (
    Entry,
    ExpiredRunError,
    IdempotencyConflictError,
    NotNextError,
    Run,
    UnknownRunError,
    new_id,
)

KEEP_SECONDS = 3600.0
KEEP_RUNS = 1000
KEEP_BYTES = 256 * 1024 * 1024
KEEP_SESSIONS = 1000
KEEP_TURNS = 20

# What an entry takes besides its payload, in bytes.
_OVERHEAD = 200


@dataclass(slots=True)
class _Record:
    run: Run
    key: tuple[str | None, str] | None
    touched: float
    entries: list[Entry] = field(default_factory=list)
    size: int = 0
    waiting: "set[asyncio.Future[None]]" = field(default_factory=set)

    @property
    def ended(self) -> bool:
        return bool(self.entries) and self.entries[-1].terminal


class MemoryLog:
    """`RunLog` in a dict. `now` gives epoch seconds."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._running: OrderedDict[str, _Record] = OrderedDict()
        self._ended: OrderedDict[str, _Record] = OrderedDict()
        self._ended_size = 0
        self._expired: OrderedDict[str, str | None] = OrderedDict()
        self._keys: dict[tuple[str | None, str], str] = {}
        self._sessions: OrderedDict[tuple[str | None, str], deque[tuple[str, str]]] = OrderedDict()

    async def start(
        self, *, owner: str | None, key: str | None, fingerprint: str
    ) -> tuple[Run, bool]:
        """See `RunLog.start`."""
        self._forget()
        if key is not None and (run_id := self._keys.get((owner, key))) is not None:
            run = self._record(run_id).run
            if run.fingerprint != fingerprint:
                raise IdempotencyConflictError
            return run, False
        run = Run(
            id=new_id(),
            owner=owner,
            created=self._now(),
            fingerprint=fingerprint,
            stop=asyncio.get_running_loop().create_future(),
        )
        named = (owner, key) if key is not None else None
        self._running[run.id] = _Record(run, named, touched=run.created)
        if named is not None:
            self._keys[named] = run.id
        return run, True

    async def find(self, run_id: str, owner: str | None) -> Run:
        """See `RunLog.find`."""
        self._forget()
        if self._expired.get(run_id, ...) == owner:
            raise ExpiredRunError
        run = self._record(run_id).run
        if run.owner != owner:
            raise UnknownRunError
        return run

    async def append(self, run_id: str, entries: Sequence[Entry]) -> None:
        """See `RunLog.append`."""
        record = self._record(run_id)
        _check_next(record, entries)
        record.entries.extend(entries)
        record.size += sum(len(entry.payload) + _OVERHEAD for entry in entries)
        record.touched = self._now()
        if record.ended:
            self._ended[run_id] = self._running.pop(run_id)
            self._ended_size += record.size
        for waiting in record.waiting:
            if not waiting.done():
                waiting.set_result(None)

    async def read(self, run_id: str, after: int, limit: int = 256) -> list[Entry]:
        """See `RunLog.read`."""
        return self._record(run_id).entries[after : after + limit]

    async def wait(self, run_id: str, after: int, timeout: float) -> bool:
        """See `RunLog.wait`."""
        record = self._record(run_id)
        if len(record.entries) > after:
            return True
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(timeout, waiting.cancel)
        record.waiting.add(waiting)
        try:
            await asyncio.wait({waiting})
        finally:
            record.waiting.discard(waiting)
            timer.cancel()
        return not waiting.cancelled()

    async def last(self, run_id: str) -> Entry | None:
        """See `RunLog.last`."""
        entries = self._record(run_id).entries
        return entries[-1] if entries else None

    async def stop(self, run_id: str) -> None:
        """See `RunLog.stop`."""
        stop = self._record(run_id).run.stop
        if not stop.done():
            stop.set_result(None)

    async def turns(self, owner: str | None, session_id: str, limit: int) -> list[tuple[str, str]]:
        """See `RunLog.turns`."""
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

    def _record(self, run_id: str) -> _Record:
        record = self._running.get(run_id) or self._ended.get(run_id)
        if record is None:
            raise UnknownRunError
        return record

    def _forget(self) -> None:
        oldest = self._now() - KEEP_SECONDS
        while self._ended and (
            len(self._ended) > KEEP_RUNS
            or self._ended_size > KEEP_BYTES
            or _first(self._ended).touched < oldest
        ):
            run_id, record = self._ended.popitem(last=False)
            self._ended_size -= record.size
            self._drop(run_id, record)
        # Whoever wrote these never ended them. One that is still written keeps those behind it.
        while self._running and _first(self._running).touched < oldest:
            self._drop(*self._running.popitem(last=False))

    def _drop(self, run_id: str, record: _Record) -> None:
        if record.key is not None:
            self._keys.pop(record.key, None)
        self._expired[run_id] = record.run.owner
        while len(self._expired) > KEEP_RUNS:
            self._expired.popitem(last=False)


def _first(records: OrderedDict[str, _Record]) -> _Record:
    return next(iter(records.values()))


def _check_next(record: _Record, entries: Sequence[Entry]) -> None:
    expected = len(record.entries) + 1
    ended = record.ended
    for entry in entries:
        if ended or entry.seq != expected:
            raise NotNextError
        expected += 1
        ended = entry.terminal
