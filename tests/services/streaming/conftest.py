"""Two processes that share a log; and the leak probe: nothing that a test started outlives it."""

import asyncio
import gc
from collections.abc import AsyncIterator
from types import AsyncGeneratorType
from typing import Any

import pytest

from services.runs.memory import MemoryLog
from services.streaming import App
from tests.services.streaming.invocations import Words, make_app


def _find_generators() -> list[AsyncGeneratorType[Any, Any]]:
    gc.collect()
    return [
        item
        for item in gc.get_objects()
        if type(item) is AsyncGeneratorType
        and item.ag_frame is not None
        and item.ag_frame.f_lasti > 0
    ]


def _tasks() -> set[str]:
    # The test runner has one of its own for each step of a test.
    names = {task.get_coro().__qualname__ for task in asyncio.all_tasks()}  # type: ignore[union-attr]  # every task of ours has a coroutine
    return {name for name in names if not name.startswith("TestRunner")}


@pytest.fixture
async def nothing_left() -> AsyncIterator[None]:
    """Fail a test after which a task still runs, or a generator that was begun is still open."""
    gc.collect()
    # What lived before this test is not looked at again: a third of a second for every test.
    gc.freeze()
    yield
    open_still = [item.__qualname__ for item in _find_generators()]
    assert not open_still, "generators that were not closed"
    assert not _tasks(), "tasks that still run"


@pytest.fixture
async def chat() -> Words:
    """Who answers."""
    return Words()


@pytest.fixture
async def log() -> MemoryLog:
    """What the processes share."""
    return MemoryLog(is_durable=True, monotonic=asyncio.get_running_loop().time)


@pytest.fixture
async def app(log: MemoryLog, chat: Words) -> AsyncIterator[App]:
    """A process; at the end of a test it serves and produces nothing."""
    app = make_app(log, chat)
    yield app
    assert (app.live.streams, app.live.readers, app.live.tasks) == (0, {}, {})


@pytest.fixture
async def elsewhere(log: MemoryLog, chat: Words) -> AsyncIterator[App]:
    """Another process with the same log."""
    app = make_app(log, chat)
    yield app
    assert (app.live.streams, app.live.readers, app.live.tasks) == (0, {}, {})
