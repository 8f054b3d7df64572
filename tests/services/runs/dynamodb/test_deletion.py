"""Deleting a run of many items: what is left, and what a call that failed half-way leaves."""

from collections.abc import Iterator
from typing import Any

import pytest

from services.runs import RunLogError, UnknownRunError
from services.runs.dynamodb.log import DynamoLog
from services.runs.dynamodb.table import Table
from tests.services.runs.conformance import final, start_run, token
from tests.services.runs.tables import SharedClient, moto_client, new_table

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A client of moto's DynamoDB, for this module."""
    with moto_client() as client:
        yield client


class FailingDeletes:
    """A client whose `delete_item` fails once `allowed` of them were carried out."""

    def __init__(self, client: Any, allowed: int) -> None:
        self._client = client
        self.allowed = allowed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def delete_item(self, **request: Any) -> Any:
        """Delete, or fail as a table that is out of reach does."""
        from botocore.exceptions import EndpointConnectionError

        self.allowed -= 1
        if self.allowed < 0:
            raise EndpointConnectionError(endpoint_url="http://table")
        return self._client.delete_item(**request)


async def make_run(log: DynamoLog) -> str:
    """A run that has ended, of thirty batches, the last one of two parts."""
    run, _ = await log.start(
        owner="ann", key="k", fingerprint="f", question=b"a secret", session="s"
    )
    for seq in range(1, 30):
        await log.append(run.id, [token(seq, b"a secret")])
    noise = bytes(range(256)) * 2000
    await log.append(run.id, [token(30, noise), final(31)])
    await log.keep_feedback(run.id, b"a secret")
    return run.id


async def test_of_a_deleted_run_only_names_are_left(client: Any) -> None:
    """The place of its last batch and of its key, which hold nothing and expire."""
    name = new_table(client)
    log = DynamoLog(Table(name, client=SharedClient(client)))
    run_id = await make_run(log)
    assert await log.delete(run_id, "ann")
    left = client.scan(TableName=name)["Items"]
    assert sorted(item["pk"]["S"].partition("#")[0] for item in left) == ["key", "run"]
    assert b"secret" not in repr(left).encode()
    assert len(repr(left)) < 1000
    assert all("expires" in item for item in left)
    await log.close()


@pytest.mark.parametrize("allowed", [0, 1, 20, 30])
async def test_a_deletion_that_was_cut_off_goes_on(client: Any, allowed: int) -> None:
    """Nothing of the run is found meanwhile; asked again, the rest of it is deleted."""
    name = new_table(client)
    failing = FailingDeletes(SharedClient(client), allowed)
    log = DynamoLog(Table(name, client=failing, budget=0.0))
    run_id = await make_run(log)
    with pytest.raises(RunLogError):
        await log.delete(run_id, "ann")
    for call in (log.find(run_id, "ann"), log.delete(run_id, "bob")):
        with pytest.raises(UnknownRunError):
            await call
    assert await log.list_owned("ann") == []
    # Its key starts another run already now.
    assert (await start_run(log, "ann", "k")).id != run_id
    failing.allowed = 1000
    assert await log.delete(run_id, "ann")
    left = [item for item in client.scan(TableName=name)["Items"] if run_id in repr(item)]
    assert [item["blob"]["B"] for item in left] == [b""]
    await log.close()


async def test_a_foreign_run_costs_the_same_calls_as_a_missing_one(client: Any) -> None:
    """So that no clock tells one from the other; a time would be the machine's."""
    calls: list[tuple[str, int]] = []

    def note(operation: str, response: Any) -> None:
        calls.append((operation, len(response.get("Items", ()))))

    name = new_table(client)
    log = DynamoLog(Table(name, client=SharedClient(client), spent=note))
    run_id = await make_run(log)
    seen = []
    for asked in (run_id, "0" * 32):
        for method in (log.find, log.delete):
            calls.clear()
            with pytest.raises(UnknownRunError):
                await method(asked, "bob")
            seen.append(list(calls))
    assert seen == [[("get_item", 0)]] * 4
    for session in ("s", "never"):
        calls.clear()
        assert await log.list_session("bob", session) == []
        assert not await log.forget_turns("bob", session)
        assert calls == [("query", 0)] * 2
    await log.close()
