"""Translate boto3's exceptions into ours.

The exception stays the cause of the error, for the logger. A missing region, profile or
credentials are a `SetupError`.
"""

from collections.abc import Mapping
from typing import Any

from ...errors import RiverrunError, SetupError
from ...json_input import parse_json
from ..provider_errors import make_chat_error, translate_service_error
from ..service_error import ServiceError
from .error_bodies import find_error, read_retry_after
from .event_stream import OversizeError


def translate_error(error: Exception) -> RiverrunError:
    """Translate `error` into the error that the person who asked may see."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
    from botocore.exceptions import ConnectionError as NoConnectionError

    if isinstance(error, RiverrunError):
        return error
    if isinstance(error, ServiceError):
        return translate_service_error(error)
    if isinstance(error, ClientError):
        return translate_service_error(read_client_error(error))
    if isinstance(error, HTTPClientError | NoConnectionError):
        return make_chat_error(_name_connection_error(error))
    if isinstance(error, BotoCoreError):
        return SetupError(
            f"The model cannot be asked: {error} Set AWS_DEFAULT_REGION, and AWS_PROFILE or the "
            "keys of an account that may use it."
        )
    # urllib3's and the socket's own, or a damaged frame: the answer broke off.
    return make_chat_error(_name_break(error))


def read_client_error(error: Any) -> ServiceError:
    """Read the refusal of a request: botocore's ``ClientError``."""
    about = error.response.get("ResponseMetadata", {})
    said = error.response.get("Error", {})
    return ServiceError(
        status=about.get("HTTPStatusCode", 0),
        name=str(said.get("Code", "")),
        text=str(said.get("Message", "")),
        retry_after_ms=read_retry_after(about.get("HTTPHeaders", {})),
    )


def read_stream_error(headers: Mapping[str, Any], payload: bytes) -> ServiceError:
    """Read the frame that ends a stream with an exception or an error."""
    name = str(headers.get(":exception-type") or headers.get(":error-code") or "")
    text = str(headers.get(":error-message") or "")
    try:
        value = parse_json(payload) if payload else None
    except ValueError:
        value = None
    found = find_error(value) if isinstance(value, dict) else None
    if found is not None:
        text = found.text
    status = value.get("originalStatusCode") if isinstance(value, dict) else None
    return ServiceError(
        name=name or (found.name if found is not None else ""),
        text=text,
        status=status if isinstance(status, int) else 0,
    )


def _name_connection_error(error: Exception) -> str:
    from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

    if isinstance(error, ReadTimeoutError | ConnectTimeoutError):
        return "provider_timeout"
    # No answer, or not a whole head of one: the model produced no text.
    return "ServiceUnavailableException"


def _name_break(error: Exception) -> str:
    from urllib3.exceptions import ReadTimeoutError

    if isinstance(error, OversizeError):
        return "provider_error"
    is_timeout = isinstance(error, ReadTimeoutError | TimeoutError)
    return "provider_timeout" if is_timeout else "provider_truncated"
