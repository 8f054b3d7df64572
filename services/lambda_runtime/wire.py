"""The Lambda Runtime API as bytes: what the runtime says, to the last CRLF.

The constants at the top are the protocol's table of contents. Everything here is a function
from values to bytes; there is no socket, no clock and no application in this module. What
comes back is read by `services.lambda_runtime.reply`.

One invocation is answered in one of three phases, and an error belongs to exactly one:

1. before the first byte: `invocation_error`, or a real HTTP status in the prelude;
2. after it: the last chunk followed by the two trailers (`last_chunk` with an error);
3. after the end: nothing on the wire, only the log.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from .errors import LambdaRuntimeError

VERSION = "2018-06-01"
NEXT = f"/{VERSION}/runtime/invocation/next"
RESPONSE = f"/{VERSION}/runtime/invocation/%s/response"
ERROR = f"/{VERSION}/runtime/invocation/%s/error"
INIT_ERROR = f"/{VERSION}/runtime/init/error"
RESTORE_NEXT = f"/{VERSION}/runtime/restore/next"
RESTORE_ERROR = f"/{VERSION}/runtime/restore/error"

# Headers of GET /next, lower-cased as `reply` hands them over.
REQUEST_ID = "lambda-runtime-aws-request-id"
DEADLINE = "lambda-runtime-deadline-ms"
FUNCTION_ARN = "lambda-runtime-invoked-function-arn"
TRACE_ID = "lambda-runtime-trace-id"
ATTEMPT_ID = "lambda-runtime-invocation-id"
TENANT_ID = "lambda-runtime-aws-tenant-id"
CLIENT_CONTEXT = "lambda-runtime-client-context"
COGNITO_IDENTITY = "lambda-runtime-cognito-identity"

# Headers and trailers of what we send.
ECHO = "Lambda-Runtime-Invocation-Id"
RESPONSE_MODE = "Lambda-Runtime-Function-Response-Mode"
ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
ERROR_BODY = "Lambda-Runtime-Function-Error-Body"

JSON = "application/json"
OCTETS = "application/octet-stream"
HTTP_INTEGRATION = "application/vnd.awslambda.http-integration-response"

DELIMITER = bytes(8)
PRELUDE_LIMIT = 16 * 1024  # the delimiter must end within it
BUFFERED_LIMIT = 6 * 1024 * 1024 + 100
LAST_CHUNK = b"0\r\n"
CRLF = b"\r\n"

_compact = json.JSONEncoder(separators=(",", ":")).encode

# "(Runtime|Function)\.[A-Z][a-zA-Z]+": Lambda replaces any other type by Unknown.
_ERROR_TYPE = re.compile(r"(?:Runtime|Function)\.[A-Z][a-zA-Z]+")


class PreludeTooLargeError(LambdaRuntimeError):
    """Status, headers and cookies do not fit in what Lambda's HTTP fronts read of them."""


class Failure(NamedTuple):
    """What Lambda is told about an error.

    `type` is the header or trailer, `Runtime.X` or `Function.X`; `name` is what the caller
    reads as `errorType` (the stock runtime says the exception's class). `trace` is one line
    per frame, and empty wherever strangers may read it.
    """

    type: str
    message: str
    name: str = ""
    trace: tuple[str, ...] = ()


