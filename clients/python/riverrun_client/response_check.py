"""Check an HTTP response: read it, try again, or end with an error.

One table of statuses. Knows nothing of events, and does not wait.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from riverrun_client.errors import (
    EndedError,
    GaveUpError,
    ProtocolError,
    RefusedError,
    RiverrunError,
    SetupError,
    read_error_fields,
)
from riverrun_client.json_input import parse_json
from riverrun_client.retry_policy import LostError
from riverrun_client.sse import CONTENT_TYPE

# More of an error's body than a person reads.
BODY_LIMIT = 64 * 1024

_PASSING = frozenset({408, 425, 429, 502, 503, 504})

# What to do about a status, where the server itself did not say.
_HINTS: Mapping[int, str] = {
    401: "Give the key of this installation.",
    403: "This client may not ask here.",
    404: "Check the address and the run id; a run is also forgotten when its log is.",
    409: "Use a new idempotency key for a new question.",
    410: "Ask again.",
}


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers of an answer, and the proxy on its way; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    proxy: str = ""

    @property
    def is_stream(self) -> bool:
        """Whether its body is an event stream."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return self.status == 200 and kind == CONTENT_TYPE


def check_response(head: Head, body: bytes) -> RiverrunError | LostError:
    """Return why this response is no stream."""
    status = head.status
    if status == 204:
        return EndedError("There is nothing left to read: the run has ended.", status=status)
    if status < 300:
        kind = head.headers.get("content-type", "").partition(";")[0][:60] or "nothing"
        return ProtocolError(
            f"The address answers, but with {kind} instead of an event stream.",
            status=status,
            hint="Check the address; behind a proxy, whether it passes streams on.",
        )
    if status < 400:
        return ProtocolError(
            "The address sends elsewhere, and a question is not sent on.",
            code="redirected",
            status=status,
            hint=f"Use the address it names: {head.headers.get('location', '')[:200]}",
        )
    if status == 407:
        return SetupError(
            f"The proxy {head.proxy or 'of this machine'} asks for a login.",
            code="proxy_refused",
            status=status,
            hint="Put the login into HTTP_PROXY and HTTPS_PROXY, or set NO_PROXY for this server.",
        )
    error = _read_error_object(body)
    wait = _parse_retry_after(head.headers)
    known = read_error_fields(error)
    # For a person and for scripts: what the server said, else what its status says.
    known["hint"] = known["hint"] or _HINTS.get(status)
    known["retry_after"] = known["retry_after"] if wait is None else wait
    sentence = error.get("error")
    message = sentence if isinstance(sentence, str) else _describe_status(head)
    if _is_transient(status, error):
        code = known.pop("code") or ("rate_limited" if status == 429 else "overloaded")
        known["retryable"] = True
        given_up = GaveUpError(message, code=code, status=status, raw=error, **known)
        return LostError(message, wait=known["retry_after"], final_error=given_up)
    known["code"] = known["code"] or _CODES.get(status, "refused")
    return RefusedError(message, status=status, raw=error, **known)


_CODES: Mapping[int, str] = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    409: "idempotency_conflict",
    410: "expired",
    500: "internal",
}


def _describe_status(head: Head) -> str:
    # Without our error object it may have been either of them.
    who = f"The proxy {head.proxy}, or the server behind it," if head.proxy else "The server"
    return f"{who} answered {head.status}."


def _is_transient(status: int, error: Mapping[str, Any]) -> bool:
    if error.get("retryable") is False:
        return False  # as a question that costs more than an answer may: 429, today and tomorrow
    if status in _PASSING:
        return True
    # Something in front of the server failed, or the server says itself that it will pass.
    return status >= 500 and ("code" not in error or error.get("retryable") is True)


def _read_error_object(body: bytes) -> Mapping[str, Any]:
    try:
        value = parse_json(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds. The header holds a number of them or a date (RFC 9110, section 10.2.3)."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:10])
    until = _parse_date(text)
    if until is None:
        return None
    # By the server's own clock where it tells the time: this machine's may be wrong.
    now = _parse_date(headers.get("date", ""))
    return max(0.0, until - (time.time() if now is None else now))


def _parse_date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
