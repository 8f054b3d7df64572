"""A Mangum object as the application it holds, with the options it was made with.

Requests are read by `payload` and responses written here, so its options are honoured around
the application. One whose own code decides (a subclass with another `__call__` or `infer`,
custom handlers) cannot be: it stays a handler function. It knows Mangum's attributes only.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]


def find_mangum(target: Any) -> Any | None:
    """`target`, if it is a Mangum object or one of a subclass; Mangum is not imported for it."""
    return target if _mangum_class(type(target)) is not None and hasattr(target, "app") else None


def serve_as_mangum(mangum: Any) -> ASGIApp | None:
    """Its application, with its options; None when Mangum itself has to answer."""
    own = type(mangum)
    base: Any = _mangum_class(own)
    if mangum.custom_handlers or own.__call__ is not base.__call__ or own.infer is not base.infer:
        return None
    path = str(mangum.config["api_gateway_base_path"]).strip("/")
    excluded = {name.lower().encode() for name in mangum.config["exclude_headers"]}
    app: ASGIApp = mangum.app
    if not path and not excluded:
        return app
    prefix = f"/{path}" if path else ""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return

        async def send_kept(message: Any) -> None:
            if excluded and message["type"] == "http.response.start":
                pairs = message.get("headers") or ()
                kept = [pair for pair in pairs if bytes(pair[0]).lower() not in excluded]
                message = {**message, "headers": kept}
            await send(message)

        await app(_without_prefix(scope, prefix), receive, send_kept)

    return serve


def _without_prefix(scope: Any, prefix: str) -> Any:
    """The same scope without the base path, which follows the stage."""
    root = scope["root_path"]
    inner = scope["path"].removeprefix(root)
    if not prefix or not f"{inner}/".startswith(f"{prefix}/"):
        return scope
    raw = scope["raw_path"].removeprefix(quote(root).encode())
    return {
        **scope,
        "path": root + inner.removeprefix(prefix) or "/",
        "raw_path": quote(root).encode() + raw.removeprefix(quote(prefix).encode()) or b"/",
    }


def _mangum_class(kind: type) -> Any | None:
    for ancestor in kind.__mro__:
        if ancestor.__name__ == "Mangum" and ancestor.__module__.partition(".")[0] == "mangum":
            return ancestor
    return None
