"""Putting a new run into DynamoDB, once for each idempotency key, and listing what was put."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from ..log import Run
from . import items
from .faults import Item, RefusedError
from .table import NEW, Table


async def put_run(
    table: Table,
    run: Run,
    key: str | None,
    session: str | None,
    until: float,
    *,
    is_kept: Callable[[Item], Awaitable[bool]],
) -> Run | None:
    """Put a new run, kept `until` then. Returns the one that `key` stands for already, if any."""
    pk, sk = items.listing_key(run)
    listing = {
        "pk": items.text(pk),
        "sk": items.text(sk),
        "expires": items.expiry(until + items.SLACK),
    }
    partition = items.owned_key(run.owner, session)
    puts: list[dict[str, Any]] = [
        {"Item": items.meta_item(run, until, partition), "ConditionExpression": NEW},
        {"Item": listing},
    ]
    if partition is not None:
        puts.append({"Item": _owned_item(run, partition, session, listing["expires"])})
    if key is None:
        # No other run has this id: if it is there, an earlier try was ours.
        with suppress(RefusedError):
            await table.transact(puts)
        return None
    name = items.hash_key("key", run.owner, key)
    put = items.key_put(name, run.id, listing["expires"])
    while True:
        try:
            await table.transact([*puts, put])
            return None
        except RefusedError:
            taken = await table.get(name, items.KEY)
        holder = taken["run"]["S"] if taken is not None else None
        if holder == run.id:
            return None
        meta = await table.get(items.run_key(holder), items.META) if holder is not None else None
        if meta is not None and await is_kept(meta):
            return items.run_of_item(meta)
        # The run of this key is over; the first process takes the key from it.
        put = items.key_put(name, run.id, listing["expires"], over=holder)


async def list_started(table: Table, day: int, limit: int) -> list[str]:
    """The ids of the newest runs of a day (days since the epoch), newest first."""
    lists = await asyncio.gather(
        *(table.query_newest(key, limit) for key in items.listing_keys(day))
    )
    newest = sorted((one for some in lists for one in some), key=_place, reverse=True)
    return [items.run_in(item) for item in newest[:limit]]


async def list_owned(table: Table, owner: str, limit: int) -> list[str]:
    """The ids of the newest runs of an owner, newest first."""
    partition = items.owned_key(owner, None)
    assert partition is not None
    return [items.run_in(item) for item in await table.query_newest(partition, limit)]


def _owned_item(run: Run, partition: str, session: str | None, expires: Item) -> Item:
    place = items.text(items.place_in_time(run))
    item = {"pk": items.text(partition), "sk": place, "expires": expires}
    if session is not None:
        item["session"] = items.text(items.session_key(run.owner, session))
    return item


def _place(item: Item) -> str:
    return str(item["sk"]["S"])
