"""What `_HANDLER` may name, and the one object that works everywhere."""

import asyncio
import inspect
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mangum import Mangum
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from services.lambda_runtime import export_handler
from services.lambda_runtime.handler import LoadError, load, recognise
from tests.services.lambda_runtime.harness import http, run_runtime
from tests.services.lambda_runtime.servers import fetch, uvicorn, view_mangum, view_stream

APP = Starlette(routes=[Route("/", lambda _: PlainTextResponse("hello"))])


async def bare(scope: Any, receive: Any, send: Any) -> None:
    await APP(scope, receive, send)


class Instance:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await APP(scope, receive, send)


async def optional(scope: Any, receive: Any = None, send: Any = None) -> None:
    await APP(scope, receive, send)


def function(event: Any, context: Any) -> Any:
    return event


async def with_default(event: Any, context: Any, extra: Any = None) -> Any:
    return event


def anything(*args: Any) -> Any:
    return args


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        (export_handler(APP), "asgi"),
        (APP, "asgi"),
        (bare, "asgi"),
        (Instance(), "asgi"),
        (partial(bare), "asgi"),
        (optional, "asgi"),
        (function, "function"),
        (with_default, "function"),
        (anything, "function"),
        (partial(with_default, extra=1), "function"),
        (print, "function"),
    ],
)
def test_applications_are_told_from_functions(target: Any, kind: str) -> None:
    """Three arguments or two."""
    assert recognise(target).kind == kind


@pytest.fixture
def loop() -> Iterator[None]:
    """The event loop Mangum looks for, closed afterwards."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


def test_a_mangum_object_gives_up_its_application(loop: None) -> None:
    """With its lifespan: an application that switched it off there wants it off here."""
    found = recognise(Mangum(APP, lifespan="off"))
    assert (found.run, found.kind, found.lifespan) == (APP, "asgi", "off")


@pytest.mark.parametrize("target", [None, 5, "text", object()])
def test_what_cannot_be_called_is_not_found(target: Any) -> None:
    """With the type Lambda knows."""
    with pytest.raises(LoadError) as raised:
        recognise(target)
    assert raised.value.type == "Runtime.HandlerNotFound"


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


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_names_are_written_with_dots_or_slashes(modules: Path) -> None:
    """As the stock runtime reads them."""
    (modules / "rr_pkg" / "inner").mkdir(parents=True)
    (modules / "rr_pkg" / "inner" / "mod.py").write_text("def handler(event, context): return 1\n")
    assert load("rr_pkg.inner.mod.handler").run({}, None) == 1
    assert load("rr_pkg/inner/mod.handler").run({}, None) == 1


@pytest.mark.parametrize(
    ("name", "source", "kind"),
    [
        ("rr_mod", "", "Runtime.MalformedHandlerName"),
        (".handler", "", "Runtime.MalformedHandlerName"),
        ("rr_mod.", "", "Runtime.MalformedHandlerName"),
        ("", "", "Runtime.MalformedHandlerName"),
        ("rr_missing.handler", "", "Runtime.ImportModuleError"),
        ("rr_mod.handler", "import rr_not_there", "Runtime.ImportModuleError"),
        ("rr_mod.handler", "def handler(:", "Runtime.UserCodeSyntaxError"),
        ("rr_mod.handler", "other = 1", "Runtime.HandlerNotFound"),
        ("rr_mod.handler", "handler = 1", "Runtime.HandlerNotFound"),
    ],
)
def test_what_cannot_be_loaded_has_lambdas_name(
    name: str, source: str, kind: str, modules: Path
) -> None:
    """So that the console's hints fit."""
    (modules / "rr_mod.py").write_text(source)
    with pytest.raises(LoadError) as raised:
        load(name)
    assert raised.value.type == kind


def test_an_exception_of_the_module_is_its_own(modules: Path) -> None:
    """It is not ours to rename."""
    (modules / "rr_mod.py").write_text("raise ZeroDivisionError('at import')")
    with pytest.raises(ZeroDivisionError):
        load("rr_mod.handler")


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
