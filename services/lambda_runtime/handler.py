"""One object per function, for every host.

`export_handler(app)` makes the object a function file exports. It streams under our runtime,
answers buffered through Mangum under the stock runtime, and is an ASGI application for any
server. What else `_HANDLER` may name is in `loader`. Nothing here knows the Runtime API.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Literal

Lifespan = Literal["auto", "on", "off"]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]


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
