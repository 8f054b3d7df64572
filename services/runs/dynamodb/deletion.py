"""Deleting a run from DynamoDB, and the turns of a session, item by item.

A run is many items, and no transaction holds them all. So it is marked first, which makes it
unknown to every process at once, then emptied, and its own item goes last: a deletion that was cut
off goes on when it is asked again. Its last batch stays until its time is over, empty: a producer
that has not heard yet finds the next place taken, as by any other writer.
"""

import asyncio
import os
from collections.abc import Iterable

from ..errors import ExpiredRunError, UnknownRunError
from . import chain, items
from .chain import KnownRun
from .faults import Item, RefusedError
from .run_cache import RunCache
from .table import Table

# Deletes that wait for the table's threads at a time.
AT_ONCE = 100


async def delete_run(table: Table, run_id: str, owner: str | None, cache: RunCache) -> bool:
    """Delete a run of `owner` that has ended; False, and nothing is done, where it has not."""
    pk = items.run_key(run_id)
    item = await table.get(pk, items.META) if items.is_run_id(run_id) else None
    if item is None or items.run_of_item(item).owner != owner:
        raise UnknownRunError
    if not items.is_deleted(item):
        if not await cache.is_kept(item):
            raise ExpiredRunError
        end = KnownRun(0.0)
        await chain.look_at_end(table, run_id, end)
        if not end.ended:
            return False
        await _mark(table, pk)
    cache.forget(run_id)
    await _empty(table, item)
    await table.delete(pk, items.META)
    return True


async def forget_turns(table: Table, owner: str | None, session: str, now: float) -> bool:
    """Delete the turns of a session. False where none was kept."""
    turns = await table.query_all(items.session_key(owner, session), " ", "~")
    await _delete(table, ((turn["pk"]["S"], turn["sk"]["S"]) for turn in turns))
    return any(float(turn["until"]["N"]) > now for turn in turns)


async def list_runs(table: Table, owner: str | None, session: str) -> list[str]:
    """The ids of the runs of a session, the oldest first."""
    partition = items.owned_key(owner, session)
    assert partition is not None
    name = items.text(items.session_key(owner, session))
    listed = await table.query_all(partition, " ", "~")
    return [items.run_in(item) for item in listed if item.get("session") == name]


async def _mark(table: Table, pk: str) -> None:
    try:
        await table.update(
            pk,
            items.META,
            UpdateExpression="SET deleted = :yes, question = :none, checkpoint = :none",
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeValues={":yes": {"BOOL": True}, ":none": items.binary(b"")},
        )
    except RefusedError:
        raise UnknownRunError from None  # another request was faster


async def _empty(table: Table, item: Item) -> None:
    run = items.run_of_item(item)
    pk = items.run_key(run.id)
    found = await table.query_all(pk, items.FIRST_BATCH, items.LAST_BATCH)
    places = [(pk, part["sk"]["S"]) for part in found]
    if found:
        tombstone = _make_tombstone(found[-1])
        await table.call("put_item", Item=tombstone)
        places.remove((pk, tombstone["sk"]["S"]))
    places += [(pk, items.READ_MARK), (pk, items.FEEDBACK), items.listing_key(run)]
    if "listed" in item:
        places.append((item["listed"]["S"], items.place_in_time(run)))
    await _delete(table, places)


def _make_tombstone(head: Item) -> Item:
    """What stays of the last batch of a deleted run: its place, so that no late append takes it."""
    kept = {name: head[name] for name in ("pk", "last", "ended", "expires")}
    return {
        **kept,
        "sk": items.text(items.whole_batch_key(head["sk"]["S"])),
        "parts": items.number(1),
        "nonce": items.binary(os.urandom(16)),
        "blob": items.binary(b""),
        **items.DELETED,
    }


async def _delete(table: Table, places: Iterable[tuple[str, str]]) -> None:
    left = list(places)
    while left:
        await asyncio.gather(*(table.delete(*place) for place in left[:AT_ONCE]))
        del left[:AT_ONCE]
