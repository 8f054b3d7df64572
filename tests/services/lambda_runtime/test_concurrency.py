"""Managed Instances: N invocations as N tasks in one process."""

import asyncio
import os
from typing import Any

import pytest

from services.lambda_runtime import client
from services.lambda_runtime.invocation import current
from tests.services.lambda_runtime.harness import http, run_runtime
from tests.services.lambda_runtime.runtime_api import Step, invocation

pytestmark = pytest.mark.anyio


async def test_as_many_invocations_run_at_once_as_lambda_allows() -> None:
    """Each waits for all the others: fewer would never finish."""
    everyone = asyncio.Barrier(8)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await everyone.wait()
        here = current.get()
        assert here is not None
        await asyncio.sleep(0)
        body = f"{here.id} {here.trace_id} {scope['path']}".encode()
        await send({"type": "http.response.body", "body": body})

    before = os.environ.get("_X_AMZN_TRACE_ID")
    async with run_runtime(app, concurrency=8) as h:
        await h.api.wait_polls(8)
        await h.api.until(lambda: h.api.idle == 8)
        for n in range(8):
            h.api.waiting.put_nowait(
                invocation(
                    http(f"/{n}"),
                    request_id=f"id-{n}",
                    without=["Lambda-Runtime-Trace-Id"],
                    more=[("Lambda-Runtime-Trace-Id", f"trace-{n}")],
                )
            )
        await h.api.wait_polls(16)
        answers = {call.path: call.content for call in h.api.calls if call.method == "POST"}
    assert answers == {
        f"/2018-06-01/runtime/invocation/id-{n}/response": f"id-{n} trace-{n} /{n}".encode()
        for n in range(8)
    }
    assert os.environ.get("_X_AMZN_TRACE_ID") == before


async def test_one_invocations_end_leaves_the_others_tasks_alone() -> None:
    """InvocationScope are told apart by whose they are."""
    release = asyncio.Event()
    results: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        if scope["path"] == "/long":
            child = asyncio.create_task(release.wait())
            await send({"type": "http.response.start", "status": 200, "headers": []})
            results.append(await child)
        else:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    async with run_runtime(app, concurrency=2) as h:
        h.api.waiting.put_nowait(invocation(http("/long"), request_id="long"))
        await h.api.call("long/response", complete=False)
        for n in range(5):
            h.api.waiting.put_nowait(invocation(http("/short"), request_id=f"short-{n}"))
            assert (await h.api.call(f"short-{n}/response")).content == b"done"
        release.set()
        assert (await h.api.call("long/response")).content == b"done"
    assert results == [True]


async def test_a_stuck_invocation_is_cancelled_at_its_deadline() -> None:
    """Lambda does not kill it there; the late answer's 410 is no reason to stop."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        if scope["path"] == "/stuck":
            await asyncio.Event().wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    async with run_runtime(app, concurrency=2) as h:
        h.api.script("stuck/response", Step(status=410))
        h.api.waiting.put_nowait(invocation(http("/stuck"), request_id="stuck", seconds=0.3))
        assert (await h.api.call("stuck/response")).prelude["statusCode"] == 504
        for n in range(4):
            h.api.waiting.put_nowait(invocation(http("/"), request_id=f"n-{n}"))
            assert (await h.api.call(f"n-{n}/response")).content == b"done"


async def test_no_status_ends_a_process_that_others_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """A 500 is logged for answers and retried for GET /next."""
    monkeypatch.setattr(client, "RETRY_PAUSES", (0.0, 0.0, 0.0, 0.0))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    async with run_runtime(app, concurrency=2) as h:
        h.api.script("first/response", Step(status=500))
        h.api.waiting.put_nowait(invocation(http(), request_id="first"))
        await h.api.call("first/response")
        h.api.waiting.put_nowait(Step(status=500))
        h.api.waiting.put_nowait(invocation(http(), request_id="second"))
        assert (await h.api.call("second/response")).content == b"done"


async def test_a_busy_stream_does_not_starve_the_others() -> None:
    """One that never waits for anything still lets the rest have their turns."""
    release = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/busy":
            while not release.is_set():
                await send({"type": "http.response.body", "body": b"x" * 80, "more_body": True})
        await send({"type": "http.response.body", "body": b"done"})

    async with run_runtime(app, concurrency=3) as h:
        h.api.waiting.put_nowait(invocation(http("/busy"), request_id="busy"))
        await h.api.call("busy/response", complete=False)
        for n in range(20):
            h.api.waiting.put_nowait(invocation(http("/"), request_id=f"n-{n}"))
            assert (await h.api.call(f"n-{n}/response")).content == b"done"
        release.set()
        await h.api.call("busy/response")
