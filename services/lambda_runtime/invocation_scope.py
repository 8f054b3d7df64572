"""The tasks and async generators begun in one invocation, and how they end with it.

A frozen sandbox stops time for every task that still runs, and a warm one would run it in
another invocation. So every task and every async generator begun in an invocation ends with it.
They are attributed by a ContextVar, which also works for many invocations in one process; that
needs the loop's task factory and Python's hooks for async generators, set by `track`.

It knows asyncio only.
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

logger = logging.getLogger(__name__)

FINALLY_SECONDS = 0.5  # seconds for a finally block

Factory = Callable[..., asyncio.Future[Any]]

_current: ContextVar["InvocationScope | None"] = ContextVar("invocation_scope", default=None)


class InvocationScope:
    """The tasks and generators that were begun in `context` and in what descends from it."""

    __slots__ = ("_closing", "_generators", "_tasks", "context")

    def __init__(self) -> None:
        self.context = copy_context()
        self.context.run(_current.set, self)
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
        task = asyncio.get_running_loop().create_task(generator.aclose())
        self._tasks.discard(task)
        self._closing.add(task)

    async def close(self) -> None:
        """Close generators, then cancel what is left and name it. Takes a second at worst."""
        for generator in list(self._generators or ()):
            if generator.ag_frame is not None and not generator.ag_running:
                self._closing.add(asyncio.create_task(_close(generator)))
        if self._closing:
            _, late = await asyncio.wait(self._closing, timeout=FINALLY_SECONDS)
            self._closing.clear()
            for task in late:
                self._tasks.add(task)
        pending = {task for task in self._tasks if not task.done()}
        if not pending:
            return
        await asyncio.sleep(0)  # some are on their last step
        pending = {task for task in pending if not task.done()}
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
        invocation_scope = _current.get()
        if invocation_scope is not None and isinstance(task, asyncio.Task):
            invocation_scope.add_task(task)
        return task

    return create


def _on_first(then: Callable[[Any], None] | None) -> Callable[[Any], None]:
    def add_first(generator: AsyncGeneratorType[Any, Any]) -> None:
        if (invocation_scope := _current.get()) is not None:
            invocation_scope.add_generator(generator)
        if then is not None:
            then(generator)

    return add_first


def _on_dropped(
    loop: asyncio.AbstractEventLoop, then: Callable[[Any], None] | None
) -> Callable[[Any], None]:
    def close_dropped(generator: AsyncGeneratorType[Any, Any]) -> None:
        invocation_scope = _current.get()
        if invocation_scope is not None and _runs_here(loop):
            invocation_scope.close_soon(generator)
        elif then is not None:
            then(generator)

    return close_dropped


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:  # a garbage collection in some other thread
        return False
