"""The log in DynamoDB keeps the rules, on moto, and asks for no more than it needs."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from services.runs import follow
from services.runs.dynamodb.log import DynamoLog
from services.runs.dynamodb.table import Table
from tests.services.runs.conformance import (
    RULES,
    SHARED_RULES,
    Clock,
    Rule,
    SharedRule,
    final,
    start_run,
    token,
)
from tests.services.runs.tables import SharedClient, logs_on, moto_client, new_table

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A client of moto's DynamoDB, for this module."""
    with moto_client() as client:
        yield client


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
async def test_it_keeps_the_rules_of_the_log(rule: Rule, client: Any) -> None:
    """See conformance.py."""
    clock = Clock()
    async with logs_on(client, clock) as open_another:
        await rule(open_another(), clock)


@pytest.mark.parametrize("rule", SHARED_RULES, ids=lambda rule: rule.__name__)
async def test_it_keeps_them_between_processes(rule: SharedRule, client: Any) -> None:
    """See conformance.py."""
    clock = Clock()
    async with logs_on(client, clock) as open_another:
        await rule(open_another, clock)


async def test_every_item_goes_away_by_itself(client: Any) -> None:
    """With the table's TTL attribute, whole seconds, never before what it belongs to is over."""
    clock = Clock()
    name = new_table(client)
    log = DynamoLog(
        Table(name, client=SharedClient(client)), retention=100.5, now=clock, monotonic=clock
    )
    run = await start_run(log, "ann", "k")
    await log.append(run.id, [token(1)])
    await log.add_turn("ann", "s", "q", "a")
    await log.renew(run)
    await log.mark_read(run.id, 12.0)
    items = client.scan(TableName=name)["Items"]
    kinds = {item["pk"]["S"].partition("#")[0] for item in items}
    assert kinds == {"run", "key", "runs", "owner", "session"}
    for item in items:
        assert int(item["expires"]["N"]) >= clock() + 100.5
    await log.close()


async def test_a_sign_of_a_reader_is_small_however_long_the_question(client: Any) -> None:
    """It costs one unit, in one call; to look for it is another."""
    calls: Counter[str] = Counter()
    name = new_table(client)
    table = Table(name, client=SharedClient(client), spent=lambda name, _: calls.update([name]))
    log = DynamoLog(table)
    run, _ = await log.start(owner=None, key=None, fingerprint="f", question=b"q" * 250_000)
    calls.clear()
    for _ in range(3):
        await log.mark_read(run.id, 12.0)
    await log.seconds_unread(run.id)
    assert calls == {"put_item": 3, "get_item": 1}
    there = client.scan(TableName=name)["Items"]
    (item,) = [one for one in there if one["sk"] == {"S": "read_mark"}]
    assert len(str(item)) < 400
    await log.close()


async def test_no_item_is_near_the_limit(client: Any) -> None:
    """400 KB with all names; here a batch that does not shrink."""
    name = new_table(client)
    log = DynamoLog(Table(name, client=SharedClient(client)))
    run = await start_run(log)
    noise = bytes(range(256)) * 16
    await log.append(run.id, [token(n, bytes([n]) * 40_000 + noise) for n in range(1, 30)])
    await log.append(run.id, [final(30)])
    for item in client.scan(TableName=name)["Items"]:
        size = sum(len(key) + len(str(value)) for key, value in item.items() if "B" not in value)
        size += sum(len(value["B"]) for value in item.values() if "B" in value)
        assert size < 320_000
    await log.close()


async def test_an_append_is_one_call(client: Any) -> None:
    """And its own reader, who follows it, asks twice for each: for more, and for what it is."""
    calls: Counter[str] = Counter()
    name = new_table(client)
    table = Table(name, client=SharedClient(client), spent=lambda name, _: calls.update([name]))
    log = DynamoLog(table)
    run, _ = await log.start(owner=None, key=None, fingerprint="f")
    assert calls == {"transact_write_items": 1}
    calls.clear()
    for seq in range(1, 20):
        await log.append(run.id, [token(seq)])
    await log.append(run.id, [final(20)])
    assert calls == {"put_item": 20}
    calls.clear()
    async for _ in follow(log, run.id):
        pass
    assert calls == {"query": 2}
    await log.close()
