"""What the oracles' tests share: a gate, and boto3 as anyone would use it."""

import contextlib
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.emulator.support import Gate, RunningCloud


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate for the function to ask at."""
    with contextlib.closing(Gate()) as one:
        yield one


@pytest.fixture
def lambdas(cloud: RunningCloud) -> Iterator[Any]:
    """A client for the Invoke API of the module's cloud."""
    client = boto3.client(
        "lambda",
        endpoint_url=cloud.url("invoke"),
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 0}),
    )
    yield client
    client.close()
