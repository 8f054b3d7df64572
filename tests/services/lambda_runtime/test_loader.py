"""What `_HANDLER` may name: applications are told from functions, and wrappers looked behind."""

import asyncio
import functools
import logging
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mangum import Mangum
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from services.lambda_runtime import export_handler
from services.lambda_runtime.loader import ORIGINAL_HANDLERS, LoadError, load, recognise
from tests.services.lambda_runtime.harness import URL_DOMAIN, http, run_runtime

APP = Starlette(routes=[Route("/", lambda _: PlainTextResponse("hello"))])


async def bare(scope: Any, receive: Any, send: Any) -> None:
    await APP(scope, receive, send)


class Instance:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await APP(scope, receive, send)


class Anything:
    """Middleware that passes on whatever it is called with."""

    async def __call__(self, *args: Any, **kwargs: Any) -> None:
        await APP(*args, **kwargs)


class OwnCall:
    """Its instances have a `__call__` of their own, as Sentry's middleware has."""

    __slots__ = ("__call__",)

    def __init__(self) -> None:
        self.__call__ = self.run

    async def run(self, scope: Any, receive: Any, send: Any) -> None:
        await APP(scope, receive, send)


class Endpoint(HTTPEndpoint):
    async def get(self, _request: Any) -> PlainTextResponse:
        return PlainTextResponse("hello")


class Two:
    """ASGI 2: made with the scope."""

    def __init__(self, scope: Any) -> None:
        self.scope = scope

    async def __call__(self, receive: Any, send: Any) -> None:
        await APP(self.scope, receive, send)


def two(scope: Any) -> Any:
    return Two(scope)


async def any_application(*args: Any) -> None:
    await APP(*args)


async def optional(scope: Any, receive: Any = None, send: Any = None) -> None:
    await APP(scope, receive, send)


def function(event: Any, context: Any) -> Any:
    return event


async def with_default(event: Any, context: Any, extra: Any = None) -> Any:
    return event


def anything(*args: Any) -> Any:
    return args


def decorate(target: Any) -> Any:
    """A decorator that takes anything and says whose it is."""

    @functools.wraps(target)
    def call(*args: Any) -> Any:
        return target(*args)

    return call


def with_rest(event: Any, context: Any, *rest: Any) -> Any:
    return event


def nothing() -> None:
    """Takes too little."""


async def single(event: Any) -> Any:
    return event


async def four(event: Any, context: Any, extra: Any, more: Any) -> Any:
    return event


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        (export_handler(APP), "asgi"),
        (APP, "asgi"),
        (bare, "asgi"),
        (Instance(), "asgi"),
        (partial(bare), "asgi"),
        (optional, "asgi"),
        (Anything(), "asgi"),
        (any_application, "asgi"),
        (OwnCall(), "asgi"),
        (Endpoint, "asgi"),
        (Two, "asgi"),
        (two, "asgi"),
        (function, "function"),
        (with_default, "function"),
        (anything, "function"),
        (decorate(function), "function"),
        (decorate(bare), "asgi"),
        (with_rest, "function"),
        (partial(with_default, extra=1), "function"),
        (print, "function"),
    ],
)
def test_applications_are_told_from_functions(target: Any, kind: str) -> None:
    """Three arguments or two."""
    assert recognise(target).kind == kind


def test_a_mangum_object_gives_up_its_application(loop: None) -> None:
    """With its lifespan: an application that switched it off there wants it off here."""
    found = recognise(Mangum(APP, lifespan="off"))
    assert (found.run, found.kind, found.lifespan) == (APP, "asgi", "off")


@pytest.mark.anyio
@pytest.mark.parametrize("target", [Anything(), any_application, OwnCall(), Endpoint, Two, two])
async def test_every_kind_of_application_answers(target: Any) -> None:
    """As under an ASGI server."""
    async with run_runtime(target) as h:
        assert (await h.invoke(http())).content == b"hello"


async def say_path(scope: Any, receive: Any, send: Any) -> None:
    """The path, and two headers."""
    headers = [(b"x-kept", b"1"), (b"X-Left-Out", b"1")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    said = f"{scope['path']} {scope['raw_path'].decode()} {scope['root_path']}"
    await send({"type": "http.response.body", "body": said.encode()})


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "said"),
    [("/v1/a%20b", "/a b /a%20b "), ("/v1", "/ / "), ("/v1beta/x", "/v1beta/x /v1beta/x ")],
)
async def test_mangums_options_are_honoured(loop: None, path: str, said: str) -> None:
    """The base path is taken off, excluded headers are left out; the stream is ours."""
    mangum = Mangum(
        say_path, lifespan="off", api_gateway_base_path="v1", exclude_headers=["x-left-out"]
    )
    async with run_runtime(mangum) as h:
        call = await h.invoke(http(path))
    assert call.content.decode() == said
    assert call.prelude["headers"] == {"x-kept": "1"}


class Router(Mangum):
    """A subclass that answers what is no HTTP request itself."""

    def __call__(self, event: Any, context: Any) -> Any:
        return {"said": event} if "rawPath" not in event else super().__call__(event, context)


class Subclass(Mangum):
    """A subclass that changes nothing."""


@pytest.mark.anyio
async def test_a_mangum_with_code_of_its_own_answers_itself(loop: None) -> None:
    """Buffered, as under the stock runtime; a subclass without any is streamed."""
    assert recognise(Subclass(APP)).kind == "asgi"
    found = recognise(Mangum(APP, custom_handlers=[object]))  # type: ignore[list-item]
    assert found.kind == "function"
    async with run_runtime(Router(APP, lifespan="off")) as h:
        assert (await h.invoke({"a": 1})).json == {"said": {"a": 1}}
        payload = http()
        payload["requestContext"]["domainName"] = URL_DOMAIN
        assert (await h.invoke(payload)).json["body"] == "hello"


WRAPPER = """
import importlib, os
module, _, name = os.environ["VARIABLE"].rpartition(".")
target = getattr(importlib.import_module(module), name)
def handler(event, context):
    return {"wrapped": target(event, context)}
"""


@pytest.mark.parametrize("variable", ORIGINAL_HANDLERS)
def test_a_monitoring_tools_handler_is_looked_behind(
    modules: Path, variable: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An application is served as itself, and the log says so; a function stays wrapped."""
    (modules / "rr_tool.py").write_text(WRAPPER.replace("VARIABLE", variable))
    (modules / "rr_own.py").write_text(
        "def handler(event, context): return event\nasync def app(scope, receive, send): ...\n"
    )
    monkeypatch.setenv(variable, "rr_own.handler")
    assert load("rr_tool.handler").run({"a": 1}, None) == {"wrapped": {"a": 1}}
    monkeypatch.setenv(variable, "rr_own.app")
    with caplog.at_level(logging.WARNING):
        found = load("rr_tool.handler")
    assert (found.kind, found.run) == ("asgi", sys.modules["rr_own"].app)
    assert "sees none of its requests" in caplog.text


@pytest.fixture
def loop() -> Iterator[None]:
    """The event loop Mangum looks for, closed afterwards."""
    made = asyncio.new_event_loop()
    asyncio.set_event_loop(made)
    yield
    asyncio.set_event_loop(None)
    made.close()


class Wsgi:
    def __call__(self, environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return environ


@pytest.mark.parametrize(
    "target", [None, 5, "text", object(), nothing, single, four, Wsgi(), Wsgi().__call__]
)
def test_what_cannot_be_called_is_not_found(target: Any) -> None:
    """With the type Lambda knows."""
    with pytest.raises(LoadError) as raised:
        recognise(target)
    assert raised.value.type == "Runtime.HandlerNotFound"


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
