"""The items of the DynamoDB run log: how they are named and what is in them.

    pk                     sk                 holds
    run#<id>               meta               the run: owner, question, lease, when it expires
    run#<id>               e#<first seq>      one append: its entries as a blob, and how many
    run#<id>               e#<first seq>#<n>  part n of a blob that one item cannot hold
    run#<id>               read_mark          that a reader reads the run, and for how long
    run#<id>               feedback           what a reader thinks of the answer
    key#<hash>             key                which run an idempotency key started
    runs#<day>#<digit>     <created>#<id>     which runs there are, for `list_recent`
    owner#<hash>           <created>#<id>     which runs an owner has, or a session without one
    session#<hash>         t#<number>         a turn of a session

`expires` is the table's TTL attribute (epoch seconds). DynamoDB deletes late, so a run's own is
looked at whenever the run is read. Names that strangers choose are hashed: they cannot collide, be
too long, or be read in a key.
"""

import hashlib
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..log import Entry, Run
from ..packing import unpack
from .faults import Item
from .table import NEW

# What one item may hold of a blob, in bytes: well under the 400 KB that DynamoDB allows. And what
# one transaction may hold of it, under 4 MB.
PART_BYTES = 300_000
BATCH_BYTES = 3_600_000

# What readers write stands apart from `meta`: a write costs by the size of its item, and `meta`
# holds the question.
META, KEY, READ_MARK, FEEDBACK = "meta", "key", "read_mark", "feedback"

# Items of a run outlive it a little, so that a run that lasts long is not deleted at its start
# while it still goes on; whether it is over is read from `meta` alone. In seconds.
SLACK = 3600.0

# What marks an item as what is left of a deleted run.
DELETED: Mapping[str, Item] = {"deleted": {"BOOL": True}}

# Before the first batch of a run, and after its last one.
FIRST_BATCH, LAST_BATCH = "e#", "e$"
_BATCH_WIDTH = len("e#000000000")


def is_run_id(name: str) -> bool:
    """Whether `name` may be that of a run: no other is looked up."""
    return re.fullmatch(r"[0-9a-f]{32}", name) is not None


def run_key(run_id: str) -> str:
    """The partition of a run."""
    return f"run#{run_id}"


def hash_key(kind: str, owner: str | None, name: str) -> str:
    """The partition of what `owner` calls `name`."""
    scope = "" if owner is None else f"={owner}"
    parts = [part.encode("utf-8", "surrogatepass") for part in (scope, name)]
    text = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return f"{kind}#{hashlib.sha256(text).hexdigest()}"


def listing_key(run: Run) -> tuple[str, str]:
    """Where `recent` finds a run. Sixteen partitions a day, so that none of them is hot."""
    return f"runs#{int(run.created // 86400)}#{run.id[0]}", place_in_time(run)


def place_in_time(run: Run) -> str:
    """The place of a run among others, the oldest first."""
    return f"{int(run.created * 1_000_000):020d}#{run.id}"


def run_in(item: Item) -> str:
    """The id of the run that an item lists."""
    return str(item["sk"]["S"]).partition("#")[2]


def listing_keys(day: int) -> list[str]:
    """The partitions of a day (days since the epoch)."""
    return [f"runs#{day}#{digit}" for digit in "0123456789abcdef"]


def owned_key(owner: str | None, session: str | None) -> str | None:
    """The partition of the runs of an owner, or of a session that has none; None without either."""
    if owner is None and session is None:
        return None
    return hash_key("owner", owner, "" if owner is not None else str(session))


def session_key(owner: str | None, session: str) -> str:
    """The partition of a session's turns, which also names the session."""
    return hash_key("session", owner, session)


def batch_key(first: int) -> str:
    """The place of a batch that begins with `first`."""
    return f"{FIRST_BATCH}{first:09d}"


def whole_batch_key(key: str) -> str:
    """The place of the batch that `key`, perhaps of a part, belongs to."""
    return key[:_BATCH_WIDTH]


def past_batch_key(seq: int) -> str:
    """A place after every batch, and every part of one, that begins with `seq` or before."""
    return f"{batch_key(seq)}$"


def text(value: str) -> Item:
    """A string, typed."""
    return {"S": value}


def number(value: float) -> Item:
    """A number, typed."""
    return {"N": repr(value)}


def binary(value: bytes) -> Item:
    """Bytes, typed."""
    return {"B": value}


def expiry(until: float) -> Item:
    """Epoch seconds as TTL wants them: whole ones."""
    return {"N": str(math.ceil(until))}


def meta_item(run: Run, until: float, listed: str | None = None) -> Item:
    """The item of a run that is kept until `until`, and `listed` in that partition, if in one."""
    item = {
        "pk": text(run_key(run.id)),
        "sk": text(META),
        "created": number(run.created),
        "fingerprint": text(run.fingerprint),
        "question": binary(run.question),
        "epoch": number(run.epoch),
        "lease": number(run.lease_until),
        "checkpoint": binary(run.checkpoint),
        "renewals": number(run.renewals),
        "doubted": {"BOOL": run.is_doubted},
        "until": number(until),
        "expires": expiry(until + SLACK),
    }
    if run.owner is not None:
        item["owner"] = text(run.owner)
    if listed is not None:
        item["listed"] = text(listed)
    return item


