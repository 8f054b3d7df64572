"""Translate the error names of model services into the codes of the contract.

Names are those of the Bedrock Runtime API, which spells one error ``ThrottlingException`` before
a stream and ``throttlingException`` inside it; both are known here. The message of the
service is not passed on: it may hold model ids, account numbers or the prompt.
"""

from dataclasses import dataclass

from .provider import CHAT_CODES, ChatCode, ChatError


@dataclass(frozen=True, slots=True)
class ErrorMeaning:
    """The meaning of one error name: its code, and whether the same request may succeed later."""

    code: ChatCode
    retryable: bool


ERROR_MEANINGS: dict[str, ErrorMeaning] = {
    "ThrottlingException": ErrorMeaning("provider_throttled", retryable=True),
    "ModelNotReadyException": ErrorMeaning("provider_error", retryable=True),
    "ServiceUnavailableException": ErrorMeaning("provider_error", retryable=True),
    "InternalServerException": ErrorMeaning("provider_error", retryable=True),
    "ModelTimeoutException": ErrorMeaning("provider_timeout", retryable=True),
    "ModelErrorException": ErrorMeaning("provider_error", retryable=False),
    "ModelStreamErrorException": ErrorMeaning("provider_error", retryable=False),
    "ValidationException": ErrorMeaning("provider_error", retryable=False),
    "AccessDeniedException": ErrorMeaning("provider_error", retryable=False),
    "ResourceNotFoundException": ErrorMeaning("provider_error", retryable=False),
    "ServiceQuotaExceededException": ErrorMeaning("provider_throttled", retryable=False),
}

_MESSAGES: dict[ChatCode, str] = {
    "provider_throttled": "The model service is taking no more requests just now.",
    "provider_error": "The answer could not be written: the model service failed.",
    "provider_timeout": "The model took too long to answer.",
    "provider_truncated": "The answer broke off before its end.",
    "content_filtered": "The model service's content rules refused this answer.",
    "context_too_long": "The question and its passages are too long for the model.",
}

_ADVICE: dict[ChatCode, str] = {
    "provider_throttled": "Wait a moment, then ask again.",
    "provider_timeout": "Ask again, or ask for less at once.",
    "provider_truncated": "Ask again; what arrived so far may be incomplete.",
    "content_filtered": "Put the question another way.",
    "context_too_long": "Shorten the question, lower top_k, or start a new conversation.",
}


def list_error_names() -> tuple[str, ...]:
    """List every name `make_chat_error` knows, as a script writes it."""
    return (*ERROR_MEANINGS, *CHAT_CODES)


def is_error_name(name: str) -> bool:
    """Return whether `make_chat_error` knows `name`."""
    return name in CHAT_CODES or _capitalize(name) in ERROR_MEANINGS


def make_chat_error(name: str, *, retry_after_ms: int | None = None) -> ChatError:
    """Make the `ChatError` for an error name of a model service, or for a code of the contract.

    A name that is not known is a ``provider_error`` not worth retrying: services invent new
    errors, and a guess that asks people to try again does harm.
    """
    for code in CHAT_CODES:
        if name == code:
            return _build_error(code, None, retry_after_ms)
    failure = ERROR_MEANINGS.get(_capitalize(name), ErrorMeaning("provider_error", retryable=False))
    return _build_error(failure.code, failure.retryable, retry_after_ms)


def _build_error(code: ChatCode, retryable: bool | None, retry_after_ms: int | None) -> ChatError:
    return ChatError(
        _MESSAGES[code],
        code=code,
        retryable=retryable,
        retry_after_ms=retry_after_ms,
        hint=_ADVICE.get(code),
    )


def _capitalize(name: str) -> str:
    return name[:1].upper() + name[1:]
