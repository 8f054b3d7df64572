"""From what `_HANDLER` names to something that can be run: an application or a function.

The module is imported, a monitoring tool's wrapper is looked behind, and the object is
recognised by what it can be called with. Whatever fits nothing fails here, at the start: later
every request would fail. Nothing here knows the Runtime API.
"""

import importlib
import inspect
import logging
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, NamedTuple

from .errors import RuntimeSetupError
from .handler import Handler, Lifespan
from .mangum_options import find_mangum, serve_as_mangum

logger = logging.getLogger(__name__)

ORIGINAL_HANDLERS = (
    "DD_LAMBDA_HANDLER",  # Datadog
    "NEW_RELIC_LAMBDA_HANDLER",
    "ORIG_HANDLER",  # OpenTelemetry's layers: ADOT, Application Signals, Splunk
    "SENTRY_INITIAL_HANDLER",
    "LUMIGO_ORIGINAL_HANDLER",
    "CX_ORIGINAL_HANDLER",  # Coralogix
    "INSTANA_LAMBDA_HANDLER",
    "ELASTIC_APM_LAMBDA_HANDLER",
    "EPSAGON_HANDLER",
    "THUNDRA_AGENT_LAMBDA_HANDLER",
)
"""Where monitoring tools keep the function's own handler when they point `_HANDLER` at theirs."""


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


def load(name: str, environ: Mapping[str, str] = os.environ) -> Application:
    """Load what ``package.module.attribute`` names (the path may be written with slashes).

    Behind a monitoring tool's handler an application is served as itself, streamed: the tool's
    handler calls it as a function of ``(event, context)``, which it is not. Its module is
    imported all the same. Raises `LoadError` with the stock runtime's error types; an exception
    of a module itself passes through.
    """
    target = import_target(name)
    original = next((environ[key] for key in ORIGINAL_HANDLERS if environ.get(key)), name)
    if original != name:
        own = import_target(original)
        found = recognise(own, original)
        if found.kind == "asgi":
            logger.warning(
                "%s wraps %s, an ASGI application. It is served as itself, and the wrapper sees "
                "none of its requests: use the tool's ASGI middleware for them.",
                name,
                original,
            )
            return found
    return recognise(target, name)


def import_target(name: str) -> object:
    """Import what ``package.module.attribute`` names. Raises `LoadError`."""
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
        return getattr(module, attribute)
    except AttributeError as error:
        raise LoadError(
            "Runtime.HandlerNotFound", f"{attribute!r} is missing in module {module_name!r}."
        ) from error


def recognise(target: Any, name: str = "handler") -> Application:
    """Tell applications from handler functions. Raises `LoadError` for what is neither."""
    if isinstance(target, Handler):
        return Application(
            target.app, "asgi", target.lifespan, target.on_shutdown, target.strict_cleanup
        )
    if (mangum := find_mangum(target)) is not None:
        if (app := serve_as_mangum(mangum)) is not None:
            return Application(app, "asgi", mangum.lifespan)
        logger.warning(
            "%s is a Mangum object with handlers of its own. It answers itself, buffered.", name
        )
        return Application(target, "function")
    if not callable(target):
        raise LoadError("Runtime.HandlerNotFound", f"{name!r} cannot be called.")
    if _is_wsgi(target):
        raise LoadError(
            "Runtime.HandlerNotFound",
            f"{name!r} is a WSGI application. Wrap it: app = a2wsgi.WSGIMiddleware(app).",
        )
    kind = _kind_of(target)
    if kind is None:
        raise LoadError(
            "Runtime.HandlerNotFound",
            f"{name!r} can be called neither with (scope, receive, send), as an ASGI application, "
            "nor with (event, context), as a handler function.",
        )
    if kind == "asgi 2":
        return Application(partial(_run_asgi_2, target), "asgi")
    return Application(target, kind)


def _is_wsgi(target: Any) -> bool:
    """By the usual name of the second argument: two arguments would fit a function as well."""
    try:
        names = [*inspect.signature(target).parameters]
    except (TypeError, ValueError):
        return False
    return names[1:2] == ["start_response"]


def _kind_of(target: Any) -> Literal["asgi", "asgi 2", "function"] | None:
    """By how it can be called; where both ways fit, as ASGI servers decide, then by a name."""
    if inspect.isclass(target) and hasattr(target, "__await__"):
        return "asgi"
    # The instance's own `__call__`, where it has one: some middleware chooses it when made.
    plain = inspect.isroutine(target) or inspect.isclass(target) or isinstance(target, partial)
    call = target if plain else target.__call__
    coroutine = inspect.iscoroutinefunction(call)
    try:
        signature = inspect.signature(call)
    except (TypeError, ValueError):  # some builtins do not say
        return "asgi" if coroutine else "function"
    three, two, one = (_fits(signature, count) for count in (3, 2, 1))
    if three and two:
        first, *_ = signature.parameters.values()
        if first.kind is first.VAR_POSITIONAL:
            return "asgi" if coroutine else "function"
        return "asgi" if first.name == "scope" else "function"
    if three or two:
        return "asgi" if three else "function"
    return "asgi 2" if one and not coroutine else None


def _fits(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


async def _run_asgi_2(app: Any, scope: Any, receive: Any, send: Any) -> None:
    """ASGI 2: called with the scope, it gives what is called with the rest."""
    await app(scope)(receive, send)
