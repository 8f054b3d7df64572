"""An AWS account for tests, that no real service has ever heard of."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from services import aws

ACCOUNT = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_CONFIG_FILE": "/nowhere",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def aws_account(monkeypatch: pytest.MonkeyPatch, **endpoints: str) -> Iterator[None]:
    """The account in this process's environment, with `endpoints` by their variables."""
    for name, value in {**ACCOUNT, **endpoints}.items():
        monkeypatch.setenv(name, value)
    aws.forget()
    try:
        yield
    finally:
        aws.forget()
