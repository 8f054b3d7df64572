"""Where synchronous handler functions run, and what one that hangs costs the others."""

import asyncio
import threading
from functools import partial
from typing import Any

import pytest

from services.lambda_runtime.threads import InvocationThreads, MainThread
from tests.services.lambda_runtime.harness import run_runtime
from tests.services.lambda_runtime.runtime_api import invocation

pytestmark = pytest.mark.anyio


async def test_as_many_functions_run_at_once_as_invocations() -> None:
    """Far more than processors: each waits for all the others."""
    barrier = threading.Barrier(64)

    def function(event: Any, context: Any) -> Any:
        barrier.wait(60)
        return "together"

    async with run_runtime(function, concurrency=64) as h:
        for number in range(64):
            h.api.waiting.put_nowait(invocation({}, request_id=f"n-{number}"))
        for number in range(64):
            assert (await h.api.call(f"n-{number}/response")).json == "together"


async def test_functions_that_hang_do_not_wedge_the_process() -> None:
    """Each is told at its deadline; the next invocation has a thread that is free."""
    release = threading.Event()

    def function(event: Any, context: Any) -> Any:
        if event == "hang":
            release.wait(60)
        return threading.current_thread().name

    async with run_runtime(function, concurrency=40) as h:
        for number in range(40):
            h.api.waiting.put_nowait(invocation("hang", request_id=f"h-{number}", seconds=0.8))
        for number in range(40):
            call = await h.api.call(f"h-{number}/error")
            kind = call.header("Lambda-Runtime-Function-Error-Type")
            assert kind == "Runtime.DeadlineReached"
        h.api.waiting.put_nowait(invocation("quick", request_id="quick"))
        said = (await h.api.call("quick/response")).json
        assert said.startswith("invocation-thread-")
        release.set()


async def test_each_thread_has_an_event_loop() -> None:
    """Also after `asyncio.run` took the one that was set; a thread is used again."""

    async def work() -> str:
        await asyncio.sleep(0)
        return threading.current_thread().name

    def function(event: Any, context: Any) -> Any:
        first = asyncio.get_event_loop().run_until_complete(work())
        return [first, asyncio.run(work())]

    async with run_runtime(function, concurrency=2) as h:
        said = [(await h.invoke({})).json for _ in range(3)]
    assert said == [["invocation-thread-1", "invocation-thread-1"]] * 3


async def test_an_exit_is_an_error_where_others_share_the_process() -> None:
    """The process lives on for the other invocations."""

    def function(event: Any, context: Any) -> Any:
        raise SystemExit(event)

    async with run_runtime(function, concurrency=2) as h:
        for _ in range(2):
            call = await h.invoke(3)
            kind = call.header("Lambda-Runtime-Function-Error-Type")
            assert kind == "Runtime.ExitError"


async def test_the_main_thread_knows_when_it_is_stuck() -> None:
    """A job that nothing waits for any more, and that still runs."""
    threads = MainThread()
    entered, release = threading.Event(), threading.Event()

    def job() -> str:
        entered.set()
        release.wait(60)
        return "late"

    statuses: list[int] = []
    server = asyncio.create_task(asyncio.to_thread(_serve_elsewhere, threads, release, statuses))
    run = asyncio.create_task(threads.run(job))
    await asyncio.to_thread(entered.wait, 60)
    before = threads.is_stuck
    run.cancel()
    await asyncio.wait({run})
    stuck = threads.is_stuck
    release.set()
    await server
    assert (before, stuck) == (False, True)
    assert statuses == [7]


def _serve_elsewhere(threads: MainThread, release: threading.Event, statuses: list[int]) -> None:
    """`serve` without its signal handler, which only the main thread may set."""

    def run() -> int:
        release.wait(60)
        return 7

    import signal

    kept, signal.getsignal = signal.getsignal, lambda _: None  # type: ignore[assignment]
    try:
        statuses.append(threads.serve(run, lambda _: None))
    finally:
        signal.getsignal = kept


async def test_a_result_reaches_its_caller_only() -> None:
    """Jobs that end in any order."""
    threads = InvocationThreads()

    def job(number: int) -> int:
        threading.Event().wait(0.01 * (5 - number))
        return number

    calls = [threads.run(partial(job, number)) for number in range(5)]
    assert await asyncio.gather(*calls) == list(range(5))
