"""What the Runtime API says: its header names, statuses, error types and documents.

The spelling is AWS's, newline at the end included. Knows nothing of states or invocations.
"""

import json

from emulator.body import TooLargeError, TruncatedBodyError
from emulator.chunked import MalformedBodyError
from emulator.http1 import Reply, Request
from emulator.invocation import (
    ERROR_TYPE,
    PAYLOAD_LIMIT,
    FunctionError,
    Invocation,
    failure,
    normalize_error_type,
)
from emulator.json_input import parse_json

REQUEST_ID = "Lambda-Runtime-Aws-Request-Id"
INVOCATION_ID = "Lambda-Runtime-Invocation-Id"
DEADLINE = "Lambda-Runtime-Deadline-Ms"
FUNCTION_ARN = "Lambda-Runtime-Invoked-Function-Arn"
TRACE_ID = "Lambda-Runtime-Trace-Id"
CLIENT_CONTEXT = "Lambda-Runtime-Client-Context"
COGNITO_IDENTITY = "Lambda-Runtime-Cognito-Identity"
TENANT_ID = "Lambda-Runtime-Aws-Tenant-Id"
RESPONSE_MODE = "Lambda-Runtime-Function-Response-Mode"
EXTENSION_ID = "Lambda-Extension-Identifier"
ERROR_WITH_CAUSE = "application/vnd.aws.lambda.error.cause+json"
TOO_LARGE = f"Exceeded maximum allowed payload size ({PAYLOAD_LIMIT} bytes)."

# What a refusal asked for by a fault looks like, by status.
REFUSALS = {
    400: ("InvalidRequestID", "Invalid request ID"),
    403: ("InvalidStateTransition", "State transition is not allowed"),
    410: ("InvokeTimeout", "Invoke timeout"),
    413: ("RequestEntityTooLarge", TOO_LARGE),
    500: ("InternalServerError", "Internal Server Error"),
}

_KEPT = ("errorMessage", "errorType", "stackTrace")


async def deliver(reply: Reply, invocation: Invocation, *, concurrent: bool) -> None:
    """200 to a poll: the payload, and what a runtime must know about it.

    The classic server leaves empty headers out; the concurrent one sends the client context
    and the identity even when they are empty.
    """
    head = [
        ("Content-Type", invocation.content_type),
        (REQUEST_ID, invocation.id),
        (DEADLINE, str(int(invocation.deadline * 1000))),
        (FUNCTION_ARN, invocation.arn),
        (TRACE_ID, invocation.trace_id),
        (INVOCATION_ID, invocation.nonce),
        (CLIENT_CONTEXT, invocation.client_context),
        (COGNITO_IDENTITY, ""),
        (TENANT_ID, invocation.tenant_id),
    ]
    always = (CLIENT_CONTEXT, COGNITO_IDENTITY) if concurrent else ()
    kept = [(name, value) for name, value in head if value or name in always]
    await reply.send(200, kept, invocation.payload)


async def accept(reply: Reply) -> None:
    """202: the runtime's post was taken."""
    await reply.send(202, [("Content-Type", "application/json")], b'{"status":"OK"}\n')


async def send_refusal(reply: Reply, status: int, error_type: str, message: str) -> None:
    """Any other status, with its error document."""
    document = {"errorMessage": message, "errorType": error_type}
    body = json.dumps(document, separators=(",", ":")).encode() + b"\n"
    await reply.send(status, [("Content-Type", "application/json")], body)


async def read_error_report(request: Request) -> FunctionError:
    """The error a runtime posted: its type as the platform keeps it, its cause left out.

    A document that broke off is no document, and still an error: AWS's own server takes it.
    """
    try:
        body = await request.body.read_all(PAYLOAD_LIMIT)
    except (TruncatedBodyError, MalformedBodyError):
        body = b""
    except TooLargeError:
        return too_large()
    if request.header("content-type") == ERROR_WITH_CAUSE:
        try:
            document = parse_json(body)
            body = json.dumps({key: document[key] for key in _KEPT if key in document}).encode()
        except (ValueError, TypeError):
            body = b'"Invalid error body"'
    return FunctionError(normalize_error_type(request.header(ERROR_TYPE)), body)


def too_large() -> FunctionError:
    """The error of a buffered response over 6 MB."""
    return failure(
        "Function.ResponseSizeTooLarge",
        f"Response payload size exceeded maximum allowed payload size ({PAYLOAD_LIMIT} bytes).",
    )
