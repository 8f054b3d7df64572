"""A table that fails as real ones do: before it did it, after it did it, twice, and too late."""

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

BUSY_CODES = (
    ("ProvisionedThroughputExceededException", 400),
    ("ThrottlingException", 400),
    ("RequestLimitExceeded", 400),
    ("InternalServerError", 500),
    ("ServiceUnavailable", 503),
)


def refusal(code: str, status: int = 400, **more: Any) -> ClientError:
    """What boto3 raises for an error response."""
    return ClientError(
        {
            "Error": {"Code": code, "Message": "no"},
            "ResponseMetadata": {"HTTPStatusCode": status},
            **more,
        },
        "Operation",
    )


class FaultyClient:
    """A DynamoDB client over a bad line: `share` of its calls go wrong.

    Throttled or unreachable (nothing was done); answered too late (done, or done at some later
    moment, when others have gone on); delivered twice, by a line that repeats itself.
    """

    def __init__(self, client: Any, chance: random.Random, share: float) -> None:
        self._client = client
        self._chance = chance
        self._share = share
        self._late: list[Callable[[], Any]] = []

    def close(self) -> None:
        """Stay open: others use it."""

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(**request: Any) -> Any:
            while self._late and self._chance.random() < 0.3:
                self._quietly(self._late.pop(0))
            if self._chance.random() >= self._share:
                return method(**request)
            return self._fail(name, lambda: method(**request))

        return call

    def _fail(self, name: str, send: Callable[[], Any]) -> Any:
        kind = self._chance.choice(("busy", "away", "lost", "late", "twice", "conflict"))
        if kind == "lost":
            self._quietly(send)
            raise ReadTimeoutError(endpoint_url="http://table")
        if kind == "late":
            self._late.append(send)
            raise ReadTimeoutError(endpoint_url="http://table")
        if kind == "twice":
            self._quietly(send)
            return send()
        if kind == "conflict" and name == "transact_write_items":
            raise refusal(
                "TransactionCanceledException",
                CancellationReasons=[{"Code": "None"}, {"Code": "TransactionConflict"}],
            )
        if kind == "away":
            raise ConnectTimeoutError(endpoint_url="http://table")
        raise refusal(*self._chance.choice(BUSY_CODES))

    def _quietly(self, send: Callable[[], Any]) -> None:
        with suppress(ClientError):
            send()
