"""The promises of the log hold whatever goes wrong, from any seed.

A seed that failed is replayed by `RIVERRUN_SEED=n`, which plays that one alone.
"""

import asyncio
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from services.runs import Entry
from services.runs.dynamodb.log import DynamoLog
from services.runs.dynamodb.table import Table
from services.runs.memory import MemoryLog
from services.runs.sqlite.log import SQLiteLog
from tests.services.runs.conformance import Clock
from tests.services.runs.disk_faults import FaultyConnection
from tests.services.runs.faults import FaultyClient
from tests.services.runs.history import AppendTry, History, Soon, check, play
from tests.services.runs.tables import client_for, new_table

pytestmark = pytest.mark.slow


SHARE = range(12)
# moto is slower than a file: fewer, among which everything that can go wrong does.
SMALL_SHARE = range(5)
MANY = range(1000)


def seeds(several: range) -> list[int]:
    """The seeds to play."""
    one = os.environ.get("RIVERRUN_SEED", "")
    return [int(one)] if one else list(several)


async def play_memory(seed: int) -> History:
    """One process: there is only one."""
    clock = Clock()
    log = MemoryLog(now=clock, monotonic=clock)
    return await play(seed, [log] * 3, log, clock)


async def play_sqlite(seed: int, folder: Path) -> History:
    """Three processes on one file, on a bad disk."""
    clock = Clock()
    chance = random.Random(f"disk {seed}")
    path = folder / f"{seed}.sqlite"
    logs = [SQLiteLog(path, now=clock, monotonic=clock) for _ in range(4)]
    for log in logs[:3]:
        log._file._thread.shutdown()
        log._file._thread = Soon()  # type: ignore[assignment]  # as good as a thread
        log._file._connection = FaultyConnection(log._file._connection, chance, 0.3)  # type: ignore[assignment]  # fails like one
    try:
        return await play(seed, logs[:3], logs[3], clock)
    finally:
        for log in logs:
            await log.close()
        path.unlink()


async def play_dynamodb(seed: int, client: Any) -> History:
    """Three processes on one table, over a bad line. One of them never tries again."""
    clock = Clock()
    chance = random.Random(f"line {seed}")
    name = new_table(client)
    logs: list[DynamoLog] = []
    for patience in (5.0, 5.0, 0.0, 5.0):
        line = FaultyClient(client, chance, 0.2 if len(logs) < 3 else 0.0)
        table = Table(name, client=line, budget=patience, jitter=chance.random, sleep=at_once)
        table._threads = Soon()  # type: ignore[assignment]  # as good as threads
        logs.append(DynamoLog(table, now=clock, monotonic=clock))
    history = await play(seed, logs[:3], logs[3], clock)
    client.delete_table(TableName=name)
    return history


async def at_once(_seconds: float) -> None:
    """Wait no time, but let the others go first."""
    await asyncio.sleep(0)


@contextmanager
def moto() -> Iterator[Any]:
    """A client of moto's DynamoDB."""
    with mock_aws():
        client = client_for()
        yield client
        client.close()


def test_in_memory() -> None:
    """Nothing goes wrong there but the producers themselves."""
    for seed in seeds(range(300)):
        check(asyncio.run(play_memory(seed)))


def test_in_sqlite(tmp_path: Path) -> None:
    """A short share of the seeds."""
    for seed in seeds(SHARE):
        check(asyncio.run(play_sqlite(seed, tmp_path)))


def test_in_dynamodb() -> None:
    """A shorter share of the seeds."""
    with moto() as client:
        for seed in seeds(SMALL_SHARE):
            check(asyncio.run(play_dynamodb(seed, client)))


@pytest.mark.soak
def test_in_sqlite_a_thousand_times(tmp_path: Path) -> None:
    """Each seed another story."""
    for seed in seeds(MANY):
        check(asyncio.run(play_sqlite(seed, tmp_path)))


@pytest.mark.soak
def test_in_dynamodb_a_thousand_times() -> None:
    """Each seed another story."""
    with moto() as client:
        for seed in seeds(MANY):
            check(asyncio.run(play_dynamodb(seed, client)))


def test_a_seed_is_one_story(tmp_path: Path) -> None:
    """Played again it is the same, so a failure can be looked at."""

    def story_of(history: History) -> list[object]:
        return [(said.producer, said.told, said.entries) for said in history.said]

    for seed in range(5):
        stories = [story_of(asyncio.run(play_sqlite(seed, tmp_path))) for _ in range(2)]
        assert stories[0] == stories[1]
    with moto() as client:
        stories = [story_of(asyncio.run(play_dynamodb(7, client))) for _ in range(2)]
    assert stories[0] == stories[1]
    assert len(stories[0]) > 3


@pytest.mark.parametrize(
    ("truth", "seen"),
    [
        pytest.param([1, 2, 4], [], id="a hole"),
        pytest.param([1, 2, 2], [], id="a repeat"),
        pytest.param([1, 2], [], id="something lost"),
        pytest.param([1, 2, 3, 9], [], id="a stranger"),
        pytest.param([1, 2, 3], [1, 3], id="a reader that missed one"),
        pytest.param([1, 2, 3], [2, 3], id="a reader from elsewhere"),
    ],
)
def test_the_check_finds(truth: list[int], seen: list[int]) -> None:
    """A checker that finds nothing proves nothing."""
    entries = {seq: Entry(seq, "token", b"%d" % seq) for seq in range(1, 10)}
    history = History(0, said=[AppendTry("p", "run", [entries[n]], "done") for n in (1, 2, 3)])
    history.truth["run"] = [entries[seq] for seq in (1, 2, 3)]
    history.seen.append(("run", 0, [entries[seq] for seq in (1, 2)]))
    check(history)
    history.truth["run"] = [entries[seq] for seq in truth]
    history.seen.append(("run", 0, [entries[seq] for seq in seen]))
    with pytest.raises(AssertionError, match="seed 0"):
        check(history)


def test_the_check_finds_two_producers_mixed() -> None:
    """One that was taken over from and went on unnoticed."""
    entries = [Entry(seq, "token", b"%d" % seq) for seq in range(1, 4)]
    history = History(
        0,
        said=[
            AppendTry(producer, "run", [entry], "done")
            for producer, entry in zip(("old", "new", "old"), entries, strict=True)
        ],
    )
    history.truth["run"] = entries
    with pytest.raises(AssertionError, match="mixed"):
        check(history)


def test_the_check_finds_a_key_with_two_runs() -> None:
    """And a run that two were told is new."""
    history = History(0)
    history.started["k"] = [("one", True), ("one", False)]
    check(history)
    history.started["k"] = [("one", True), ("two", False)]
    with pytest.raises(AssertionError, match="two runs"):
        check(history)
    history.started["k"] = [("one", True), ("one", True)]
    with pytest.raises(AssertionError, match="two were told"):
        check(history)
