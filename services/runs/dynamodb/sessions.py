"""Sessions in DynamoDB: a chain of turns, each an item."""

import os

from ..log import Entry
from ..packing import pack, to_bytes, to_text, unpack
from . import items
from .chain import check_size
from .table import Table


async def read_turns(
    table: Table, owner: str | None, session_id: str, limit: int, *, now: float
) -> list[tuple[str, str]]:
    """The last `limit` questions and answers of a session that are kept, oldest first."""
    if limit < 1:
        return []
    newest_first = await table.query_newest(items.session_key(owner, session_id), limit)
    said = [
        unpack(bytes(item["blob"]["B"]), 1)
        for item in newest_first
        if float(item["until"]["N"]) > now
    ]
    return [
        (to_text(question.payload), to_text(answer.payload)) for question, answer in reversed(said)
    ]


async def add_turn(
    table: Table, owner: str | None, session_id: str, turn: tuple[str, str], *, until: float
) -> None:
    """Remember a question and its answer until then (epoch seconds)."""
    question, answer = turn
    blob = pack([Entry(1, "question", to_bytes(question)), Entry(2, "answer", to_bytes(answer))])
    check_size(len(blob))
    item = {
        "pk": items.text(items.session_key(owner, session_id)),
        "blob": items.binary(blob),
        "nonce": items.binary(os.urandom(16)),
        "until": items.number(until),
        "expires": items.expiry(until),
    }
    # A session is a chain like a run; the second writer takes the next number.
    while True:
        newest = await table.query_newest(item["pk"]["S"], 1)
        number = int(newest[0]["sk"]["S"].partition("#")[2]) + 1 if newest else 1
        if await table.put_once([{**item, "sk": items.text(f"t#{number:09d}")}]):
            return
