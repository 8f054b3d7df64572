"""One object per function: what `_HANDLER` names, and how it is recognised.

`export_handler(app)` makes the object a function file exports. It streams under our runtime,
answers buffered through Mangum under the stock runtime, and is an ASGI application for any
server. Under our runtime `_HANDLER` may also name a bare ASGI application, a Mangum object,
or a plain handler function of ``(event, context)``, sync, async or an async generator.

Nothing here knows the Runtime API; what it cannot load it says as a `LoadError`.
"""

import importlib
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Literal, NamedTuple, cast

from .errors import RuntimeSetupError

Lifespan = Literal["auto", "on", "off"]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]


class LoadError(RuntimeSetupError):
    """`_HANDLER` names nothing that can be run. `type` is the error type that Lambda gets."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.type = kind


class Application(NamedTuple):
    """What was loaded: an ASGI application, or a function of ``(event, context)``."""

    run: Callable[..., Any]
    kind: Literal["asgi", "function"]
    lifespan: Lifespan = "auto"
    on_shutdown: Callable[[], object] | None = None
    strict_cleanup: bool = False


class Handler:
    """An ASGI application that is also a Lambda handler function.

    Called with ``(scope, receive, send)`` it is the application; with ``(event, context)`` it
    answers one payload buffered, as the stock runtime wants it.
    """

    def __init__(
        self,
        app: ASGIApp,
        lifespan: Lifespan,
        on_shutdown: Callable[[], object] | None = None,
        *,
        strict_cleanup: bool = False,
    ) -> None:
        self.app = app
        self.lifespan = lifespan
        self.on_shutdown = on_shutdown
        self.strict_cleanup = strict_cleanup

        async def asgi(scope: object, receive: Receive, send: Send) -> None:
            await app(scope, receive, send)

        # ASGI servers ask `iscoroutinefunction(handler.__call__)` to tell ASGI 3 from ASGI 2.
        # A call goes through the class, so this attribute only answers that question.
        self.__dict__["__call__"] = asgi

    def __call__(self, *arguments: Any) -> Any:
        """Three arguments: the ASGI application. Two: a Lambda handler function."""
        if len(arguments) == 3:
            return self.app(*arguments)
        if len(arguments) != 2:
            raise TypeError("Call a handler with (scope, receive, send) or (event, context).")
        from . import buffered

        event, context = arguments
        return buffered.answer_payload(self.app, event, context, lifespan=self.lifespan)

    def __repr__(self) -> str:
        return f"<Lambda handler of {self.app!r}>"


def export_handler(
    app: ASGIApp,
    *,
    lifespan: Lifespan = "auto",
    on_shutdown: Callable[[], object] | None = None,
    strict_cleanup: bool = False,
) -> Handler:
    """Make `app`, any ASGI 3.0 application, the one object a function file exports.

    >>> handler = export_handler(app)  # doctest: +SKIP

    `lifespan` as in Mangum and uvicorn: ``auto`` runs it where the application knows it, ``on``
    insists, ``off`` never does. Our runtime runs it once per process; Mangum, under the stock
    runtime, once per invocation.

    `on_shutdown` is called on the event loop when Lambda gives notice, so that responses under
    way can end in their own words; what has not ended 0.2 seconds later is cancelled.

    `strict_cleanup` is for an application that keeps nothing between requests: every task and
    async generator begun in an invocation ends with it, cancelled or closed, and is named in
    the log. Without it they live on, as under any server.
    """
    return Handler(app, lifespan, on_shutdown, strict_cleanup=strict_cleanup)


def load(name: str) -> Application:
    """Import what ``package.module.attribute`` names (the path may be written with slashes).

    Raises `LoadError` with the stock runtime's error types; an exception of the module itself
    passes through.
    """
    module_name, dot, attribute = name.rpartition(".")
    if not dot or not module_name or not attribute:
        raise LoadError(
            "Runtime.MalformedHandlerName",
            f"Bad handler {name!r}: write it as package.module.attribute.",
        )
    module_name = module_name.replace("/", ".")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise LoadError(
            "Runtime.ImportModuleError", f"Unable to import module {module_name!r}: {error}"
        ) from error
    except SyntaxError as error:
        raise LoadError(
            "Runtime.UserCodeSyntaxError", f"Syntax error in module {module_name!r}: {error}"
        ) from error
    try:
        target = getattr(module, attribute)
    except AttributeError as error:
        raise LoadError(
            "Runtime.HandlerNotFound", f"{attribute!r} is missing in module {module_name!r}."
        ) from error
    return recognise(target, name)


def recognise(target: object, name: str = "handler") -> Application:
    """Tell ASGI applications from handler functions.

    An ASGI application takes three arguments, a handler function two. Raises `LoadError` for
    what can be called with neither.
    """
    if isinstance(target, Handler):
        return Application(
            target.app, "asgi", target.lifespan, target.on_shutdown, target.strict_cleanup
        )
    if type(target).__module__.partition(".")[0] == "mangum" and hasattr(target, "app"):
        mangum = cast("Any", target)
        return Application(mangum.app, "asgi", mangum.lifespan)
    if not callable(target):
        raise LoadError("Runtime.HandlerNotFound", f"{name!r} cannot be called.")
    return Application(target, "asgi" if _takes_three(target) else "function")


def _takes_three(target: Callable[..., Any]) -> bool:
    try:
        parameters = list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):  # builtins do not say; they are no ASGI applications
        return False
    positional = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    required = [p for p in positional if p.default is p.empty]
    return len(required) == 3 or (bool(positional) and positional[0].name == "scope")
