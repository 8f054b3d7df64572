"""Where synchronous handler functions run: on the main thread, or on a thread for each.

Under the stock runtime a handler has the main thread to itself, and no event loop runs there:
`signal.alarm`, a connection made at import and `asyncio.run` all work. So in the classic mode
the runtime's own loop moves to another thread. Where many invocations share the process, each
has a thread and an event loop of its own. This module knows threads and asyncio, not Lambda.
"""

import asyncio
import contextlib
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, Protocol

Job = Callable[[], Any]


class HandlerThreads(Protocol):
    """Runs a job on a thread that is not the loop's."""

    @property
    def is_stuck(self) -> bool:
        """Whether no further job can run, because one that was given up does not end."""

    async def run(self, job: Job) -> Any:
        """Run `job`; give what it returns or raise what it raises."""


class _Call:
    """One job on its way to a thread, and its result on the way back."""

    __slots__ = ("_future", "_job", "_loop")

    def __init__(self, job: Job) -> None:
        self._job = job
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[Any] = self._loop.create_future()

    async def result(self) -> Any:
        """Wait for it."""
        return await self._future

    def run(self, *, may_exit: bool) -> Callable[[], None]:
        """Run the job here. Gives what is to be called to deliver its result.

        `may_exit` lets `SystemExit` and its like through.
        """
        try:
            value = self._job()
        except BaseException as error:
            if may_exit and not isinstance(error, Exception):
                raise
            return partial(self._deliver, self._fail, error)
        return partial(self._deliver, self._succeed, value)

    def _deliver(self, set_result: Callable[[Any], None], what: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(set_result, what)

    def _succeed(self, value: object) -> None:
        if not self._future.done():
            self._future.set_result(value)

    def _fail(self, error: BaseException) -> None:
        if not self._future.done():
            if isinstance(error, StopIteration):  # a future refuses it
                error = RuntimeError("The function raised StopIteration.")
            self._future.set_exception(error)


class MainThread:
    """The process's main thread as the one place where jobs run, one after the other.

    `serve` gives the main thread to it; everything else is called from the loop's thread. A
    job that raises `SystemExit` ends the process with that status, as under the stock runtime.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[_Call | int] = SimpleQueue()
        self._running = False
        self._waiting = 0
        self.on_sigterm: Callable[[], object] = lambda: None

    @property
    def is_stuck(self) -> bool:
        """Whether a job that was given up is still running."""
        return self._running and not self._waiting

    async def run(self, job: Job) -> Any:
        """Run `job` on the main thread."""
        call = _Call(job)
        self._waiting += 1
        self._calls.put(call)
        try:
            return await call.result()
        finally:
            self._waiting -= 1

    def serve(self, run_runtime: Callable[[], int], end_process: Callable[[int], object]) -> int:
        """Run `run_runtime` on another thread and jobs here, until it returns its exit status.

        A job that still runs then does not hold the process up: `end_process` is called.
        """

        def run() -> None:
            status = run_runtime()
            if self._running:
                end_process(status)
            self._calls.put(status)

        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:  # else the application's own
            signal.signal(signal.SIGTERM, lambda *_: self.on_sigterm())
        threading.Thread(target=run, name="runtime", daemon=True).start()
        while not isinstance(call := self._calls.get(), int):
            self._running = True
            deliver = call.run(may_exit=True)
            self._running = False
            deliver()
            del call, deliver  # what they hold belongs to their invocation
        return call


class InvocationThreads:
    """As many threads as jobs run at once, each with an event loop of its own.

    A thread whose job was given up is not waited for: the next job has another.
    """

    is_stuck = False

    def __init__(self) -> None:
        self._idle: list[SimpleQueue[_Call]] = []
        self._started = 0

    async def run(self, job: Job) -> Any:
        """Run `job` on a thread that is free, or on a new one."""
        call = _Call(job)
        try:
            calls = self._idle.pop()
        except IndexError:
            calls = SimpleQueue()
            self._started += 1
            name = f"invocation-thread-{self._started}"
            threading.Thread(target=self._work, args=(calls,), name=name, daemon=True).start()
        calls.put(call)
        return await call.result()

    def _work(self, calls: "SimpleQueue[_Call]") -> None:
        loop: asyncio.AbstractEventLoop | None = None
        while True:
            call = calls.get()
            if loop is None or loop.is_closed():
                loop = _make_loop()
            asyncio.set_event_loop(loop)  # `asyncio.run` takes away the one that was set
            deliver = call.run(may_exit=False)
            self._idle.append(calls)
            deliver()
            del call, deliver  # what they hold belongs to their invocation


def _make_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.new_event_loop()
    except OSError:  # out of descriptors: a function that needs no loop still runs
        sys.stderr.write("riverrun: no event loop for a thread; too many open files.\n")
        return None
