"""What the failures of OpenAI's client on its way to a model mean in our words.

The client's exceptions come in here and none goes out; what they say stays their cause, for the
log. Compatible endpoints differ in names; statuses decide, then what they call the error.
"""

import re
from typing import TYPE_CHECKING

from ...errors import RiverrunError
from ..provider_errors import chat_error

if TYPE_CHECKING:
    import openai

_TOO_LONG = re.compile(r"context (?:length|window|size)|prompt is too long", re.IGNORECASE)

_NAMES = {
    "rate_limit_exceeded": "ThrottlingException",
    "rate_limit_error": "ThrottlingException",
    "overloaded_error": "ThrottlingException",
    "insufficient_quota": "ServiceQuotaExceededException",
    "context_length_exceeded": "context_too_long",
    "content_filter": "content_filtered",
    "content_policy_violation": "content_filtered",
    "server_error": "InternalServerException",
    "timeout": "ModelTimeoutException",
}

_STATUSES = {
    408: "ModelTimeoutException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
    504: "ModelTimeoutException",
    529: "ThrottlingException",
}


def told(error: Exception) -> RiverrunError:
    """`error` as the person who asked may be told of it."""
    import openai

    if isinstance(error, RiverrunError):
        return error
    if isinstance(error, openai.APIConnectionError):
        return chat_error(_of_connection(error))
    if isinstance(error, TimeoutError):
        return chat_error("provider_timeout")
    if isinstance(error, openai.APIStatusError):
        headers = error.response.headers
        wait = _milliseconds(headers.get("retry-after-ms"), 1) or _milliseconds(
            headers.get("retry-after"), 1000
        )
        return chat_error(_name(error, error.status_code), retry_after_ms=wait)
    if isinstance(error, openai.APIError):
        # In the middle of a stream: some endpoints put the status where a code belongs.
        code = error.code or ""
        return chat_error(_name(error, int(code) if code.isdecimal() else 0))
    # A chunk that is no JSON, or a broken connection that the client has no name for.
    return chat_error("provider_truncated")


def _of_connection(error: Exception) -> str:
    import openai

    if isinstance(error, openai.APITimeoutError):
        return "provider_timeout"
    # Only a stream that has begun can break off; before, nothing was said.
    name = type(error.__cause__).__name__
    broken = ("RemoteProtocolError", "ReadError")
    return "provider_truncated" if name in broken else "ServiceUnavailableException"


def _name(error: "openai.APIError", status: int) -> str:
    if error.code in _NAMES:
        return _NAMES[error.code]
    if _TOO_LONG.search(error.message):
        return "context_too_long"
    if status in _STATUSES:
        return _STATUSES[status]
    if error.type in _NAMES:
        return _NAMES[error.type]
    return "InternalServerException" if status >= 500 else "ValidationException"


def _milliseconds(value: str | None, scale: int) -> int | None:
    try:
        return max(0, round(float(value) * scale)) if value else None
    except (ValueError, OverflowError):
        return None  # a date; nobody in a stream waits that long
