"""Nothing is lost, doubled or paid for twice, whatever dies, freezes or leaves.

A seed that failed is played again, with its whole world, by `RIVERRUN_SEED=n`; the soaks play
`RIVERRUN_SEEDS=n` of them (1,000), or those of a range (`250:500`).
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.runs import RunLog
from services.runs.dynamodb.log import DynamoLog
from services.runs.dynamodb.table import Table
from services.runs.sqlite.log import SQLiteLog
from tests.functions.checking import check
from tests.functions.deployed import PROMISES
from tests.functions.history import TOGETHER, play
from tests.functions.losses import Losses
from tests.functions.servers import BrokenPromiseError
from tests.functions.table_server import environ_for, moto
from tests.services.runs import dynamodb_local
from tests.services.runs.tables import client_for, new_table

# Which of a world's two servers are Web Functions.
HOSTS = ((False, False), (False, True), (True, True))
SHARE = 25
SMALL_SHARE = 5
FIRST, _, LAST = os.environ.get("RIVERRUN_SEEDS", "1000").rpartition(":")
MANY = int(LAST)


def worlds(many: int) -> list[list[int]]:
    """The seeds to play, by world."""
    one = os.environ.get("RIVERRUN_SEED", "")
    if one:
        first = int(one) // TOGETHER * TOGETHER
        return [list(range(first, first + TOGETHER))]
    begin = int(FIRST or 0) if many == MANY else 0
    return [
        list(range(first, min(first + TOGETHER, many))) for first in range(begin, many, TOGETHER)
    ]


def find_retention(seeds: list[int]) -> float | None:
    """For how long the store of a world keeps what has ended, in seconds; None: as it does."""
    return 1.0 if seeds[0] // TOGETHER % 3 == 1 else None


def print_result(where: str, many: int, happened: Counter[str], began: float) -> None:
    """Print what happened."""
    print(f"{where}: {many} seeds in {time.monotonic() - began:.0f} s: {dict(happened)}")  # noqa: T201 - a figure to report


async def in_sqlite(folder: Path, many: int, broken: str = "", hosts: Any = HOSTS[:1]) -> None:
    """A file a world."""
    began, happened = time.monotonic(), Counter[str]()
    for seeds in worlds(many):
        path, calls = folder / f"{seeds[0]}.sqlite", folder / f"{seeds[0]}.calls"
        calls.touch()
        environ = {"RIVERRUN_LOG": f"sqlite://{path}", "RIVERRUN_HEARTBEAT": "0.3"}
        log: RunLog = SQLiteLog(path)
        losses, retention = Losses(path), find_retention(seeds)
        if retention is not None:
            losses.keep_deleted()
        try:
            stories = await play(
                seeds,
                environ,
                calls,
                log,
                # A tenth of what begins a transaction, a seventh of what ends one. A store that
                # fails may excuse what is broken on purpose.
                line=0.0 if broken else 0.3,
                losses=losses,
                retention=retention,
                broken=broken,
                hosts=hosts,
            )
            happened += await check(stories, log, calls, losses, forgets=False)
        finally:
            await log.close()
    print_result("sqlite", many, happened, began)


async def in_dynamodb(folder: Path, many: int, **how: Any) -> None:
    """A table a world, over a line that loses a tenth of the calls or their answers."""
    began, happened = time.monotonic(), Counter[str]()
    for group in groups(worlds(many), 8):
        async with moto() as address:  # a new one now and then: it never forgets
            for seeds in group:
                happened += await in_table(folder, seeds, address, **how)
    print_result("dynamodb", many, happened, began)


async def in_dynamodb_local(folder: Path, many: int) -> None:
    """The same where several calls are served at once."""
    began, happened = time.monotonic(), Counter[str]()
    with dynamodb_local.run_server() as address:
        for seeds in worlds(many):
            happened += await in_table(folder, seeds, address)
    print_result("dynamodb local", many, happened, began)


async def in_table(
    folder: Path, seeds: list[int], address: str, lease: float = 3.0, troubles: int = 12
) -> Counter[str]:
    """One world."""
    client = await asyncio.to_thread(client_for, address)
    name = await asyncio.to_thread(new_table, client)
    calls = folder / f"{seeds[0]}.calls"
    calls.touch()
    environ = {**environ_for(address, name), "RIVERRUN_HEARTBEAT": "1"}
    losses, retention = Losses(), find_retention(seeds)
    # By the clock of this log no run is ever over: it can read what is.
    log: RunLog = DynamoLog(Table(name, client=client), now=lambda: 0.0)
    try:
        stories = await play(
            seeds,
            environ,
            calls,
            log,
            lease=lease,
            line=0.1,
            losses=losses,
            retention=retention,
            troubles=troubles,
        )
        return await check(stories, log, calls, losses, forgets=retention is not None)
    finally:
        await log.close()


def groups(items: list[list[int]], many: int) -> Iterator[list[list[int]]]:
    """`items`, so many at a time."""
    for first in range(0, len(items), many):
        yield items[first : first + many]


def test_in_sqlite(tmp_path: Path) -> None:
    """One world."""
    asyncio.run(in_sqlite(tmp_path, SHARE))


def test_in_dynamodb(tmp_path: Path) -> None:
    """A small world, with less trouble than in the soak: a stand-in in Python is slow."""
    asyncio.run(in_dynamodb(tmp_path, SMALL_SHARE, lease=2.0, troubles=4))


@pytest.mark.soak
def test_in_sqlite_a_thousand_times(tmp_path: Path) -> None:
    """Forty worlds."""
    asyncio.run(in_sqlite(tmp_path, MANY))


@pytest.mark.soak
def test_on_mixed_hosts_a_thousand_times(tmp_path: Path) -> None:
    """Forty worlds of ASGI servers and Web Functions."""
    asyncio.run(in_sqlite(tmp_path, MANY, hosts=HOSTS))


@pytest.mark.soak
def test_in_dynamodb_a_thousand_times(tmp_path: Path) -> None:
    """Forty worlds."""
    asyncio.run(in_dynamodb(tmp_path, MANY))


@pytest.mark.soak
def test_in_dynamodb_local_a_thousand_times(tmp_path: Path) -> None:
    """Forty worlds."""
    if (why := dynamodb_local.missing_reason()) is not None:
        pytest.skip(why)
    asyncio.run(in_dynamodb_local(tmp_path, MANY))


@pytest.mark.soak
@pytest.mark.parametrize("promise", PROMISES)
def test_what_is_broken_on_purpose_is_found(tmp_path: Path, promise: str) -> None:
    """Servers with one fault: within a few worlds the check names the promise."""
    with pytest.raises(BrokenPromiseError, match=promise):
        asyncio.run(in_sqlite(tmp_path, 8 * TOGETHER, broken=promise))
