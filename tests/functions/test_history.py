"""Nothing is lost, doubled or paid for twice, whoever dies, freezes or leaves.

A seed that failed is played again, with its whole world, by `RIVERRUN_SEED=n`; the soaks play
`RIVERRUN_SEEDS=n` of them (1,000).
"""

import asyncio
import os
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from services.runs import RunLog
from services.runs.dynamodb import DynamoLog
from services.runs.dynamodb_table import Table
from services.runs.sqlite import SQLiteLog
from tests.functions import history
from tests.functions.history import TOGETHER, check, play
from tests.services.runs.tables import client_for, new_table

SHARE = 25


def worlds(many: int) -> list[list[int]]:
    """The seeds to play, by world."""
    one = os.environ.get("RIVERRUN_SEED", "")
    if one:
        first = int(one) // TOGETHER * TOGETHER
        return [list(range(first, first + TOGETHER))]
    return [list(range(first, first + TOGETHER)) for first in range(0, many, TOGETHER)]


def told(where: str, many: int, happened: Counter[str], began: float) -> None:
    """Print what happened."""
    print(f"{where}: {many} seeds in {time.monotonic() - began:.0f} s: {dict(happened)}")  # noqa: T201 - a figure to report


async def in_sqlite(folder: Path, many: int) -> None:
    """A file a world."""
    began, happened = time.monotonic(), Counter[str]()
    for seeds in worlds(many):
        path, calls = folder / f"{seeds[0]}.sqlite", folder / f"{seeds[0]}.calls"
        calls.touch()
        environ = {"RIVERRUN_LOG": f"sqlite://{path}", "RIVERRUN_HEARTBEAT": "0.3"}
        stories = await play(seeds, environ, calls, locked=path)
        log: RunLog = SQLiteLog(path)
        try:
            happened += await check(stories, log, calls)
        finally:
            await log.close()
    told("sqlite", many, happened, began)


async def in_dynamodb(folder: Path, many: int) -> None:
    """A table a world, over a line that loses a tenth of the calls or their answers."""
    began, happened = time.monotonic(), Counter[str]()
    async with AsyncExitStack() as stack:
        for seeds in worlds(many):
            if seeds[0] % (8 * TOGETHER) == 0:
                await stack.aclose()  # a new one now and then: it never forgets
                address = await stack.enter_async_context(history.moto())
            client = await asyncio.to_thread(client_for, address)
            name = await asyncio.to_thread(new_table, client)
            calls = folder / f"{seeds[0]}.calls"
            calls.touch()
            environ = {
                "RIVERRUN_LOG": f"dynamodb://{name}",
                "RIVERRUN_HEARTBEAT": "0.3",
                "AWS_ENDPOINT_URL_DYNAMODB": address,
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": "testing",
                "AWS_EC2_METADATA_DISABLED": "true",
            }
            stories = await play(seeds, environ, calls, lease=3.0, line=0.1)
            log: RunLog = DynamoLog(Table(name, client=client))
            try:
                happened += await check(stories, log, calls)
            finally:
                await log.close()
    told("dynamodb", many, happened, began)


def test_in_sqlite(tmp_path: Path) -> None:
    """One world."""
    asyncio.run(in_sqlite(tmp_path, SHARE))


# Not in the normal run yet: on a loaded machine seed 19's world ended in 503 for ever, and whether
# moto, the harness or the log is at fault has not been found out.
@pytest.mark.soak
def test_in_dynamodb(tmp_path: Path) -> None:
    """One world."""
    asyncio.run(in_dynamodb(tmp_path, SHARE))


@pytest.mark.soak
def test_in_sqlite_a_thousand_times(tmp_path: Path) -> None:
    """Forty worlds."""
    asyncio.run(in_sqlite(tmp_path, int(os.environ.get("RIVERRUN_SEEDS", "1000"))))


@pytest.mark.soak
def test_in_dynamodb_a_thousand_times(tmp_path: Path) -> None:
    """Forty worlds."""
    asyncio.run(in_dynamodb(tmp_path, int(os.environ.get("RIVERRUN_SEEDS", "1000"))))
