"""The run log in one DynamoDB table: for functions, which share nothing else.

Knows runs, leases, keys and sessions. How a run's entries are kept so that two writers can never
both go on with it is told in `services.runs.dynamodb.chain`; `services.runs.dynamodb.table` knows
the service.
"""

import asyncio
import math
import os
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ..errors import (
    ExpiredRunError,
    IdempotencyConflictError,
    SequenceConflictError,
    UnknownRunError,
)
from ..log import (
    DURABLE_RETENTION_SECONDS,
    LAST_SEQ,
    LEASE_SECONDS,
    Entry,
    Run,
    Summary,
    check_next,
    new_id,
)
from ..notify import Notifier
from ..packing import pack, to_bytes, to_text, unpack
from . import chain, items
from .chain import KnownRun, check_size
from .faults import Item, RefusedError
from .table import NEW, Table

# Runs that this process remembers something of, to ask the table less.
KNOWN_RUNS = 2000

_RUN_ID = re.compile(r"[0-9a-f]{32}")


class DynamoLog:
    """`RunLog` in `table`.

    A run is kept for `retention` seconds after it was last started, claimed, renewed or released;
    `now` gives epoch seconds.
    """

    is_durable = True

    def __init__(
        self,
        table: Table,
        *,
        retention: float = DURABLE_RETENTION_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._table = table
        self._retention = retention
        self._now = now
        self._notifier = Notifier()
        self._known: OrderedDict[str, KnownRun] = OrderedDict()

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
        check_size(len(question))
        now = self._now()
        run = Run(
            id=new_id(),
            owner=owner,
            created=now,
            fingerprint=fingerprint,
            question=question,
            lease_until=now + lease,
        )
        known = await self._make(run, key)
        if known is None:
            self._remember(run.id, now + self._retention).last = 0
            return run, True
        if known.fingerprint != fingerprint:
            raise IdempotencyConflictError
        return known, False

    async def find(self, run_id: str, owner: str | None) -> Run:
        """See `RunLog.find`."""
        item = await self._meta(run_id)
        if item is None or (run := items.run_of(item)).owner != owner:
            raise UnknownRunError
        if not self._is_kept(item):
            raise ExpiredRunError
        return run

    async def append(self, run_id: str, entries: Sequence[Entry]) -> None:
        """See `RunLog.append`."""
        entries = tuple(entries)
        known_run = await self._require_kept(run_id)
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
        known_run = await self._require_kept(run_id)
        if limit < 1:
            return []
        return await chain.read_after(self._table, run_id, after, limit, known_run)

    async def wait(self, run_id: str, after: int, timeout: float) -> bool:
        """See `RunLog.wait`."""
        known_run = await self._require_kept(run_id)

        async def look() -> None:
            if self._notifier.is_due(run_id):
                await chain.look_at_end(self._table, run_id, known_run)
                self._notifier.wake(run_id, known_run.last or 0)

        with self._notifier.subscribe(run_id, after) as woken:
            await look()
            return await self._notifier.wait_for(woken, timeout, look)

    async def read_last(self, run_id: str) -> Entry | None:
        """See `RunLog.read_last`."""
        known_run = await self._require_kept(run_id)
        return await chain.last_entry(self._table, run_id, known_run)

    async def read_append_times(self, run_id: str) -> list[tuple[int, float]]:
        """See `RunLog.read_append_times`."""
        await self._require_kept(run_id)
        return await chain.append_times(self._table, run_id)

    async def claim(self, run: Run, *, lease: float = LEASE_SECONDS) -> Run:
        """See `RunLog.claim`."""
        lease_until = self._now() + lease
        nonce = items.binary(os.urandom(16))
        epoch = items.number(run.epoch + 1)
        try:
            item = await self._hold(
                run, lease_until, {"epoch": epoch, "claimed": nonce}, " AND #lease <= :now"
            )
        except SequenceConflictError:
            # Ours all the same, when only the answer to an earlier try was lost.
            there = await self._meta(run.id)
            if there is None or there.get("claimed") != nonce:
                raise
            item = there
        return items.run_of(item)

    async def renew(self, run: Run, *, lease: float = LEASE_SECONDS) -> None:
        """See `RunLog.renew`."""
        await self._hold(run, self._now() + lease, {})

    async def release(self, run: Run, *, checkpoint: bytes = b"") -> None:
        """See `RunLog.release`."""
        check_size(len(run.question) + len(checkpoint))
        await self._hold(run, self._now(), {"checkpoint": items.binary(checkpoint)})

    async def mark_read(self, run_id: str, seconds: float) -> None:
        """See `RunLog.mark_read`."""
        await self._require_kept(run_id)
        now = self._now()
        put = items.read_mark_put(run_id, now + seconds, now + self._retention + items.SLACK)
        with suppress(RefusedError):  # another reader said longer
            await self._table.call("put_item", **put)

    async def seconds_unread(self, run_id: str) -> float:
        """See `RunLog.seconds_unread`."""
        await self._require_kept(run_id)
        item = await self._table.get(items.run_key(run_id), items.READ_MARK)
        return self._now() - (float(item["until"]["N"]) if item is not None else -math.inf)

    async def read_turns(
        self, owner: str | None, session_id: str, limit: int
    ) -> list[tuple[str, str]]:
        """See `RunLog.read_turns`."""
        if limit < 1:
            return []
        newest_first = await self._newest(items.hash_key("session", owner, session_id), limit)
        now = self._now()
        said = [
            unpack(bytes(item["blob"]["B"]), 1)
            for item in newest_first
            if float(item["until"]["N"]) > now
        ]
        return [
            (to_text(question.payload), to_text(answer.payload))
            for question, answer in reversed(said)
        ]

    async def add_turn(
        self, owner: str | None, session_id: str, question: str, answer: str
    ) -> None:
        """See `RunLog.add_turn`."""
        blob = pack(
            [Entry(1, "question", to_bytes(question)), Entry(2, "answer", to_bytes(answer))]
        )
        check_size(len(blob))
        until = self._now() + self._retention
        item = {
            "pk": items.text(items.hash_key("session", owner, session_id)),
            "blob": items.binary(blob),
            "nonce": items.binary(os.urandom(16)),
            "until": items.number(until),
            "expires": items.expiry(until),
        }
        # A session is a chain like a run; the second writer takes the next number.
        while True:
            newest = await self._newest(item["pk"]["S"], 1)
            turn = int(newest[0]["sk"]["S"].partition("#")[2]) + 1 if newest else 1
            if await self._table.put_once([{**item, "sk": items.text(f"t#{turn:09d}")}]):
                return

    async def list_recent(self, limit: int = 20) -> list[Summary]:
        """See `RunLog.list_recent`."""
        found: list[Summary] = []
        today = int(self._now() // 86400)
        # A run that was renewed is kept for longer than since its start: look a day further back.
        for day in range(today, today - int(self._retention // 86400) - 3, -1):
            if len(found) >= limit:
                break
            lists = await asyncio.gather(
                *(self._newest(key, limit) for key in items.listing_keys(day))
            )
            keys = sorted((item["sk"]["S"] for keys in lists for item in keys), reverse=True)
            ids = [key.partition("#")[2] for key in keys[:limit]]
            found += filter(None, await asyncio.gather(*map(self._summary, ids)))
        return found[: max(0, limit)]

    async def close(self) -> None:
        """See `RunLog.close`."""
        await self._table.close()

    async def _summary(self, run_id: str) -> Summary | None:
        item = await self._meta(run_id)
        if item is None or not self._is_kept(item):
            return None
        known_run = self._remember(run_id, float(item["until"]["N"]))
        await chain.look_at_end(self._table, run_id, known_run)
        return Summary(items.run_of(item), known_run.last or 0, known_run.ended)

    async def _make(self, run: Run, key: str | None) -> Run | None:
        """Put a new run. Returns the one that `key` stands for already, if any."""
        until = run.created + self._retention
        pk, sk = items.listing_key(run)
        listing = {
            "pk": items.text(pk),
            "sk": items.text(sk),
            "expires": items.expiry(until + items.SLACK),
        }
        puts: list[dict[str, Any]] = [
            {"Item": items.meta_item(run, until), "ConditionExpression": NEW},
            {"Item": listing},
        ]
        if key is None:
            # No other run has this id: if it is there, an earlier try was ours.
            with suppress(RefusedError):
                await self._table.transact(puts)
            return None
        name = items.hash_key("key", run.owner, key)
        put = items.key_put(name, run.id, listing["expires"])
        while True:
            try:
                await self._table.transact([*puts, put])
                return None
            except RefusedError:
                taken = await self._table.get(name, items.KEY)
            holder = taken["run"]["S"] if taken is not None else None
            if holder == run.id:
                return None
            meta = await self._meta(holder) if holder is not None else None
            if meta is not None and self._is_kept(meta):
                return items.run_of(meta)
            # The run of this key is over; the first process takes the key from it.
            put = items.key_put(name, run.id, listing["expires"], over=holder)

    async def _hold(
        self, run: Run, lease_until: float, changes: Mapping[str, Item], condition: str = ""
    ) -> Item:
        now = self._now()
        until = now + self._retention
        changes = {
            **changes,
            "lease": items.number(lease_until),
            "until": items.number(until),
            "expires": items.expiry(until),
        }
        try:
            item = await self._table.update(
                items.run_key(run.id),
                items.META,
                UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in changes),
                ConditionExpression=f"#epoch = :was AND #until > :now{condition}",
                ExpressionAttributeNames={f"#{name}": name for name in {*changes, "epoch"}},
                ExpressionAttributeValues={
                    **{f":{name}": value for name, value in changes.items()},
                    ":was": items.number(run.epoch),
                    ":now": items.number(now),
                },
            )
        except RefusedError:
            there = await self._meta(run.id)
            if there is None or not self._is_kept(there):
                raise UnknownRunError from None
            raise SequenceConflictError from None
        self._remember(run.id, until)
        return item

    async def _newest(self, pk: str, limit: int) -> list[Item]:
        found, _ = await self._table.query(pk, " ", "~", limit=limit, forward=False)
        return found

    async def _meta(self, run_id: str) -> Item | None:
        if not _RUN_ID.fullmatch(run_id):
            return None
        return await self._table.get(items.run_key(run_id), items.META)

    async def _require_kept(self, run_id: str) -> KnownRun:
        known_run = self._known.get(run_id)
        if known_run is not None and known_run.until > self._now():
            self._known.move_to_end(run_id)
            return known_run
        item = await self._meta(run_id)
        if item is None or not self._is_kept(item):
            raise UnknownRunError
        return self._remember(run_id, float(item["until"]["N"]))

    def _is_kept(self, item: Item) -> bool:
        return float(item["until"]["N"]) > self._now()

    def _remember(self, run_id: str, until: float) -> KnownRun:
        known_run = self._known.setdefault(run_id, KnownRun(until))
        known_run.until = until
        self._known.move_to_end(run_id)
        if len(self._known) > KNOWN_RUNS:
            self._known.popitem(last=False)
        return known_run
