"""The cloud as it starts: whose process comes first."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from emulator.cloud import _start_in_turn
from emulator.deployment import Cloud

pytestmark = pytest.mark.anyio


class Start:
    """A function that says when its process begins to start, and when it has."""

    def __init__(self, name: str, said: list[str], *removes: str) -> None:
        self.name = name
        self.said = said
        self.removes = removes
        self.processes: dict[str, Any] = {}

    async def start(self) -> None:
        """Start over a few turns of the loop."""
        self.said.append(f"{self.name} begins")
        for _ in range(3):
            await asyncio.sleep(0)
        for name in self.removes:
            self.processes.pop(name, None)
        self.said.append(f"{self.name} is up")


async def test_processes_start_one_by_one_and_the_removed_ones_not() -> None:
    """The first of the template has the processor for itself; what is gone by then is passed."""
    said: list[str] = []
    first, gone, last = Start("chat", said, "runs"), Start("runs", said), Start("health", said)
    processes = {one.name: one for one in (first, gone, last)}
    first.processes = processes
    await _start_in_turn(cast(Cloud, SimpleNamespace(processes=processes)))
    assert said == ["chat begins", "chat is up", "health begins", "health is up"]
