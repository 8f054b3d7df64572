"""A bucket on this machine, and clients that are cut off at any call."""

import secrets
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config


class KilledError(BaseException):
    """The process ended here: nothing catches it."""


def client_of(url: str, service: str) -> Any:
    """A client of the fake at `url` that tries once."""
    return boto3.session.Session().client(
        service, endpoint_url=url, config=Config(retries={"total_max_attempts": 1})
    )


class Mortal:
    """A client that ends the process at its n-th call: before it is sent, or after its answer."""

    def __init__(self, client: Any, call: int, *, after: bool) -> None:
        self._client = client
        self._left = call
        self._after = after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if (
            name.startswith("_")
            or not callable(method)
            or name in ("get_paginator", "can_paginate")
        ):
            return method

        def call(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            if self._left == 0 and not self._after:
                raise KilledError
            try:
                return method(*args, **kwargs)
            finally:
                if self._left == 0:
                    raise KilledError

        return call


def killed_everywhere(client: Any, work: Callable[[Any], object], look: Callable[[], None]) -> int:
    """Do `work` with a client that ends at its first call, second, ...; `look` after each.

    Returns how often it was ended.
    """
    deaths = 0
    for call in range(1, 1000):
        for after in (False, True):
            try:
                work(Mortal(client, call, after=after))
            except KilledError:
                deaths += 1
                look()
            else:
                return deaths
    raise AssertionError("it never came to its end")


def new_bucket(s3: Any) -> str:
    """The name of a bucket that was just made."""
    name = f"index-{secrets.token_hex(8)}"
    s3.create_bucket(Bucket=name)
    return name