def get(path: str, *, host: str) -> bytes:
    """A GET: `NEXT` or `RESTORE_NEXT`."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {user_agent()}\r\n\r\n".encode()


def response(
    request_id: str, body: bytes, *, host: str, attempt_id: str | None, content_type: str = JSON
) -> bytes:
    """A buffered answer, whole."""
    return _post(RESPONSE % request_id, body, content_type, host=host, attempt_id=attempt_id)


def invocation_error(
    request_id: str, failure: Failure, *, host: str, attempt_id: str | None
) -> bytes:
    """An invocation that failed before any byte of its answer."""
    body = error_json(failure, request_id=request_id)
    path = ERROR % request_id
    return _post(path, body, JSON, host=host, attempt_id=attempt_id, failure_type=failure.type)


def phase_error(path: str, failure: Failure, *, host: str) -> bytes:
    """A failed start: `INIT_ERROR` or `RESTORE_ERROR`."""
    return _post(path, error_json(failure), JSON, host=host, failure_type=failure.type)


def stream_head(
    request_id: str, *, host: str, attempt_id: str | None, content_type: str = HTTP_INTEGRATION
) -> bytes:
    """The head of a streamed answer. Trailers that are not declared here are dropped."""
    echo = f"{ECHO}: {attempt_id}\r\n" if attempt_id else ""
    start = f"POST {RESPONSE % request_id} HTTP/1.1\r\n"
    return f"{start}{_stream_headers(host, content_type)}{echo}\r\n".encode("latin-1")


@cache
def _stream_headers(host: str, content_type: str) -> str:
    lines = [
        f"Host: {host}",
        f"User-Agent: {user_agent()}",
        f"Content-Type: {content_type}",
        f"{RESPONSE_MODE}: streaming",
        "Transfer-Encoding: chunked",
        f"Trailer: {ERROR_TYPE}, {ERROR_BODY}",
        "",
    ]
    return "\r\n".join(lines)


def prelude(
    status: int,
    headers: Mapping[str, str],
    cookies: Sequence[str] = (),
    multi_value_headers: Mapping[str, Sequence[str]] | None = None,
) -> bytes:
    """Status, headers and cookies as Lambda's HTTP fronts read them, and the eight NULs.

    The encoder writes ASCII and escapes NUL, so the delimiter cannot appear earlier.
    Raises `PreludeTooLargeError` when the delimiter would end beyond 16 KiB.
    """
    fields: dict[str, Any] = {"statusCode": status, "headers": headers}
    if multi_value_headers:
        fields["multiValueHeaders"] = multi_value_headers
    fields["cookies"] = cookies
    data = _compact(fields).encode() + DELIMITER
    if len(data) > PRELUDE_LIMIT:
        raise PreludeTooLargeError(
            f"Status, headers and cookies take {len(data)} bytes; Lambda reads {PRELUDE_LIMIT}. "
            "Send fewer or shorter headers and cookies."
        )
    return data


def frame_chunk(data: bytes) -> bytes:
    """One HTTP chunk. A zero-length one would end the body, so nothing stays nothing."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def last_chunk(failure: Failure | None = None) -> bytes:
    """The end of a streamed body, with the trailers that say why it ended early.

    The error body is base64 on one line: a raw newline would end the trailer.
    """
    if failure is None:
        return LAST_CHUNK + CRLF
    from base64 import b64encode

    body = b64encode(error_json(failure))
    kind = error_type(failure.type).encode()
    return b"%b%b: %b\r\n%b: %b\r\n\r\n" % (
        LAST_CHUNK,
        ERROR_TYPE.encode(),
        kind,
        ERROR_BODY.encode(),
        body,
    )


def error_json(failure: Failure, *, request_id: str | None = None) -> bytes:
    """The error object of the stock runtime, as ASCII JSON."""
    fields: dict[str, Any] = {
        "errorMessage": failure.message,
        "errorType": failure.name or failure.type,
    }
    if request_id is not None:
        fields["requestId"] = request_id
    fields["stackTrace"] = list(failure.trace)
    return json.dumps(fields).encode()


def error_type(text: str) -> str:
    """The same type, or the one Lambda would replace it by."""
    if _ERROR_TYPE.fullmatch(text):
        return text
    return "Function.Unknown" if text.startswith("Function.") else "Runtime.Unknown"


@cache
def user_agent() -> str:
    """Who is calling; Lambda records it as the runtime's release."""
    return "riverrun/0.1.0 python/{}.{}.{}".format(*sys.version_info)


def _post(
    path: str,
    body: bytes,
    content_type: str,
    *,
    host: str,
    attempt_id: str | None = None,
    failure_type: str | None = None,
) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {host}",
        f"User-Agent: {user_agent()}",
        f"Content-Type: {content_type}",
    ]
    if failure_type is not None:
        lines.append(f"{ERROR_TYPE}: {error_type(failure_type)}")
    if attempt_id:
        lines.append(f"{ECHO}: {attempt_id}")
    lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body
