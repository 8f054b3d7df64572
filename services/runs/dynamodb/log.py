"""The run log in one DynamoDB table: for functions, which share nothing else.

Knows runs, leases, keys and sessions. How a run's entries are kept so that two writers can never
both go on with it is told in `services.runs.dynamodb.chain`; `services.runs.dynamodb.table` knows
the service.
"""

import asyncio
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence

from .. import errors
from ..errors import ExpiredRunError, SequenceConflictError, UnknownRunError
from ..log import (
    DURABLE_RETENTION_SECONDS,
    LAST_SEQ,
    LEASE_SECONDS,
    LIVE_RETENTION_SECONDS,
    RELEASED,
    Entry,
    Run,
    Summary,
    check_next,
    new_run,
)
from ..notify import Notifier
from ..state_ages import StateAges
from . import chain, deletion, items, leases, sessions, starting
from .chain import check_size
from .faults import Item, RefusedError
from .run_cache import RunCache
from .table import Table

# How often a question whether the table can be written is one to the service, in seconds.
CHECK_INTERVAL = 5.0


class DynamoLog:
    """`RunLog` in `table`.

    A run is kept for `retention` seconds after it was last started, claimed, renewed or released;
    `now` gives epoch seconds, `monotonic` seconds that only grow.
    """

    is_durable = True

    def __init__(
        self,
        table: Table,
        *,
        retention: float = DURABLE_RETENTION_SECONDS,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state_ages = StateAges(monotonic)
        self._table = table
        self._retention = retention
        self._slack = max(0.0, LIVE_RETENTION_SECONDS - retention)
        self._now = now
        self._monotonic = monotonic
        self._checked_at = -CHECK_INTERVAL
        self._notifier = Notifier()
        self._cache = RunCache(table, slack=self._slack, now=now)

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
        check_size(len(question))
        now = self._now()
        run = new_run(owner, fingerprint, question, created=now, lease=lease)
        until = now + self._retention
        known = await starting.put_run(
            self._table, run, key, session, until, is_kept=self._cache.is_kept
        )
        if known is None:
            self._cache.remember(run.id, until).last = 0
            return run, True
        if known.fingerprint != fingerprint:
            raise errors.IdempotencyConflictError
        return known, False

    async def find(self, run_id: str, owner: str | None) -> Run:
        """See `RunLog.find`."""
        item = await self._cache.read_meta(run_id)
        if item is None or (run := items.run_of_item(item)).owner != owner:
            raise UnknownRunError
        if not await self._cache.is_kept(item):
            raise ExpiredRunError
        return run

    async def append(self, run_id: str, entries: Sequence[Entry]) -> None:
        """See `RunLog.append`."""
        entries = tuple(entries)
        known_run = await self._cache.require_kept(run_id)
        if not entries:
            return
        if known_run.last is None or known_run.ended or entries[0].seq != known_run.last + 1:
            await chain.look_at_end(self._table, run_id, known_run)
        check_next(entries, known_run.last or 0, ended=known_run.ended)
        now = self._now()
        until = now + self._retention + items.SLACK
        await chain.put_batch(self._table, run_id, entries, now, until)
        known_run.last, known_run.ended = entries[-1].seq, entries[-1].terminal
        known_run.ends.add(known_run.last)
        self._notifier.wake(run_id, known_run.last)

    async def read(self, run_id: str, after: int, limit: int = 256) -> list[Entry]:
        """See `RunLog.read`."""
        after = min(max(0, after), LAST_SEQ)
        known_run = await self._cache.require_kept(run_id)
        if limit < 1:
            return []
        return await chain.read_chain_after(self._table, run_id, after, limit, known_run)

    async def wait(self, run_id: str, after: int, timeout: float) -> bool:
        """See `RunLog.wait`."""
        known_run = await self._cache.require_kept(run_id)

        async def look() -> None:
            if self._notifier.is_due(run_id):
                await chain.look_at_end(self._table, run_id, known_run)
                self._notifier.wake(run_id, known_run.last or 0)

        with self._notifier.subscribe(run_id, after) as woken:
            await look()
            return await self._notifier.wait_for(woken, timeout, look)

    async def read_last(self, run_id: str) -> Entry | None:
        """See `RunLog.read_last`."""
        known_run = await self._cache.require_kept(run_id)
        return await chain.last_entry(self._table, run_id, known_run)

    async def read_append_times(self, run_id: str) -> list[tuple[int, float]]:
        """See `RunLog.read_append_times`."""
        await self._cache.require_kept(run_id)
        return await chain.append_times(self._table, run_id)

    async def claim(self, run: Run, *, lease: float = LEASE_SECONDS) -> Run:
        """See `RunLog.claim`."""
        nonce = items.binary(os.urandom(16))
        epoch = items.number(run.epoch + 1)
        changes = {"lease": items.number(self._now() + lease), "epoch": epoch, "claimed": nonce}
        try:
            item = await self._hold(run, {**changes, **leases.RENEWED}, "#lease <= :zero")
        except SequenceConflictError:
            # Ours all the same, when only the answer to an earlier try was lost.
            there = await self._cache.read_meta(run.id)
            if there is None or there.get("claimed") != nonce:
                raise
            item = there
        return items.run_of_item(item)

    async def renew(self, run: Run, *, lease: float = LEASE_SECONDS) -> None:
        """See `RunLog.renew`."""
        changes = {"lease": items.number(self._now() + lease), **leases.RENEWED}
        await self._hold(run, changes, "#lease >= :zero")

    async def release(self, run: Run, *, checkpoint: bytes = b"") -> None:
        """See `RunLog.release`."""
        check_size(len(run.question) + len(checkpoint))
        changes = {"lease": items.number(RELEASED), "checkpoint": items.binary(checkpoint)}
        await self._hold(run, {**changes, **leases.RENEWED})

    async def doubt(self, run: Run) -> None:
        """See `RunLog.doubt`."""
        await self._hold(run, {"doubted": {"BOOL": True}}, leases.UNRENEWED)

    async def expire(self, run: Run) -> None:
        """See `RunLog.expire`."""
        await self._hold(run, leases.ENDED, f"{leases.UNRENEWED} AND #doubted = :yes")

    async def mark_read(self, run_id: str, seconds: float) -> None:
        """See `RunLog.mark_read`."""
        await self._cache.require_kept(run_id)
        kept = self._now() + self._retention + items.SLACK
        await self._table.call("put_item", Item=items.read_mark_item(run_id, seconds, kept))

    async def seconds_unread(self, run_id: str) -> float:
        """See `RunLog.seconds_unread`."""
        await self._cache.require_kept(run_id)
        mark = await self._table.get(items.run_key(run_id), items.READ_MARK)
        if mark is None:
            return math.inf
        age = self.state_ages.measure_age(("read", run_id), bytes(mark["nonce"]["B"]))
        return age - float(mark["seconds"]["N"])

    async def keep_feedback(self, run_id: str, feedback: bytes) -> None:
        """See `RunLog.keep_feedback`."""
        await self._cache.require_kept(run_id)
        kept = self._now() + self._retention + items.SLACK
        await self._table.call("put_item", Item=items.feedback_item(run_id, feedback, kept))

    async def read_feedback(self, run_id: str) -> bytes:
        """See `RunLog.read_feedback`."""
        await self._cache.require_kept(run_id)
        return items.said_of(await self._table.get(items.run_key(run_id), items.FEEDBACK))

    async def read_turns(
        self, owner: str | None, session_id: str, limit: int
    ) -> list[tuple[str, str]]:
        """See `RunLog.read_turns`."""
        return await sessions.read_turns(self._table, owner, session_id, limit, now=self._now())

    async def add_turn(
        self, owner: str | None, session_id: str, question: str, answer: str
    ) -> None:
        """See `RunLog.add_turn`."""
        until = self._now() + self._retention
        turn = (question, answer)
        await sessions.add_turn(self._table, owner, session_id, turn, until=until)

    async def list_recent(self, limit: int = 20) -> list[Summary]:
        """See `RunLog.list_recent`."""
        found: list[Summary] = []
        today = int(self._now() // 86400)
        # A run that was renewed is kept for longer than since its start: look a day further back.
        for day in range(today, today - int(self._retention // 86400) - 3, -1):
            if len(found) >= limit:
                break
            ids = await starting.list_started(self._table, day, limit)
            found += filter(None, await asyncio.gather(*map(self._summary, ids)))
        return found[: max(0, limit)]

    async def list_owned(self, owner: str, limit: int = 20) -> list[Summary]:
        """See `RunLog.list_owned`."""
        ids = await starting.list_owned(self._table, owner, limit) if limit > 0 else ()
        return list(filter(None, await asyncio.gather(*map(self._summary, ids))))

    async def list_session(self, owner: str | None, session_id: str) -> list[str]:
        """See `RunLog.list_session`."""
        return await deletion.list_runs(self._table, owner, session_id)

    async def delete(self, run_id: str, owner: str | None) -> bool:
        """See `RunLog.delete`."""
        return await deletion.delete_run(self._table, run_id, owner, self._cache)

    async def forget_turns(self, owner: str | None, session_id: str) -> bool:
        """See `RunLog.forget_turns`."""
        return await deletion.forget_turns(self._table, owner, session_id, self._now())

    async def check(self) -> None:
        """See `RunLog.check`. Asked again within a few seconds, it writes nothing."""
        if self._monotonic() - self._checked_at >= CHECK_INTERVAL:
            await self._table.call("put_item", Item=items.check_item(self._now()))
            self._checked_at = self._monotonic()

    async def close(self) -> None:
        """See `RunLog.close`."""
        await self._table.close()

    async def _summary(self, run_id: str) -> Summary | None:
        item = await self._cache.read_meta(run_id)
        if item is None or not await self._cache.is_kept(item):
            return None
        known_run = self._cache.remember(run_id, float(item["until"]["N"]))
        await chain.look_at_end(self._table, run_id, known_run)
        return Summary(items.run_of_item(item), known_run.last or 0, known_run.ended)

    async def _hold(self, run: Run, changes: Mapping[str, Item], condition: str = "") -> Item:
        """Change the item of `run`. In `changes`, "renewals" is added to, the rest is set."""
        now = self._now()
        until = now + self._retention
        kept = {"until": items.number(until), "expires": items.expiry(until + items.SLACK)}
        update = leases.lease_update(run, {**changes, **kept}, condition, now - self._slack)
        try:
            item = await self._table.update(items.run_key(run.id), items.META, **update)
        except RefusedError:
            await self._cache.require_kept(run.id, anew=True)
            raise SequenceConflictError from None
        self._cache.remember(run.id, until)
        return item
