"""One DynamoDB table: calls in threads, tried again while there is time.

Imports boto3 when it is first used. Knows requests; what the items mean is the
business of `services.runs.dynamodb`, what failures mean that of `services.runs.dynamodb.faults`.
"""

import asyncio
import logging
import os
import random
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from zlib import crc32

from ... import aws
from ..errors import RunLogError
from .faults import Item, RefusedError, SkewedClockError, translate_error

logger = logging.getLogger("riverrun.runs")

# Times in seconds. One try is given up early: another one usually finds a machine that answers.
BUDGET = 5.0
CONNECT_TIMEOUT = 1.0
READ_TIMEOUT = 1.5
FIRST_PAUSE = 0.025
LONGEST_PAUSE = 0.8

# How often a table that does not answer, or a clock that AWS refuses, is complained of, in seconds.
COMPLAINT_INTERVAL = 60.0

# Calls at once in one process. A thread is cheap, a connection less so.
THREADS = 16

NEW = "attribute_not_exists(pk)"


class Table:
    """A table and the calls on it, as boto3's client has them.

    `client` is an own DynamoDB client; otherwise boto3 makes one from the environment when it is
    first needed. A call is tried again with full jitter for at most `budget` seconds. `jitter`
    gives 0 to 1, `sleep` waits for seconds. `spent` is told each operation and its response, with
    the capacity that it consumed.

    Every call raises `RunLogError` when time ran out or the service failed, and `SetupError` when
    table, region or credentials are at fault.
    """

    def __init__(
        self,
        name: str,
        *,
        client: Any | None = None,
        budget: float = BUDGET,
        threads: int = THREADS,
        jitter: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        spent: Callable[[str, Mapping[str, Any]], None] | None = None,
    ) -> None:
        self.name = name
        self._client = client
        self._budget = budget
        self._jitter = jitter
        self._sleep = sleep
        self._spent = spent
        self._many_threads = threads
        self._complained_at: dict[type[Exception], float] = {}
        self._start_threads()

    def _start_threads(self) -> None:
        self._process = os.getpid()
        self._connecting = threading.Lock()
        self._threads = ThreadPoolExecutor(
            self._many_threads, thread_name_prefix="riverrun-dynamodb"
        )

    def _leave_parent(self) -> None:
        """Share no thread and no connection with the process that this one was forked from."""
        if self._process != os.getpid():
            self._client = None
            self._start_threads()

    def _complain(self, meant: Exception, cause: Exception) -> None:
        """Tell the operator, once in a while, why a client hears only that the log is busy."""
        now, last = time.monotonic(), self._complained_at.get(type(meant), -COMPLAINT_INTERVAL)
        if not isinstance(meant, RunLogError) or now - last <= COMPLAINT_INTERVAL:
            return
        self._complained_at[type(meant)] = now
        if isinstance(meant, SkewedClockError):
            logger.error("AWS refuses this machine's time. Set its clock, if it is wrong.")
        else:
            said = f"{cause}".partition("\n")[0]
            logger.warning("The DynamoDB table %r does not answer: %s", self.name, said)

    async def get(self, pk: str, sk: str) -> Item | None:
        """One item, as it is now."""
        response = await self.call("get_item", Key=_key(pk, sk), ConsistentRead=True)
        item: Item | None = response.get("Item")
        return item

    async def query(
        self,
        pk: str,
        low: str,
        high: str,
        *,
        limit: int,
        forward: bool = True,
        start: Item | None = None,
    ) -> tuple[list[Item], Item | None]:
        """The items of a partition from `low` to `high`, both included, as they are now.

        At most `limit`, and at most what one answer holds (1 MB); the second value is the `start`
        of what is left, or None.
        """
        response = await self.call(
            "query",
            KeyConditionExpression="pk = :pk AND sk BETWEEN :low AND :high",
            ExpressionAttributeValues={":pk": {"S": pk}, ":low": {"S": low}, ":high": {"S": high}},
            ConsistentRead=True,
            ScanIndexForward=forward,
            Limit=limit,
            **({"ExclusiveStartKey": start} if start is not None else {}),
        )
        return response["Items"], response.get("LastEvaluatedKey")

    async def query_all(self, pk: str, low: str, high: str) -> list[Item]:
        """Every item of a partition from `low` to `high`, in as many answers as that takes."""
        found, start = await self.query(pk, low, high, limit=100)
        while start is not None:
            page, start = await self.query(pk, low, high, limit=100, start=start)
            found += page
        return found

    async def delete(self, pk: str, sk: str) -> None:
        """Delete an item, if it is there."""
        await self.call("delete_item", Key=_key(pk, sk))

    async def query_newest(self, pk: str, limit: int) -> list[Item]:
        """The last `limit` items of a partition, the last one first."""
        found, _ = await self.query(pk, " ", "~", limit=limit, forward=False)
        return found

    async def put_once(self, items: Sequence[Item]) -> bool:
        """Put all of `items`, or none when the first of them is there already (False).

        They carry a `nonce` of their writer: what is there already with the same one was put by
        an earlier try of this very call, whose answer was lost.
        """
        head = items[0]
        try:
            if len(items) == 1:
                await self.call(
                    "put_item",
                    Item=head,
                    ConditionExpression=NEW,
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            else:
                await self.transact([{"Item": item, "ConditionExpression": NEW} for item in items])
        except RefusedError as refused:
            there = refused.items[0] or await self.get(head["pk"]["S"], head["sk"]["S"])
            return there is not None and all(
                there.get(name) == head[name] for name in ("nonce", "blob")
            )
        return True

    async def transact(self, puts: Sequence[Mapping[str, Any]]) -> None:
        """Carry out all of `puts` or none. Raises `RefusedError` when a condition does not hold."""
        await self.call(
            "transact_write_items",
            TransactItems=[
                {
                    "Put": {
                        "TableName": self.name,
                        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                        **put,
                    }
                }
                for put in puts
            ],
            # The same for every try: DynamoDB then tells a repeated one by itself, for ten minutes.
            ClientRequestToken=secrets.token_hex(16),
        )

    async def update(self, pk: str, sk: str, **request: Any) -> Item:
        """Change an item and return it. Raises `RefusedError` when the condition does not hold."""
        response = await self.call(
            "update_item", Key=_key(pk, sk), ReturnValues="ALL_NEW", **request
        )
        item: Item = response["Attributes"]
        return item

    async def call(self, operation: str, **request: Any) -> dict[str, Any]:
        """Send a request and return the response; `operation` is a method of boto3's client.

        The same request may be applied more than once when an answer is lost: give it a condition
        that a second time does not meet. Raises `RefusedError` when a condition does not hold.
        """
        self._leave_parent()
        loop = asyncio.get_running_loop()
        end = loop.time() + self._budget
        pause = FIRST_PAUSE
        while True:
            try:
                return await loop.run_in_executor(self._threads, self._send, operation, request)
            except Exception as error:
                meant = translate_error(error, self.name)
                wait = self._jitter() * pause
                gives_up = not getattr(meant, "retryable", False) or loop.time() + wait >= end
                if gives_up or isinstance(meant, SkewedClockError):
                    self._complain(meant, error)
                if gives_up:
                    raise meant from error
            pause = min(pause * 2, LONGEST_PAUSE)
            await self._sleep(wait)

    async def close(self) -> None:
        """Wait for the calls under way and let go of the connections."""
        await asyncio.to_thread(self._threads.shutdown, wait=True)
        if self._client is not None:
            self._client.close()

    def _send(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        if operation != "transact_write_items":
            request = {"TableName": self.name, **request}
        if self._spent is not None:
            request = {**request, "ReturnConsumedCapacity": "TOTAL"}
        response: dict[str, Any] = getattr(self._get_client(), operation)(**request)
        if self._spent is not None:
            self._spent(operation, response)
        return response

    def _get_client(self) -> Any:
        with self._connecting:
            if self._client is None:
                self._client = _connect()
            return self._client


def _key(pk: str, sk: str) -> Item:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _connect() -> Any:
    client = aws.make_own_client(
        "dynamodb",
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        # Our own tries know the budget, and what a lost answer to an append means.
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=THREADS,
        tcp_keepalive=True,
    )
    client.meta.events.register("response-received.dynamodb", _check_whole)
    return client


def _check_whole(response_dict: Mapping[str, Any] | None = None, **_more: object) -> None:
    """Raise for an answer that was cut off or garbled.

    boto3 takes the half of an answer for an answer without anything in it: a run that is there
    would be none, and a log would end early.
    """
    from botocore.exceptions import IncompleteReadError

    if response_dict is None:
        return
    headers, body = response_dict["headers"], response_dict["body"]
    length = int(headers.get("content-length", len(body)))
    checksum = int(headers.get("x-amz-crc32", crc32(body)))
    if length != len(body) or checksum != crc32(body):
        raise IncompleteReadError(actual_bytes=len(body), expected_bytes=length)
