"""What every ledger promises, held against memory, SQLite and DynamoDB (moto)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.errors import SetupError
from services.ledger import Ledger, LedgerError, open_ledger
from services.ledger.dynamodb import DynamoLedger
from services.ledger.memory import MemoryLedger
from services.ledger.opening import LEDGERS
from services.ledger.sqlite import SQLiteLedger
from services.settings import Settings

pytestmark = pytest.mark.anyio

STORES = tuple(LEDGERS)
LATER = 2_000_000_000.0


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 1_900_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def table() -> Iterator[object]:
    """A table as the template makes it, in moto."""
    import boto3
    from moto import mock_aws

    with mock_aws():
        client = boto3.client(
            "dynamodb",
            region_name="eu-west-1",
            endpoint_url="https://dynamodb.eu-west-1.amazonaws.com",
            aws_access_key_id="a",
            aws_secret_access_key="b",
        )
        client.create_table(
            TableName="runs",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
        )
        yield client


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, clock: Clock, tmp_path: Path) -> Ledger:
    """One of the three, empty but for what other tests of DynamoDB left under other keys."""
    if request.param == "memory":
        return MemoryLedger(clock=clock)
    if request.param == "sqlite":
        return SQLiteLedger(tmp_path / "l.sqlite", clock=clock)
    # One thread: two calls of moto can come between each other's condition and write.
    client = request.getfixturevalue("table")
    return DynamoLedger("runs", client=client, clock=clock, threads=1)


@pytest.fixture
async def ledger(store: Ledger) -> AsyncIterator[Ledger]:
    yield store
    await store.close()


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """A key of this test alone."""
    return str(request.node.name)


async def test_a_record_is_replaced_only_by_who_read_it(ledger: Ledger, key: str) -> None:
    """Of two writers with one version one is refused."""
    assert await ledger.read(key) is None
    assert await ledger.write(key, {"a": [1]}, version=0, expires=LATER)
    assert not await ledger.write(key, {"a": [2]}, version=0, expires=LATER)
    found = await ledger.read(key)
    assert found is not None
    assert found.value == {"a": [1]}
    assert await ledger.write(key, {"a": [3]}, version=found.version, expires=LATER)
    assert not await ledger.write(key, {"a": [4]}, version=found.version, expires=LATER)
    again = await ledger.read(key)
    assert again is not None
    assert (again.value, again.version > found.version) == ({"a": [3]}, True)


async def test_counters_add_up_to_a_limit(ledger: Ledger, key: str) -> None:
    """One below its limit may be taken over it once; at its limit nothing is added."""
    assert await ledger.counters(key) == {}
    assert await ledger.add(key, {"runs": 1, "tokens": 70}, limits={"tokens": 100}, expires=LATER)
    assert await ledger.add(key, {"runs": 1, "tokens": 70}, limits={"tokens": 100}, expires=LATER)
    assert not await ledger.add(key, {"runs": 1}, limits={"tokens": 100}, expires=LATER)
    assert await ledger.counters(key) == {"runs": 2, "tokens": 140}
    assert await ledger.add(key, {"tokens": -60}, expires=LATER)
    assert await ledger.add(key, {"runs": 1}, limits={"tokens": 100, "runs": 9}, expires=LATER)
    assert await ledger.counters(key) == {"runs": 3, "tokens": 80}


async def test_of_many_at_once_as_many_are_let_in_as_there_is_room(
    ledger: Ledger, key: str
) -> None:
    """The condition and the addition are one step."""
    calls = (ledger.add(key, {"runs": 1}, limits={"runs": 7}, expires=LATER) for _ in range(40))
    assert sum(await asyncio.gather(*calls)) == 7
    assert await ledger.counters(key) == {"runs": 7}


async def test_what_expired_is_not_there(ledger: Ledger, key: str, clock: Clock) -> None:
    """Though the store may still hold it."""
    soon = clock.now + 60
    await ledger.write(key, {"a": 1}, version=0, expires=soon)
    await ledger.add(f"{key}-n", {"runs": 5}, expires=soon)
    clock.now += 61
    assert await ledger.read(key) is None
    assert await ledger.counters(f"{key}-n") == {}
    assert await ledger.write(key, {"a": 2}, version=0, expires=LATER)


async def test_two_processes_share_a_file(tmp_path: Path) -> None:
    """Each with a connection of its own."""
    one, other = SQLiteLedger(tmp_path / "l"), SQLiteLedger(tmp_path / "l")
    calls = [
        ledger.add("k", {"runs": 1}, limits={"runs": 5}, expires=LATER)
        for ledger in (one, other) * 10
    ]
    assert sum(await asyncio.gather(*calls)) == 5
    await one.close()
    await other.close()


async def test_a_store_out_of_reach_says_so(tmp_path: Path) -> None:
    """With one error, whatever the store raised."""

    class FaultyClient:
        def get_item(self, **_: object) -> object:
            raise ConnectionError

    with pytest.raises(LedgerError):
        await DynamoLedger("runs", client=FaultyClient()).counters("k")
    ledger = SQLiteLedger(tmp_path / "l")
    await ledger.close()
    with pytest.raises(LedgerError):
        await ledger.counters("k")
    with pytest.raises(SetupError, match="ledger"):
        SQLiteLedger(tmp_path / "l" / "below-a-file" / "x")


@pytest.mark.parametrize(
    ("log", "kind"),
    [
        ("memory://", MemoryLedger),
        ("sqlite://", SQLiteLedger),
        ("dynamodb://runs", DynamoLedger),
    ],
)
def test_the_ledger_is_beside_the_log(log: str, kind: type, tmp_path: Path) -> None:
    """In the table of the log, or a file beside its own."""
    ledger = open_ledger(Settings(log=log, data_dir=tmp_path))
    assert isinstance(ledger, kind)
    asyncio.run(ledger.close())
    asyncio.run(open_ledger(Settings(log=f"sqlite://{tmp_path}/runs.sqlite")).close())
    assert (tmp_path / "runs.ledger.sqlite").exists()
