"""The errors a model service names, as the codes of the wire contract.

Names are those of the Bedrock Runtime API, which spells one error ``ThrottlingException`` before
a stream and ``throttlingException`` inside it; both are known here. What the service *said*
is not asked for: it may hold model ids, account numbers or the prompt.
"""

from dataclasses import dataclass

from .provider import CHAT_CODES, ChatCode, ChatError


@dataclass(frozen=True, slots=True)
class Failure:
    """What one error name means: its code, and whether the same request may succeed later."""

    code: ChatCode
    retryable: bool


FAILURES: dict[str, Failure] = {
    "ThrottlingException": Failure("provider_throttled", retryable=True),
    "ModelNotReadyException": Failure("provider_error", retryable=True),
    "ServiceUnavailableException": Failure("provider_error", retryable=True),
    "InternalServerException": Failure("provider_error", retryable=True),
    "ModelTimeoutException": Failure("provider_timeout", retryable=True),
    "ModelErrorException": Failure("provider_error", retryable=False),
    "ModelStreamErrorException": Failure("provider_error", retryable=False),
    "ValidationException": Failure("provider_error", retryable=False),
    "AccessDeniedException": Failure("provider_error", retryable=False),
    "ResourceNotFoundException": Failure("provider_error", retryable=False),
    "ServiceQuotaExceededException": Failure("provider_throttled", retryable=False),
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


def known_failures() -> tuple[str, ...]:
    """Every name `chat_error` knows, as one would write it in a script."""
    return (*FAILURES, *CHAT_CODES)


def is_failure(name: str) -> bool:
    """Whether `chat_error` knows `name`."""
    return name in CHAT_CODES or _upper(name) in FAILURES


def chat_error(name: str, *, retry_after_ms: int | None = None) -> ChatError:
    """The `ChatError` for an error name of a model service, or for a code of the contract.

    A name that is not known is a ``provider_error`` not worth retrying: services invent new
    errors, and a guess that asks people to try again does harm.
    """
    for code in CHAT_CODES:
        if name == code:
            return _error(code, None, retry_after_ms)
    failure = FAILURES.get(_upper(name), Failure("provider_error", retryable=False))
    return _error(failure.code, failure.retryable, retry_after_ms)


def _error(code: ChatCode, retryable: bool | None, retry_after_ms: int | None) -> ChatError:
    return ChatError(
        _MESSAGES[code],
        code=code,
        retryable=retryable,
        retry_after_ms=retry_after_ms,
        hint=_ADVICE.get(code),
    )


def _upper(name: str) -> str:
    return name[:1].upper() + name[1:]
