"""DynamoDB tables to test on: moto in this process, or any endpoint on this machine."""

import secrets
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import wraps
from typing import Any

import boto3
from botocore.config import Config
from moto import mock_aws

from services.runs import RunLog
from services.runs.dynamodb.log import DynamoLog
from services.runs.dynamodb.table import Table
from tests.services.runs.conformance import Clock, OpenAnother

SCHEMA: dict[str, Any] = {
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
    ],
    "BillingMode": "PAY_PER_REQUEST",
}


class OneAtATime:
    """A client whose calls wait for each other: moto checks a condition and puts in two steps."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if not callable(method):
            return method

        @wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                return method(*args, **kwargs)

        return call


def client_for(endpoint: str | None = None) -> Any:
    """A client that tries once, for moto (no endpoint) or for a server on this machine."""
    return boto3.session.Session().client(
        "dynamodb",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(
            retries={"mode": "standard", "total_max_attempts": 1},
            # Without an endpoint it is moto in this process, and not where no server listens.
            ignore_configured_endpoint_urls=endpoint is None,
        ),
    )


def new_table(client: Any) -> str:
    """The name of a table that was just made."""
    name = f"runs-{secrets.token_hex(8)}"
    client.create_table(TableName=name, **SCHEMA)
    return name


@contextmanager
def moto_client() -> Iterator[Any]:
    """A client of moto's DynamoDB, empty."""
    with mock_aws():
        yield OneAtATime(client_for())


@asynccontextmanager
async def logs_on(client: Any, clock: Clock) -> AsyncIterator[OpenAnother]:
    """One new table, opened as often as is asked for."""
    name = new_table(client)
    async with AsyncExitStack() as stack:

        def open_another() -> RunLog:
            log = DynamoLog(Table(name, client=SharedClient(client)), now=clock, monotonic=clock)
            stack.push_async_callback(log.close)
            return log

        yield open_another


class SharedClient:
    """A client that many logs share, so that none of them closes it."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def close(self) -> None:
        """Stay open."""


OpenClient = Callable[[], Any]
