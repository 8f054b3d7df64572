"""The runtime of this project, running against the Runtime API of `runtime_api`."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from services.lambda_runtime.client import RuntimeAPI
from services.lambda_runtime.delivery import RuntimeConfig
from services.lambda_runtime.environment import Environment, InvokeMode
from services.lambda_runtime.lifespan import LifespanRun
from services.lambda_runtime.loader import recognise
from services.lambda_runtime.loop import Runtime
from services.lambda_runtime.threads import InvocationThreads
from tests.services.lambda_runtime import runtime_api as fake

URL_DOMAIN = "abc.lambda-url.eu-west-1.on.aws"


def standing_clock() -> Callable[[], float]:
    """A wall clock that stands: what a slow machine takes to begin is not an invocation's time."""
    now = time.time()
    return lambda: now


class RunningRuntime:
    """A runtime and the API it lives against."""

    def __init__(self, api: fake.RuntimeAPI, runtime: Runtime, task: asyncio.Task[None]) -> None:
        self.api = api
        self.runtime = runtime
        self.task = task
        self._sent = 0

    async def invoke(self, payload: Any, **options: Any) -> fake.Call:
        """Deliver one payload; the answer, once the runtime has asked for the next."""
        request_id = f"invocation-{self._sent}"
        self._sent += 1
        before = self.api.polls
        self.api.waiting.put_nowait(fake.invocation(payload, request_id=request_id, **options))
        await self.api.until(lambda: self.api.polls > before or self.task.done())
        await self.api.until(lambda: self.api.idle > 0 or self.task.done())
        found = [call for call in self.api.calls if f"/{request_id}/" in call.path]
        assert len(found) == 1, [call.path for call in found]
        return found[0]


def http(
    path: str = "/",
    *,
    method: str = "GET",
    query: str = "",
    body: str | None = None,
    headers: dict[str, str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A Function URL's payload."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": URL_DOMAIN, "x-forwarded-proto": "https", **(headers or {})},
        "requestContext": {
            "domainName": URL_DOMAIN,
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.7",
            },
            "stage": "$default",
            "routeKey": "$default",
        },
        "body": body,
        "isBase64Encoded": False,
        **more,
    }


@asynccontextmanager
async def run_runtime(
    app: Callable[..., Any],
    *,
    mode: InvokeMode = "response_stream",
    concurrency: int | None = None,
    keep_alive: bool = False,
    clock: Callable[[], float] | None = None,
    base_path: str = "",
) -> AsyncGenerator[RunningRuntime]:
    """Run `app` under the runtime until the block ends, and see it end quietly."""
    async with fake.runtime_api() as api:
        environment = Environment(
            api=api.host,
            handler="tests.handler",
            invoke_mode=mode,
            concurrency=concurrency,
            keep_alive=keep_alive,
            base_path=base_path,
        )
        application = recognise(app)
        lifespan = LifespanRun(application)
        await lifespan.startup()
        config = RuntimeConfig(
            RuntimeAPI(api.host),
            application,
            environment,
            os.environ,
            InvocationThreads(),
            lifespan.state,
        )
        if clock is not None:
            config = config._replace(clock=clock)
        runtime = Runtime(config)
        task = asyncio.create_task(runtime.run())
        try:
            await api.until(lambda: api.polls > 0)
            yield RunningRuntime(api, runtime, task)
        finally:
            runtime.stop()
            await asyncio.wait({task}, timeout=60)
            assert task.done(), "the runtime did not stop"
            await lifespan.shutdown(1)
    if not task.cancelled():
        task.result()
