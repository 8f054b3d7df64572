"""The ledger in the run log's DynamoDB table: an item for each key, one conditional write a step.

`add` is a single `UpdateItem`: its condition and its additions are one step of the service, so it
costs one write unit and no read. boto3 is imported when it is first used.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .. import aws
from ..errors import SetupError
from ..json_input import parse_json
from .protocol import LedgerError, Record

# Seconds: a question waits for the ledger before anything is said.
TIMEOUT = 2.0
_THREADS = 8


class DynamoLedger:
    """Records and counters in items of the table `name`, beside the runs."""

    def __init__(
        self,
        name: str,
        *,
        client: Any | None = None,
        clock: Callable[[], float] = time.time,
        threads: int = _THREADS,
    ) -> None:
        self._name = name
        self._client = client
        self._clock = clock
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="riverrun-ledger")

    async def read(self, key: str) -> Record | None:
        """Read a record, or None where there is none (any more)."""
        item = await self._item(key)
        if item is None or "value" not in item:
            return None
        return Record(parse_json(item["value"]["S"]), int(item["version"]["N"]))

    async def write(
        self, key: str, value: Mapping[str, Any], *, version: int, expires: float
    ) -> bool:
        """Replace the record of `version` (0: there is none yet); False when it has another."""
        item = {
            **self._key(key),
            "value": {"S": json.dumps(dict(value))},
            "version": {"N": str(version + 1)},
            "expires": {"N": str(int(expires))},
        }
        condition: dict[str, Any] = {
            "ConditionExpression": "attribute_not_exists(pk) OR expires <= :now",
            "ExpressionAttributeValues": {":now": {"N": str(int(self._clock()))}},
        }
        if version:
            condition = {
                "ConditionExpression": "version = :version",
                "ExpressionAttributeValues": {":version": {"N": str(version)}},
            }
        return await self._conditional("put_item", Item=item, **condition)

    async def add(
        self,
        key: str,
        amounts: Mapping[str, int],
        *,
        limits: Mapping[str, int] | None = None,
        expires: float,
    ) -> bool:
        """Add `amounts` to the counters of `key`; False, and nothing added, at a limit."""
        names = {f"#{name}": f"n_{name}" for name in {*amounts, *(limits or {})}}
        values = {f":a_{name}": {"N": str(amount)} for name, amount in amounts.items()}
        values[":expires"] = {"N": str(int(expires))}
        added = ", ".join(f"#{name} :a_{name}" for name in amounts)
        asked: dict[str, Any] = {}
        if limits:
            values |= {f":l_{name}": {"N": str(limit)} for name, limit in limits.items()}
            room = (f"(attribute_not_exists(#{n}) OR #{n} < :l_{n})" for n in limits)
            asked["ConditionExpression"] = " AND ".join(room)
        return await self._conditional(
            "update_item",
            Key=self._key(key),
            UpdateExpression=f"SET expires = :expires ADD {added}",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            **asked,
        )

    async def counters(self, key: str) -> Mapping[str, int]:
        """Read the counters of `key`; empty where there are none (any more)."""
        item = await self._item(key) or {}
        return {n.removeprefix("n_"): int(v["N"]) for n, v in item.items() if n.startswith("n_")}

    async def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _item(self, key: str) -> dict[str, Any] | None:
        response = await self._call("get_item", Key=self._key(key), ConsistentRead=True)
        item: dict[str, Any] | None = response.get("Item")
        # The service deletes an item up to days after it expired.
        if item is None or float(item.get("expires", {}).get("N", "0")) <= self._clock():
            return None
        return item

    async def _conditional(self, operation: str, **arguments: Any) -> bool:
        try:
            await self._call(operation, **arguments)
        except _RefusedError:
            return False
        return True

    async def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        def call() -> dict[str, Any]:
            client = self._client or aws.client("dynamodb", read_timeout=TIMEOUT)
            response: dict[str, Any] = getattr(client, operation)(TableName=self._name, **arguments)
            return response

        try:
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(2 * TIMEOUT):
                return await loop.run_in_executor(self._threads, call)
        except SetupError:
            raise
        except Exception as error:
            code = _code_of(error)
            if code == "ConditionalCheckFailedException":
                raise _RefusedError from error
            raise LedgerError from error

    @staticmethod
    def _key(key: str) -> dict[str, Any]:
        return {"pk": {"S": f"ledger#{key}"}, "sk": {"S": "-"}}


class _RefusedError(Exception):
    """The condition of a write does not hold."""


def _code_of(error: Exception) -> str:
    response = getattr(error, "response", None)
    if not isinstance(response, Mapping):
        return ""
    return str(response.get("Error", {}).get("Code", ""))
