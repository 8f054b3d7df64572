"""What `_HANDLER` may name, and the one object that works everywhere."""

import asyncio
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from services.lambda_runtime import export_handler
from tests.services.lambda_runtime.harness import http, run_runtime
from tests.services.lambda_runtime.servers import fetch, uvicorn, view_mangum, view_stream

APP = Starlette(routes=[Route("/", lambda _: PlainTextResponse("hello"))])


@pytest.fixture
def loop() -> Iterator[None]:
    """The event loop Mangum looks for, closed afterwards."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.mark.anyio
async def test_one_object_works_everywhere() -> None:
    """Streamed here, buffered through Mangum, served by uvicorn: the same answer."""
    handler = export_handler(APP)
    async with uvicorn(handler) as port:
        reference = await fetch(port, b"GET / HTTP/1.1\r\nHost: e.org\r\n\r\n", "GET")
    async with run_runtime(handler) as h:
        streamed = view_stream(await h.invoke(http()))
    assert reference.body == b"hello"
    assert reference == streamed == await view_mangum(handler.app, http())


def test_asgi_servers_see_asgi_3() -> None:
    """They ask whether calling it is a coroutine function; it also mounts and tests as an app."""
    handler = export_handler(APP)
    assert inspect.iscoroutinefunction(handler.__call__)
    assert TestClient(handler).get("/").text == "hello"
    mounted = Starlette(routes=[Mount("/inner", handler)])
    assert TestClient(mounted).get("/inner/").text == "hello"


def test_any_other_call_is_a_type_error() -> None:
    """Two arguments or three."""
    with pytest.raises(TypeError):
        export_handler(APP)({})


def test_importing_it_costs_no_third_party_module() -> None:
    """The wire path is standard library; Mangum comes with the first buffered answer."""
    root = Path(__file__).parents[3]
    script = (
        f"import sys; sys.path.insert(0, {str(root)!r})\n"
        "import services.lambda_runtime.__main__, services.lambda_runtime.start\n"
        "third = {'mangum', 'starlette', 'anyio', 'pydantic', 'typing_extensions', 'h11'}\n"
        "found = third & {name.partition('.')[0] for name in sys.modules}\n"
        "assert not found, found\n"
    )
    subprocess.run([sys.executable, "-I", "-c", script], check=True)


def test_lifespan_runs_per_invocation_under_mangum(loop: None) -> None:
    """The stock runtime has no loop to keep it in; `off` spares it."""
    said: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            said.append((await receive())["type"])
            await send({"type": "lifespan.startup.complete"})
            said.append((await receive())["type"])
            await send({"type": "lifespan.shutdown.complete"})
            return
        await APP(scope, receive, send)

    assert export_handler(app)(http(), None)["body"] == "hello"
    assert said == ["lifespan.startup", "lifespan.shutdown"]
    assert export_handler(app, lifespan="off")(http(), None)["body"] == "hello"
    assert len(said) == 2
