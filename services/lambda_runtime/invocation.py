"""One invocation: what GET /next said, and the context object a handler function expects.

It reads headers and JSON; it knows neither sockets nor the application.
"""

import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, NamedTuple

from . import wire
from .errors import LambdaRuntimeError
from .json_input import parse_json
from .reply import Reply

MAX_SECONDS = 900.0  # seconds; no Lambda function may run longer
# It becomes part of a path, so it may hold nothing that could end one.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._~:@!$&'()*+,;=-]{1,256}")


class InvocationError(LambdaRuntimeError):
    """GET /next answered with something that cannot be answered in turn."""


class Invocation(NamedTuple):
    """One call delivered by the Runtime API.

    `deadline` is in seconds since the epoch. Absent and empty headers are both None.
    `attempt_id` is echoed with the answer; `payload` is the JSON, unread.
    """

    id: str
    deadline: float
    payload: bytes
    function_arn: str = ""
    trace_id: str | None = None
    attempt_id: str | None = None
    tenant_id: str | None = None
    client_context: str | None = None
    cognito_identity: str | None = None


current: ContextVar[Invocation | None] = ContextVar("invocation", default=None)
"""The invocation this task works for: request id, trace id and deadline, also when several
run in one process and the environment cannot say."""


def read_invocation(reply: Reply, now: float) -> Invocation:
    """Turn an answer to GET /next into an `Invocation`.

    A deadline that is missing, unreadable or further from `now` (epoch seconds) than any
    function may run was not meant for us; the longest possible one takes its place. Raises
    `InvocationError` without a usable request id: there would be no path to answer on.
    """
    headers = reply.headers
    request_id = headers.get(wire.REQUEST_ID, "")
    if _REQUEST_ID.fullmatch(request_id) is None:
        raise InvocationError("The Runtime API delivered an invocation without a request id.")
    return Invocation(
        id=request_id,
        deadline=_read_deadline(headers.get(wire.DEADLINE, ""), now),
        payload=reply.body,
        function_arn=headers.get(wire.FUNCTION_ARN, ""),
        trace_id=headers.get(wire.TRACE_ID) or None,
        attempt_id=headers.get(wire.ATTEMPT_ID) or None,
        tenant_id=headers.get(wire.TENANT_ID) or None,
        client_context=headers.get(wire.CLIENT_CONTEXT) or None,
        cognito_identity=headers.get(wire.COGNITO_IDENTITY) or None,
    )


def _read_deadline(text: str, now: float) -> float:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        return now + MAX_SECONDS
    deadline = int(text) / 1000
    return deadline if abs(deadline - now) <= MAX_SECONDS * 1.1 else now + MAX_SECONDS


class Context:
    """The context object of the stock runtime, attribute for attribute.

    `memory_limit_in_mb` is text, as it is there. `client_context` and `identity` come from
    the mobile SDKs; an unreadable one is treated as absent.
    """

    __slots__ = (
        "_clock",
        "_deadline",
        "aws_request_id",
        "client_context",
        "function_name",
        "function_version",
        "identity",
        "invoked_function_arn",
        "log_group_name",
        "log_stream_name",
        "memory_limit_in_mb",
        "tenant_id",
    )

    def __init__(
        self, invocation: Invocation, environ: Mapping[str, str], clock: Callable[[], float]
    ) -> None:
        self._deadline = invocation.deadline
        self._clock = clock
        self.aws_request_id = invocation.id
        self.invoked_function_arn = invocation.function_arn
        self.tenant_id = invocation.tenant_id
        self.function_name = environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.client_context = _client_context(invocation.client_context)
        self.identity = _identity(invocation.cognito_identity)

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda gives up on this invocation; never below 0."""
        return max(0, int((self._deadline - self._clock()) * 1000))

    def log(self, message: object) -> None:
        """Write to the log, as the stock runtime's context can."""
        import sys

        sys.stdout.write(f"{message}")

    def __repr__(self) -> str:
        return f"Context(aws_request_id={self.aws_request_id!r})"


def _client_context(text: str | None) -> SimpleNamespace | None:
    fields = _object(text)
    if fields is None:
        return None
    client = fields.get("client")
    names = (
        "installation_id",
        "app_title",
        "app_version_name",
        "app_version_code",
        "app_package_name",
    )
    return SimpleNamespace(
        custom=fields.get("custom"),
        env=fields.get("env"),
        client=SimpleNamespace(**{name: client.get(name) for name in names})
        if isinstance(client, dict)
        else None,
    )


def _identity(text: str | None) -> SimpleNamespace:
    fields = _object(text) or {}
    return SimpleNamespace(
        cognito_identity_id=fields.get("cognitoIdentityId"),
        cognito_identity_pool_id=fields.get("cognitoIdentityPoolId"),
    )


def _object(text: str | None) -> dict[str, Any] | None:
    if not text:
        return None
    try:
        value = parse_json(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