def key_put(name: str, run_id: str, expires: Item, *, over: str | None = None) -> dict[str, Any]:
    """The put that makes a key stand for a run, where it stands for none, or for `over`."""
    put: dict[str, Any] = {
        "Item": {"pk": text(name), "sk": text(KEY), "run": text(run_id), "expires": expires},
        "ConditionExpression": NEW,
    }
    if over is not None:
        put["ConditionExpression"] = f"{NEW} OR #run = :over"
        put["ExpressionAttributeNames"] = {"#run": "run"}
        put["ExpressionAttributeValues"] = {":over": text(over)}
    return put


def read_mark_item(run_id: str, seconds: float, kept: float) -> Item:
    """The item that says a run is read, for `seconds` from when it is seen."""
    return {
        "pk": text(run_key(run_id)),
        "sk": text(READ_MARK),
        "seconds": number(seconds),
        "nonce": binary(os.urandom(8)),
        "expires": expiry(kept),
    }


def feedback_item(run_id: str, said: bytes, kept: float) -> Item:
    """The item that holds what a reader thinks of a run."""
    return {
        "pk": text(run_key(run_id)),
        "sk": text(FEEDBACK),
        "said": binary(said),
        "expires": expiry(kept),
    }


def said_of(item: Item | None) -> bytes:
    """What a feedback item holds, b"" of none."""
    return bytes(item["said"]["B"]) if item is not None else b""


def is_deleted(item: Item) -> bool:
    """Whether an item, of a run or of a batch, is what is left of a deleted run."""
    return "deleted" in item


def check_item(now: float) -> Item:
    """The item that is put to see whether the table can be written."""
    return {"pk": text("check"), "sk": text("check"), "expires": expiry(now + SLACK)}


def run_of_item(item: Item) -> Run:
    """The run of a meta item."""
    return Run(
        id=item["pk"]["S"].partition("#")[2],
        owner=item["owner"]["S"] if "owner" in item else None,
        created=float(item["created"]["N"]),
        fingerprint=item["fingerprint"]["S"],
        question=bytes(item["question"]["B"]),
        epoch=int(item["epoch"]["N"]),
        lease_until=float(item["lease"]["N"]),
        checkpoint=bytes(item["checkpoint"]["B"]),
        renewals=int(item["renewals"]["N"]),
        is_doubted=bool(item["doubted"]["BOOL"]),
    )


def batch_items(
    run_id: str, entries: Sequence[Entry], blob: bytes, nonce: bytes, *, at: float, until: float
) -> list[Item]:
    """The items of one append made `at`: one, or where the blob is too long for it, its parts."""
    key = batch_key(entries[0].seq)
    parts = [blob[at : at + PART_BYTES] for at in range(0, len(blob), PART_BYTES)]
    return [
        {
            "pk": text(run_key(run_id)),
            "sk": text(key if index == 0 else f"{key}#{index:02d}"),
            "blob": binary(part),
            "parts": number(len(parts)),
            "last": number(entries[-1].seq),
            "ended": {"BOOL": entries[-1].terminal},
            "nonce": binary(nonce),
            "at": number(at),
            "expires": expiry(until),
        }
        for index, part in enumerate(parts)
    ]


def batches(items: Sequence[Item]) -> Iterator[tuple[int, Sequence[Item]]]:
    """The first number and the items of each batch that is whole, in order, up to a hole.

    The parts of a batch are written in one transaction, but a query is not one: it may see some
    of them only.
    """
    place = 0
    follows: int | None = None
    while place < len(items):
        head = items[place]
        size = int(head["parts"]["N"])
        parts = items[place : place + size]
        key = head["sk"]["S"]
        first = int(key[len(FIRST_BATCH) : _BATCH_WIDTH])
        if len(key) != _BATCH_WIDTH or len(parts) < size or follows not in (None, first):
            return
        if any(whole_batch_key(part["sk"]["S"]) != key for part in parts):
            return
        yield first, parts
        follows = last_of(head) + 1
        place += size


def entries_of(first: int, parts: Sequence[Item]) -> list[Entry]:
    """The entries of a whole batch."""
    return unpack(b"".join(bytes(part["blob"]["B"]) for part in parts), first)


def last_of(item: Item) -> int:
    """The last number of the batch that an item belongs to."""
    return int(item["last"]["N"])


def time_of(item: Item) -> float | None:
    """When the batch that an item belongs to was appended; None where the time was not taken."""
    return float(item["at"]["N"]) if "at" in item else None


def is_end(item: Item) -> bool:
    """Whether the batch that an item belongs to ends its run."""
    return bool(item["ended"]["BOOL"])
