"""Clients of AWS services: one each a process, made when first used.

Region, credentials and endpoints come from AWS's own variables (`AWS_DEFAULT_REGION`,
`AWS_PROFILE`, `AWS_ENDPOINT_URL_BEDROCK_RUNTIME`). Knows no operation of any service. boto3 and a
first client cost 0.4 s and 36 MB, so nothing is imported before somebody asks.
"""

import threading
from functools import cache
from typing import Any

from services.errors import SetupError

# Seconds. A machine that does not shake hands in two will not; a next one often does.
CONNECT_TIMEOUT = 2.0
READ_TIMEOUT = 60.0

# How often boto3 sends one request in all, before anything of an answer was seen.
TRIES = 3

# Calls at once in one process; boto3's own ten would make the eleventh stream wait.
CONNECTIONS = 50

_making = threading.Lock()


def client(
    service: str,
    *,
    read_timeout: float = READ_TIMEOUT,
    tries: int = TRIES,
    connections: int = CONNECTIONS,
) -> Any:
    """The client of `service`, as boto3 names it ("s3", "bedrock-runtime").

    The same arguments give the same client; it may be used from any thread. `read_timeout` is
    the longest silence within an answer, in seconds. Blocks while it is made: call it in a
    thread. Raises `SetupError` when boto3, the region or the profile is missing.
    """
    # Clients may be shared between threads; making one may not.
    with _making:
        return _made(service, read_timeout, tries, connections)


def forget() -> None:
    """Let the next call of `client` make a new one: the environment has changed."""
    with _making:
        _made.cache_clear()


@cache
def _made(service: str, read_timeout: float, tries: int, connections: int) -> Any:
    try:
        from boto3.session import Session
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise SetupError("This needs boto3. Install it with: pip install boto3") from error

    config = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": tries},
        max_pool_connections=connections,
        tcp_keepalive=True,
    )
    try:
        return Session().client(service, config=config)
    except (BotoCoreError, ValueError) as error:
        raise SetupError(
            f"The AWS client for {service} cannot be made: {error} "
            "Set AWS_DEFAULT_REGION, and AWS_PROFILE or the keys of an account."
        ) from error
