"""A run is started: what it does with tokens that came together."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from services.runs.memory import MemoryLog
from services.streaming.question import Question
from services.streaming.run.registry import LiveRuns
from services.streaming.run.start import FEW_RUNS, start_run_task

pytestmark = pytest.mark.anyio


async def say() -> AsyncGenerator[str, None]:
    """Two pieces, between which no other task has a turn."""
    yield "one "
    yield "two"


@pytest.mark.parametrize(
    ("join_tokens", "others", "tokens"),
    [(None, 0, 2), (None, FEW_RUNS, 1), (False, FEW_RUNS, 2), (True, 0, 1)],
    ids=["few runs", "a crowd", "a recording in a crowd", "a durable log"],
)
async def test_what_came_together_is_one_entry_in_a_crowd(
    join_tokens: bool | None, others: int, tokens: int
) -> None:
    """Each entry costs the event loop, and a crowd of runs has the most of them."""
    log, live = MemoryLog(), LiveRuns(100)
    among: dict[str, Any] = {str(number): None for number in range(others)}
    live.tasks.update(among)
    run, _ = await log.start(owner=None, key=None, fingerprint="f")
    start_run_task(run, Question(query="q"), say(), log, live, join_tokens=join_tokens)
    await live.tasks[run.id].wait()
    kinds = [entry.kind for entry in await log.read(run.id, 0)]
    assert kinds == [*["token"] * tokens, "final"]
