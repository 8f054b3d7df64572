"""The tasks and async generators begun in one invocation, and what becomes of them at its end.

Begun in an invocation does not mean owned by it: a pool's worker or a session belongs to the
process. So by default nothing is cancelled or closed, as under any ASGI server. Where the
sandbox is frozen afterwards, tasks are given a while to end, and what still runs goes on in the
next invocation. `strict`, for applications that keep nothing between requests, cancels what is
left instead.

Tasks are attributed by a ContextVar, which also works for many invocations in one process; that
needs the loop's task factory and Python's hooks for async generators, set by `track`. It knows
asyncio only.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from types import AsyncGeneratorType
from typing import Any
from weakref import WeakSet

from .task_ledger import TaskLedger

logger = logging.getLogger(__name__)

FINALLY_SECONDS = 0.5  # for a finally block, where cleaning is strict

Factory = Callable[..., asyncio.Future[Any]]

_current: ContextVar["InvocationScope | None"] = ContextVar("invocation_scope", default=None)
# The same for the runtime's own task, which may be the last to hold a generator of the
# application; tasks that it begins are its own.
_answered: ContextVar["InvocationScope | None"] = ContextVar("answered_scope", default=None)


class InvocationScope:
    """The tasks and generators that were begun in `context` and in what descends from it."""

    __slots__ = ("_closing", "_generators", "_ledger", "_tasks", "context", "is_open", "strict")

    def __init__(self, ledger: TaskLedger, *, strict: bool = False) -> None:
        self.context = copy_context()
        self.context.run(_current.set, self)
        _answered.set(self)
        self.strict = strict
        self.is_open = True
        self._ledger = ledger
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing: set[asyncio.Task[Any]] = set()
        self._generators: WeakSet[AsyncGeneratorType[Any, Any]] | None = None

    def add_task(self, task: asyncio.Task[Any]) -> None:
        """Attribute a task."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def add_generator(self, generator: AsyncGeneratorType[Any, Any]) -> None:
        """Attribute a generator that has just been started."""
        if self._generators is None:
            self._generators = WeakSet()
        self._generators.add(generator)

    def close_soon(self, generator: AsyncGeneratorType[Any, Any]) -> None:
        """A generator was dropped in the middle: its `finally` has to run."""
        task = asyncio.get_running_loop().create_task(_close(generator))
        self._tasks.discard(task)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self, seconds: float) -> None:
        """End the invocation's part in what it began, within about `seconds`.

        Strict: cancel its tasks, then close its generators, which no task is inside any more.
        Otherwise: wait for its tasks, at most as long as the ledger says, and leave them.
        """
        try:
            if self.strict:
                await self._cancel_tasks()
                await self._close_generators()
            elif self._tasks or self._closing:
                await self._wait(seconds)
        finally:
            self.is_open = False
            _answered.set(None)  # or the next scope's context would hold this one, and so on

    async def _wait(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        waited: set[asyncio.Task[Any]] = set()
        if seconds > 0:
            await asyncio.sleep(0)  # some are on their last step
        while seconds > 0 and (alive := (self._tasks | self._closing) - waited):
            limit = min(seconds, max(self._ledger.wait_seconds(task) for task in alive))
            left = began + limit - loop.time()
            if left > 0:  # a task that ends may have begun another
                await asyncio.wait(alive, timeout=left)
            waited |= {task for task in alive if not task.done()}
        self._ledger.shorten(task for task in waited if not task.done())
        for task in self._tasks | self._closing:
            if not task.done():
                self._ledger.add(task)
        self._tasks.clear()
        self._closing.clear()

    async def _cancel_tasks(self) -> None:
        if not self._tasks:
            return
        await asyncio.sleep(0)  # some are on their last step
        pending = {task for task in self._tasks if not task.done()}
        for task in pending:
            logger.warning(
                "Task %r was still running after the response and was cancelled. Await it "
                "before the response ends, or as a background task of the response.",
                task.get_name(),
            )
            task.cancel()
        if pending:
            _, stubborn = await asyncio.wait(pending, timeout=FINALLY_SECONDS)
            for task in stubborn:
                logger.error("Task %r does not stop when cancelled.", task.get_name())

    async def _close_generators(self) -> None:
        for generator in list(self._generators or ()):
            if generator.ag_frame is not None and not generator.ag_running:
                self._closing.add(asyncio.create_task(_close(generator)))
        if self._closing:
            _, late = await asyncio.wait(self._closing, timeout=FINALLY_SECONDS)
            self._closing.clear()
            for task in late:
                logger.error("A generator does not close: %s.", task.get_name())
                task.cancel()


async def _close(generator: AsyncGeneratorType[Any, Any]) -> None:
    try:
        await generator.aclose()
    except Exception:
        logger.exception("A generator failed while it was being closed.")


@contextmanager
def track() -> Generator[None]:
    """Attribute what the running loop's tasks begin, until the block ends."""
    loop = asyncio.get_running_loop()
    factory, hooks = loop.get_task_factory(), sys.get_asyncgen_hooks()
    loop.set_task_factory(_make_task_factory(factory))
    sys.set_asyncgen_hooks(_on_first(hooks.firstiter), _on_dropped(loop, hooks.finalizer))
    try:
        yield
    finally:
        loop.set_task_factory(factory)
        sys.set_asyncgen_hooks(*hooks)


def _make_task_factory(factory: Factory | None) -> Factory:
    def create(
        loop: asyncio.AbstractEventLoop,
        coro: Coroutine[Any, Any, Any],
        **options: Any,
    ) -> asyncio.Future[Any]:
        if factory is None:
            task: asyncio.Future[Any] = asyncio.Task(coro, loop=loop, **options)
        else:
            task = factory(loop, coro, **options)
        scope = _current.get()
        if scope is not None and scope.is_open and isinstance(task, asyncio.Task):
            scope.add_task(task)
        return task

    return create


def _on_first(then: Callable[[Any], None] | None) -> Callable[[Any], None]:
    def add_first(generator: AsyncGeneratorType[Any, Any]) -> None:
        scope = _current.get()
        if scope is not None and scope.strict and scope.is_open:
            scope.add_generator(generator)
        if then is not None:
            then(generator)

    return add_first


def _on_dropped(
    loop: asyncio.AbstractEventLoop, then: Callable[[Any], None] | None
) -> Callable[[Any], None]:
    def close_dropped(generator: AsyncGeneratorType[Any, Any]) -> None:
        scope = _current.get() or _answered.get()
        if scope is not None and scope.is_open and _runs_here(loop):
            scope.close_soon(generator)
        elif then is not None:
            then(generator)

    return close_dropped


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:  # a garbage collection in some other thread
        return False
