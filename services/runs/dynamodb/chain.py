"""The entries of a run in DynamoDB: a chain of batches, one append each.

Why two writers can never both go on with a run: a batch is an item named by the first number in
it, put only where there is none. Each batch of the chain begins after the last number of the one
before. A writer knows the end of some batch, because its own append was acknowledged or because it
has read the batch, and only ever puts what comes after that end. If the chain goes on there
already, that name is taken, whatever the other batch holds and however long it is. So ``5..8`` by
one writer and ``7..`` by another cannot both be: 6 is the end of no batch that a writer can have
seen. What a writer believes may be old, but never wrong in a way that lets it put anything.

An answer that was lost ("timed out, but applied") is told from a conflict by a random number in the
item.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...errors import RiverrunError
from ..errors import RunLogError, SequenceConflictError, UnknownRunError
from ..log import Entry
from ..packing import pack
from . import items
from .faults import Item
from .table import Table


@dataclass(slots=True)
class KnownRun:
    """What this process knows of a run: true when it was read, and safe when it is old.

    `until` is when the run is over (epoch seconds), `last` the end of some batch (None: ask),
    `ended` whether that batch ends the run, `ends` are ends of batches.
    """

    until: float
    last: int | None = None
    ended: bool = False
    ends: set[int] = field(default_factory=set)

    def learn(self, last: int, *, ended: bool) -> None:
        """Take note of the end of a batch."""
        self.ends.add(last)
        if self.last is None or last > self.last:
            self.last, self.ended = last, ended


async def put_batch(
    table: Table, run_id: str, entries: Sequence[Entry], at: float, until: float
) -> None:
    """Append entries that go on after the end of a batch, `at` now, kept `until` then.

    Raises `SequenceConflictError` when something goes on there already.
    """
    blob = pack(entries)
    check_size(len(blob), items.BATCH_BYTES)
    batch = items.batch_items(run_id, entries, blob, os.urandom(16), at=at, until=until)
    if not await table.put_once(batch):
        raise SequenceConflictError


async def read_chain_after(
    table: Table, run_id: str, after: int, limit: int, known_run: KnownRun
) -> list[Entry]:
    """Up to `limit` entries after `after`, in order, without a hole."""
    place = await _place_after(table, run_id, after, known_run)
    found: list[Item] = []
    start: Item | None = None
    while True:
        page, start = await table.query(
            items.run_key(run_id), place, items.LAST_BATCH, limit=limit, start=start
        )
        found += page
        entries = _entries(found, after, known_run)
        if start is None or len(entries) >= limit:
            return entries[:limit]


async def last_entry(table: Table, run_id: str, known_run: KnownRun) -> Entry | None:
    """The newest entry, or None."""
    head = await look_at_end(table, run_id, known_run)
    if head is None:
        return None
    _check_not_deleted(head)
    parts = [head]
    if int(head["parts"]["N"]) > 1:
        key = items.whole_batch_key(head["sk"]["S"])
        parts = await table.query_all(items.run_key(run_id), key, f"{key}$")
    for batch in items.batches(parts):
        return items.entries_of(*batch)[-1]
    # Some of its parts are not visible yet.
    raise RunLogError("The run log is busy.", retry_after_ms=1000)


async def append_times(table: Table, run_id: str) -> list[tuple[int, float]]:
    """The last number of each batch, and when it was appended, where that is known."""
    found = await table.query_all(items.run_key(run_id), items.FIRST_BATCH, items.LAST_BATCH)
    heads = [parts[0] for _, parts in items.batches(found)]
    times = [(items.last_of(head), items.time_of(head)) for head in heads]
    return [(last, at) for last, at in times if at is not None]


async def look_at_end(table: Table, run_id: str, known_run: KnownRun) -> Item | None:
    """The last item of a run's batches, if any; remembers in `known_run` where its end is."""
    found, _ = await table.query(
        items.run_key(run_id), items.FIRST_BATCH, items.LAST_BATCH, limit=1, forward=False
    )
    if not found:
        known_run.last = known_run.last or 0
        return None
    known_run.learn(items.last_of(found[0]), ended=items.is_end(found[0]))
    return found[0]


async def _place_after(table: Table, run_id: str, after: int, known_run: KnownRun) -> str:
    """Where to read from to find what comes after `after`, which may be within a batch."""
    if after == 0 or after in known_run.ends:
        return items.past_batch_key(after)
    found, _ = await table.query(
        items.run_key(run_id), items.FIRST_BATCH, items.batch_key(after), limit=1, forward=False
    )
    return items.whole_batch_key(found[0]["sk"]["S"]) if found else items.FIRST_BATCH


def _entries(found: Sequence[Item], after: int, known_run: KnownRun) -> list[Entry]:
    entries: list[Entry] = []
    for first, parts in items.batches(found):
        _check_not_deleted(parts[0])
        if not entries and first > after + 1:
            return []
        known_run.learn(items.last_of(parts[0]), ended=items.is_end(parts[0]))
        entries += [entry for entry in items.entries_of(first, parts) if entry.seq > after]
    return entries


def _check_not_deleted(head: Item) -> None:
    # Known here as a run that is kept, and deleted by another process since.
    if items.is_deleted(head):
        raise UnknownRunError


def check_size(size: int, most: int = items.PART_BYTES) -> None:
    """Raise a typed error for more than `most` bytes."""
    if size > most:
        raise RiverrunError("This is too long to be kept.", code="payload_too_large")
