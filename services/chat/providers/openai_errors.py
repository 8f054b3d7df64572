"""Translate the exceptions of a call to an OpenAI-compatible endpoint into ours.

The exception stays the cause of the error, for the logger.
"""

from ...errors import RiverrunError
from ..provider_errors import make_chat_error, translate_service_error
from ..service_error import ServiceError
from .event_stream import OversizeError


def translate_error(error: Exception) -> RiverrunError:
    """Translate `error` into the error that the person who asked may see."""
    import httpx2

    if isinstance(error, RiverrunError):
        return error
    if isinstance(error, ServiceError):
        return translate_service_error(error)
    if isinstance(error, TimeoutError | httpx2.TimeoutException):
        return make_chat_error("provider_timeout")
    if isinstance(error, httpx2.ConnectError | httpx2.ProxyError):
        # No answer: the model produced no text.
        return make_chat_error("ServiceUnavailableException")
    if isinstance(error, OversizeError):
        return make_chat_error("provider_error")
    # A chunk that is no JSON, or a connection that broke.
    return make_chat_error("provider_truncated")
