"""The application's tasks that outlive the invocation they were begun in.

An application may begin a task in one request and keep it for the process: a pool's worker, a
session, a queue. Nothing here ends one. The ledger says how long the end of an invocation waits
for a task of a kind, and names a kind that piles up, once. It knows asyncio only.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any
from weakref import WeakSet

logger = logging.getLogger(__name__)

WAIT_SECONDS = 1.0
"""How long the end of an invocation waits for a task at most. A kind that outlives its wait is
given half the next time, so one that never ends costs two seconds in all."""
SHORTEST_WAIT = 0.002
PILE = 100  # living tasks of one kind; a session or a pool has fewer, a leak has more


class TaskLedger:
    """One per process. A kind of task is the coroutine function that it runs."""

    __slots__ = ("_alive", "_named", "_seconds")

    def __init__(self) -> None:
        self._alive: dict[str, WeakSet[asyncio.Task[Any]]] = {}
        self._seconds: dict[str, float] = {}
        self._named: set[str] = set()

    def wait_seconds(self, task: asyncio.Task[Any]) -> float:
        """How long to wait for `task`, counted from the end of its invocation's answer."""
        seconds = self._seconds.get(_kind_of(task), WAIT_SECONDS)
        return seconds if seconds > SHORTEST_WAIT else 0.0

    def shorten(self, tasks: Iterable[asyncio.Task[Any]]) -> None:
        """Wait half as long from now on for tasks of these kinds: their whole wait was in vain."""
        for kind in {_kind_of(task) for task in tasks}:
            self._seconds[kind] = self._seconds.get(kind, WAIT_SECONDS) / 2

    def add(self, task: asyncio.Task[Any]) -> None:
        """Take a task that lives on."""
        kind = _kind_of(task)
        alive = self._alive.setdefault(kind, WeakSet())
        alive.add(task)
        task.add_done_callback(self._remove)
        if kind not in self._named and len(alive) >= PILE:
            self._named.add(kind)
            logger.warning(
                "%d tasks of %s are still running after their invocations, %r the last of them. "
                "If the application does not end them, they will fill its memory.",
                len(alive),
                kind,
                task.get_name(),
            )

    def _remove(self, task: asyncio.Task[Any]) -> None:
        kind = _kind_of(task)
        if not task.cancelled():
            self._seconds.pop(kind, None)  # this kind does end: it is worth waiting for
        alive = self._alive.get(kind)
        if alive is not None:
            alive.discard(task)
            if not alive:
                del self._alive[kind]


def _kind_of(task: asyncio.Task[Any]) -> str:
    coroutine = task.get_coro()
    name = getattr(coroutine, "__qualname__", None) or type(coroutine).__name__
    return str(name)
