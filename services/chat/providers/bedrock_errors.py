"""Translate boto3's exceptions into ours.

The exception stays the cause of the error, for the logger. A missing region, profile or
credentials are a `SetupError`.
"""

import re
from typing import Any

from ...errors import RiverrunError, SetupError
from ..provider_errors import ERROR_MEANINGS, is_error_name, make_chat_error

_TOO_LONG = re.compile(
    r"too long|too many (?:input )?tokens|context (?:length|window)|maximum (?:context|input)"
    r"|exceeds? the (?:model|maximum)|input length",
    re.IGNORECASE,
)


class StreamFaultError(Exception):
    """The service ended a stream with an exception of this name; its text is for the logger."""

    def __init__(self, name: str, said: bytes) -> None:
        super().__init__(f"{name}: {said[:500]!r}")
        self.name = name


def translate_error(error: Exception) -> RiverrunError:
    """Translate `error` into the error that the person who asked may see."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
    from botocore.exceptions import ConnectionError as NoConnectionError

    if isinstance(error, RiverrunError):
        return error
    if isinstance(error, StreamFaultError):
        return _translate_name(error.name, str(error))
    if isinstance(error, ClientError):
        return _translate_service_error(error.response)
    if isinstance(error, HTTPClientError | NoConnectionError):
        return make_chat_error(_name_connection_error(error))
    if isinstance(error, BotoCoreError):
        return SetupError(
            f"The model cannot be asked: {error} Set AWS_DEFAULT_REGION, and AWS_PROFILE or the "
            "keys of an account that may use it."
        )
    # urllib3's and the socket's own, or a damaged frame: the answer broke off.
    return make_chat_error("provider_timeout" if _is_timeout(error) else "provider_truncated")


def _name_connection_error(error: Exception) -> str:
    from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

    if isinstance(error, ReadTimeoutError | ConnectTimeoutError):
        return "provider_timeout"
    # No answer, or not a whole head of one: the model produced no text.
    return "ServiceUnavailableException"


def _is_timeout(error: Exception) -> bool:
    from urllib3.exceptions import ReadTimeoutError

    return isinstance(error, ReadTimeoutError | TimeoutError)


def _translate_service_error(response: dict[str, Any]) -> RiverrunError:
    about = response.get("ResponseMetadata", {})
    return _translate_name(
        str(response.get("Error", {}).get("Code", "")),
        str(response.get("Error", {}).get("Message", "")),
        status=about.get("HTTPStatusCode", 0),
        wait=_parse_milliseconds(about.get("HTTPHeaders", {}).get("retry-after")),
    )


def _translate_name(
    name: str, said: str, *, status: int = 0, wait: int | None = None
) -> RiverrunError:
    if name.lower() == "validationexception" and _TOO_LONG.search(said):
        return make_chat_error("context_too_long")
    if not is_error_name(name):
        name = _name_by_status(status, name)
    return make_chat_error(name, retry_after_ms=wait)


def _name_by_status(status: int, name: str) -> str:
    # A gateway in between answers with a status and a name that Bedrock does not have.
    if status == 429 or "throttl" in name.lower():
        return "ThrottlingException"
    if status in (408, 504):
        return "ModelTimeoutException"
    if status >= 500 or name.lower().removesuffix("exception") in _RETRYABLE_NAMES:
        return "ServiceUnavailableException"
    return name


_RETRYABLE_NAMES = frozenset(
    name.lower().removesuffix("exception")
    for name, failure in ERROR_MEANINGS.items()
    if failure.retryable
) | {"internalfailure", "internalserver", "internalservererror", "serviceunavailable"}


def _parse_milliseconds(seconds: str | None) -> int | None:
    try:
        return max(0, round(float(seconds) * 1000)) if seconds else None
    except (ValueError, OverflowError):
        return None  # a date: longer than a stream can wait
