"""The log in DynamoDB keeps the rules on Amazon's own stand-in, which serves many at once."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.errors import SetupError
from services.runs import RunLog
from services.runs.dynamodb.log import DynamoLog
from services.runs.dynamodb.table import Table
from tests.services.runs import dynamodb_local
from tests.services.runs.conformance import (
    RULES,
    SHARED_RULES,
    Clock,
    OpenAnother,
    Rule,
    SharedRule,
)
from tests.services.runs.tables import SharedClient, client_for, logs_on

pytestmark = [
    pytest.mark.slow,
    pytest.mark.anyio,
    pytest.mark.skipif(
        dynamodb_local.missing_reason() is not None, reason=str(dynamodb_local.missing_reason())
    ),
]


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of the server that all processes of this run of the tests share."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with dynamodb_local.share_server(folder) as address:
        client = client_for(address)
        yield client
        client.close()


@asynccontextmanager
async def open_log(client: Any, clock: Clock) -> AsyncIterator[RunLog]:
    """An empty log."""
    async with logs_on(client, clock) as open_another:
        yield open_another()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
async def test_it_keeps_the_rules_of_the_log(rule: Rule, client: Any) -> None:
    """See conformance.py."""
    clock = Clock()
    async with open_log(client, clock) as log:
        await rule(log, clock)


@pytest.mark.parametrize("rule", SHARED_RULES, ids=lambda rule: rule.__name__)
async def test_it_keeps_them_between_processes(rule: SharedRule, client: Any) -> None:
    """See conformance.py."""
    clock = Clock()
    open_another: OpenAnother
    async with logs_on(client, clock) as open_another:
        await rule(open_another, clock)


async def test_a_table_that_is_not_there_is_told(client: Any) -> None:
    """By whatever is asked of it first, before any model is."""
    log = DynamoLog(Table("not-there", client=SharedClient(client)))
    for call in (
        log.start(owner="ann", key="k", fingerprint="f"),
        log.start(owner=None, key=None, fingerprint="f"),
        log.find("0" * 32, None),
        log.read_turns("ann", "s", 5),
        log.list_recent(),
    ):
        with pytest.raises(SetupError, match="no DynamoDB table 'not-there'"):
            await call
    await log.close()


async def test_a_table_of_something_else_is_told(client: Any) -> None:
    """With the keys that it should have."""
    client.create_table(
        TableName="something-else",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    log = DynamoLog(Table("something-else", client=SharedClient(client)))
    for key in (None, "k"):
        with pytest.raises(SetupError, match="pk \\(HASH\\)"):
            await log.start(owner="ann", key=key, fingerprint="f")
    await log.close()
