"""What the failures of boto3 on its way to a model mean in our words.

boto3's exceptions come in here and none goes out; what they say stays their cause, for the log.
A region, a profile or credentials that are missing are the installation's (`SetupError`).
"""

import re
from typing import Any

from ...errors import RiverrunError, SetupError
from ..provider_errors import FAILURES, chat_error, is_failure

_TOO_LONG = re.compile(
    r"too long|too many (?:input )?tokens|context (?:length|window)|maximum (?:context|input)"
    r"|exceeds? the (?:model|maximum)|input length",
    re.IGNORECASE,
)


class StreamFaultError(Exception):
    """The service ended a stream with an exception of this name; what it said is for the log."""

    def __init__(self, name: str, said: bytes) -> None:
        super().__init__(f"{name}: {said[:500]!r}")
        self.name = name


def told(error: Exception) -> RiverrunError:
    """`error` as the person who asked may be told of it."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
    from botocore.exceptions import ConnectionError as NoConnectionError

    if isinstance(error, RiverrunError):
        return error
    if isinstance(error, StreamFaultError):
        return _named(error.name, str(error))
    if isinstance(error, ClientError):
        return _of_service(error.response)
    if isinstance(error, HTTPClientError | NoConnectionError):
        return chat_error(_of_connection(error))
    if isinstance(error, BotoCoreError):
        return SetupError(
            f"The model cannot be asked: {error} Set AWS_DEFAULT_REGION, and AWS_PROFILE or the "
            "keys of an account that may use it."
        )
    # urllib3's and the socket's own, or a frame that does not add up: the answer broke off.
    return chat_error("provider_timeout" if _is_silence(error) else "provider_truncated")


def _of_connection(error: Exception) -> str:
    from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

    if isinstance(error, ReadTimeoutError | ConnectTimeoutError):
        return "provider_timeout"
    # Nobody answered, or not to the end of the head: nothing was said.
    return "ServiceUnavailableException"


def _is_silence(error: Exception) -> bool:
    from urllib3.exceptions import ReadTimeoutError

    return isinstance(error, ReadTimeoutError | TimeoutError)


def _of_service(response: dict[str, Any]) -> RiverrunError:
    about = response.get("ResponseMetadata", {})
    return _named(
        str(response.get("Error", {}).get("Code", "")),
        str(response.get("Error", {}).get("Message", "")),
        status=about.get("HTTPStatusCode", 0),
        wait=_milliseconds(about.get("HTTPHeaders", {}).get("retry-after")),
    )


def _named(name: str, said: str, *, status: int = 0, wait: int | None = None) -> RiverrunError:
    if name.lower() == "validationexception" and _TOO_LONG.search(said):
        return chat_error("context_too_long")
    if not is_failure(name):
        name = _by_status(status, name)
    return chat_error(name, retry_after_ms=wait)


def _by_status(status: int, name: str) -> str:
    # A gateway in between answers with a status and a name that Bedrock does not have.
    if status == 429 or "throttl" in name.lower():
        return "ThrottlingException"
    if status in (408, 504):
        return "ModelTimeoutException"
    if status >= 500 or name.lower().removesuffix("exception") in _OURS:
        return "ServiceUnavailableException"
    return name


_OURS = frozenset(
    name.lower().removesuffix("exception")
    for name, failure in FAILURES.items()
    if failure.retryable
) | {"internalfailure", "internalserver", "internalservererror", "serviceunavailable"}


def _milliseconds(seconds: str | None) -> int | None:
    try:
        return max(0, round(float(seconds) * 1000)) if seconds else None
    except (ValueError, OverflowError):
        return None  # a date; nobody in a stream waits that long
