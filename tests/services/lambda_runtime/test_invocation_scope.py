"""What an application begins in an invocation: it lives on, or ends with it where asked."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from services.lambda_runtime import export_handler, loop, task_ledger
from services.lambda_runtime.task_ledger import TaskLedger
from tests.services.lambda_runtime.harness import http, run_runtime

pytestmark = pytest.mark.anyio
MODES = pytest.mark.parametrize("concurrency", [None, 2], ids=["classic", "concurrent"])


async def answer(send: Any, body: bytes = b"x") -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


@MODES
async def test_a_task_lives_on_and_another_invocation_awaits_it(concurrency: int | None) -> None:
    """A shared computation, a session, a queue's worker: begun by one request for all."""
    shared: list[asyncio.Task[bytes]] = []
    release = asyncio.Event()

    async def compute() -> bytes:
        await release.wait()
        return b"computed"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        if not shared:
            shared.append(asyncio.create_task(compute()))
            await answer(send)
        else:
            release.set()
            await answer(send, await shared[0])

    async with run_runtime(app, concurrency=concurrency) as h:
        await h.invoke(http())
        assert (await h.invoke(http())).content == b"computed"


@MODES
async def test_what_a_process_wide_stack_holds_stays_open(concurrency: int | None) -> None:
    """Entered in one request, its generator is suspended at its yield until the process ends."""
    stack = AsyncExitStack()
    log: list[str] = []

    @asynccontextmanager
    async def resource() -> AsyncIterator[str]:
        log.append("open")
        try:
            yield "resource"
        finally:
            log.append("closed")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        if not log:
            await stack.enter_async_context(resource())
        await answer(send, repr(log).encode())

    async with run_runtime(app, concurrency=concurrency) as h:
        for _ in range(3):
            assert (await h.invoke(http())).content == b"['open']"
        await stack.aclose()
    assert log == ["open", "closed"]


async def test_a_short_task_ends_before_the_sandbox_is_frozen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next invocation is asked for when it has; a task that it begins is waited for too."""
    monkeypatch.setattr(task_ledger, "WAIT_SECONDS", 20.0)
    monkeypatch.setattr(loop, "WAIT_SECONDS", 20.0)
    done: list[str] = []

    async def second() -> None:
        await asyncio.sleep(0.01)
        done.append("second")

    async def first() -> None:
        await asyncio.sleep(0.01)
        done.append("first")
        done.append(asyncio.create_task(second()).get_name())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        done.append(asyncio.create_task(first()).get_name())
        await answer(send)

    async with run_runtime(app) as h:
        await h.invoke(http())
        assert (done[1], done[3]) == ("first", "second")


async def test_a_task_that_never_ends_costs_two_waits_in_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each invocation that begins one waits half as long as the one before."""
    monkeypatch.setattr(task_ledger, "WAIT_SECONDS", 8.0)
    monkeypatch.setattr(loop, "WAIT_SECONDS", 8.0)
    kept: list[asyncio.Task[None]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        kept.append(asyncio.create_task(asyncio.sleep(3600)))
        await answer(send)

    waits: list[float] = []
    wait = asyncio.wait

    async def measure(tasks: Any, *, timeout: float | None = None, **more: Any) -> Any:
        if timeout is not None and set(tasks) & set(kept):
            waits.append(timeout)
            timeout = 0.001  # the answer is looked at, not the time
        return await wait(tasks, timeout=timeout, **more)

    monkeypatch.setattr(asyncio, "wait", measure)
    async with run_runtime(app) as h:
        for _ in range(20):
            await h.invoke(http())
        assert not any(task.done() for task in kept)
        assert 4.0 < waits[0] <= 8.0  # less what the machine took to come to it
        assert sum(waits) <= 16.0
        assert len(waits) < 20


async def test_a_kind_that_ends_is_waited_for_again() -> None:
    """One slow task does not take the time from those after it."""
    ledger = TaskLedger()

    async def work(seconds: float) -> None:
        await asyncio.sleep(seconds)

    slow = asyncio.create_task(work(0.01))
    ledger.shorten([slow, slow])
    assert ledger.wait_seconds(slow) == task_ledger.WAIT_SECONDS / 2
    ledger.add(slow)
    await slow
    await asyncio.sleep(0)
    assert ledger.wait_seconds(asyncio.create_task(work(0))) == task_ledger.WAIT_SECONDS


@pytest.mark.parametrize(("left", "seconds"), [(60.0, 1.0), (1.2, 0.7), (0.4, 0.0), (-3.0, 0.0)])
async def test_no_task_is_waited_for_beyond_the_deadline(left: float, seconds: float) -> None:
    """Lambda would kill the sandbox, and every task with it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await answer(send)

    async with run_runtime(app, clock=lambda: 1_000.0) as h:
        invocation = type("Invocation", (), {"deadline": 1_000.0 + left})()
        assert h.runtime._seconds_for_tasks(invocation) == pytest.approx(seconds)


@MODES
async def test_tasks_that_pile_up_are_named_once(
    concurrency: int | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A leak is the application's: it is said, with the task's name, and not mended."""
    monkeypatch.setattr(task_ledger, "PILE", 5)
    monkeypatch.setattr(task_ledger, "WAIT_SECONDS", 0.001)
    leaked: list[asyncio.Task[Any]] = []

    async def forget() -> None:
        await asyncio.sleep(3600)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        leaked.append(asyncio.create_task(forget(), name=f"forgotten {len(leaked)}"))
        await answer(send)

    async with run_runtime(app, concurrency=concurrency) as h:
        with caplog.at_level(logging.WARNING):
            for _ in range(12):
                await h.invoke(http())
        assert not any(task.done() for task in leaked)
    said = [r.getMessage() for r in caplog.records if r.name == task_ledger.__name__]
    assert len(said) == 1
    assert "forget" in said[0]
    assert "'forgotten 4'" in said[0]


async def test_strictly_a_task_ends_before_the_generator_it_is_inside(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Closing a generator that a task waits in would be an error in both."""
    log: list[str] = []

    async def words() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            log.append("closed")

    async def read(generator: AsyncIterator[int]) -> None:
        async for _ in generator:
            pass

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        task = asyncio.create_task(read(words()))
        task.add_done_callback(lambda _: log.append("cancelled"))
        await asyncio.sleep(0)
        await answer(send)

    async with run_runtime(export_handler(app, strict_cleanup=True)) as h:
        await h.invoke(http())
        assert log == ["closed", "cancelled"]
    assert "failed while it was being closed" not in caplog.text


async def test_a_task_left_behind_is_cancelled_and_named(caplog: pytest.LogCaptureFixture) -> None:
    """It does not run in the next invocation, and the log says whose it was."""
    left: list[asyncio.Task[Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        left.append(asyncio.create_task(asyncio.sleep(3600), name="the forgotten one"))
        await answer(send)

    async with run_runtime(export_handler(app, strict_cleanup=True)) as h:
        with caplog.at_level(logging.WARNING):
            await h.invoke(http())
        assert left[0].cancelled()
    assert "the forgotten one" in caplog.text


async def test_an_abandoned_generator_is_closed_before_the_next_invocation() -> None:
    """An application that stops reading its own generator does not leave it open."""
    closed: list[str] = []
    kept: list[Any] = []

    async def parts() -> Any:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            closed.append("closed")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        generator = parts()
        kept.append(generator)
        async for _ in generator:
            break
        async for _ in parts():  # dropped, not even kept
            break
        await answer(send)

    async with run_runtime(export_handler(app, strict_cleanup=True)) as h:
        await h.invoke(http())
        assert closed == ["closed", "closed"]
