"""Whole answers: one response as the JSON a buffered front expects, by way of Mangum.

For every host that cannot stream: our runtime in buffered mode, load balancers and HTTP APIs
under it, and the stock Python runtime, where `call` makes any ASGI application a handler
function. Requests are read by `payload`, as everywhere; responses are written by Mangum's
own handlers. Mangum is imported when first used: a streaming function never pays for it.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, cast

from . import payload as payloads
from . import wire
from .head import Head, MisuseError, read_head

ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]
Lifespan = Literal["auto", "on", "off"]

# What Mangum's handlers look at when they write a response; their request half is not used.
_AS_MANGUM: dict[payloads.Shape, dict[str, Any]] = {
    "http": {
        "version": "2.0",
        "headers": {},
        "requestContext": {"http": {"sourceIp": "", "path": "/", "method": "GET"}},
    },
    "rest": {},
    "alb": {"headers": {}, "path": "/", "httpMethod": "GET", "requestContext": {"elb": {}}},
}


class BufferedAnswer:
    """Collects a response. `result` is its head and its body, once it is complete."""

    __slots__ = ("_head", "_parts", "_size", "is_committed", "last_sent_at", "result")

    def __init__(self) -> None:
        self._head = Head(500, ())
        self._parts: list[bytes] = []
        self._size = 0
        self.result = (self._head, b"")
        self.is_committed = False
        self.last_sent_at = float("inf")  # a buffered answer needs no heartbeat

    def start(self, head: Head) -> None:
        """Remember status and headers, and begin anew."""
        self._head = head
        self._parts = []
        self._size = 0

    def follow_events(self) -> None:
        """It is answered whole: nothing is added to it."""

    def is_between_events(self) -> bool:
        """No: a broken answer is replaced."""
        return False

    def begin(self, *, empty: bool, first: bytes = b"") -> bool:  # noqa: ARG002 (nothing leaves)
        """Collect the `first` frame: nothing leaves before the end."""
        return bool(first) and self.add(first)

    def add(self, frame: bytes) -> bool:
        """Collect, up to what Lambda takes. Raises `MisuseError` beyond it."""
        self._size += len(frame)
        if self._size > wire.BUFFERED_LIMIT:
            raise MisuseError(
                "The response is over 6 MiB; Lambda takes larger ones only as a stream "
                "(RIVERRUN_INVOKE_MODE=response_stream)."
            )
        self._parts.append(frame)
        return False

    async def drain(self) -> None:
        """There is always room below the limit."""

    def end(self, frame: bytes, failure: wire.Failure | None = None) -> None:  # noqa: ARG002 (no trailers)
        """Complete: the status says what there is to say."""
        if frame:
            self.add(frame)
        self.result = (self._head, b"".join(self._parts))


def write_response(
    payload: Mapping[str, Any], shape: payloads.Shape, head: Head, body: bytes
) -> dict[str, Any]:
    """One response as the front that sent `payload` reads it."""
    from mangum.adapter import DEFAULT_TEXT_MIME_TYPES
    from mangum.handlers import ALB, APIGateway, HTTPGateway

    handlers: dict[payloads.Shape, Any] = {"http": HTTPGateway, "rest": APIGateway, "alb": ALB}
    event = _AS_MANGUM[shape]
    if shape == "alb" and payload.get("multiValueHeaders"):
        event = {**event, "multiValueHeaders": {}}
    config = {
        "api_gateway_base_path": "/",
        "text_mime_types": DEFAULT_TEXT_MIME_TYPES,
        "exclude_headers": [],
    }
    # Mangum decodes header bytes as UTF-8, where ASGI's are latin-1.
    headers = [[name.encode(), value.encode()] for name, value in head.headers]
    response = {"status": head.status, "headers": headers, "body": body}
    result: dict[str, Any] = handlers[shape](event, None, config)(response)
    if shape == "http" and head.first("content-type") is None:
        del result["headers"]["content-type"]  # Mangum calls an untyped body JSON, even none
    return result


def write_refusal(error: payloads.PayloadError) -> dict[str, Any]:
    """A 400 in the form every HTTP front and every person reading JSON understands."""
    import json

    fields = {"type": "error", "error": error.message, "code": error.code, "retryable": False}
    return {
        "statusCode": 400,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(fields),
        "isBase64Encoded": False,
    }


def answer_payload(
    app: ASGIApp, event: Any, context: object, *, lifespan: Lifespan
) -> dict[str, Any]:
    """Answer one payload under the stock runtime: Mangum runs `app`, on our request mapping."""
    from mangum import Mangum

    try:
        shape, scope, body = payloads.read(event)
    except payloads.NotHttpError:
        raise  # answered, the message of a queue would be deleted
    except payloads.PayloadError as error:
        return write_refusal(error)
    scope["aws.event"], scope["aws.context"] = event, context

    class Handler:
        """What Mangum asks for: a scope, a body, and a response written back."""

        infer = classmethod(lambda _class, *_: True)

        def __init__(self, *_: object) -> None:
            self.scope, self.body = scope, body

        def __call__(self, response: dict[str, Any]) -> dict[str, Any]:
            return write_response(event, shape, read_head(response), response["body"])

    mangum: Any = Mangum(
        _require_completion(app), lifespan=lifespan, custom_handlers=[cast("Any", Handler)]
    )
    result: dict[str, Any] = mangum(event, context)
    return result


def _require_completion(app: ASGIApp) -> Any:
    """Mangum expects a response from whatever returns; one that is missing is a failure."""

    async def complete(scope: Any, receive: Any, send: Any) -> None:
        more = scope["type"] == "http"

        async def send_and_check(message: Any) -> None:
            nonlocal more
            await send(message)
            if message["type"] == "http.response.body":
                more = bool(message.get("more_body", False))

        await app(scope, receive, send_and_check)
        if more:
            raise MisuseError("The application returned without completing its response.")

    return complete
