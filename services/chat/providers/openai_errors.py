"""Translate the exceptions of OpenAI's client into ours.

The exception stays the cause of the error, for the logger. Compatible endpoints differ in names:
statuses decide, then the names of errors.
"""

import re
from typing import TYPE_CHECKING

from ...errors import RiverrunError
from ..provider_errors import make_chat_error

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


def translate_error(error: Exception) -> RiverrunError:
    """Translate `error` into the error that the person who asked may see."""
    import openai

    if isinstance(error, RiverrunError):
        return error
    if isinstance(error, openai.APIConnectionError):
        return make_chat_error(_name_connection_error(error))
    if isinstance(error, TimeoutError):
        return make_chat_error("provider_timeout")
    if isinstance(error, openai.APIStatusError):
        headers = error.response.headers
        wait = _parse_milliseconds(headers.get("retry-after-ms"), 1) or _parse_milliseconds(
            headers.get("retry-after"), 1000
        )
        return make_chat_error(_name_error(error, error.status_code), retry_after_ms=wait)
    if isinstance(error, openai.APIError):
        # In the middle of a stream: some endpoints put the status where a code belongs.
        code = error.code or ""
        return make_chat_error(_name_error(error, int(code) if code.isdecimal() else 0))
    # A chunk that is no JSON, or a broken connection that the client has no name for.
    return make_chat_error("provider_truncated")


def _name_connection_error(error: Exception) -> str:
    import openai

    if isinstance(error, openai.APITimeoutError):
        return "provider_timeout"
    # Only a stream that has begun can break off; before, the model produced no text.
    name = type(error.__cause__).__name__
    broken = ("RemoteProtocolError", "ReadError")
    return "provider_truncated" if name in broken else "ServiceUnavailableException"


def _name_error(error: "openai.APIError", status: int) -> str:
    if error.code in _NAMES:
        return _NAMES[error.code]
    if _TOO_LONG.search(error.message):
        return "context_too_long"
    if status in _STATUSES:
        return _STATUSES[status]
    if error.type in _NAMES:
        return _NAMES[error.type]
    return "InternalServerException" if status >= 500 else "ValidationException"


def _parse_milliseconds(value: str | None, scale: int) -> int | None:
    try:
        return max(0, round(float(value) * scale)) if value else None
    except (ValueError, OverflowError):
        return None  # a date: longer than a stream can wait
