"""Translate the errors of model services into the codes of the contract.

One classifier for all of them: first the name that a service gives its error, then what its text
says, then the HTTP status. Names are those of the Bedrock Runtime API, which spells one error
``ThrottlingException`` before a stream and ``throttlingException`` inside it, and those of
OpenAI's API and of services that resemble it. The text of the service is not passed on to the
reader: it may hold model ids, account numbers or the prompt.
"""

import re
from dataclasses import dataclass

from .provider import CHAT_CODES, ChatCode, ChatError
from .service_error import ServiceError


@dataclass(frozen=True, slots=True)
class ErrorMeaning:
    """The meaning of one error name: its code, and whether the same request may succeed later."""

    code: ChatCode
    retryable: bool


_THROTTLED = ErrorMeaning("provider_throttled", retryable=True)
_NO_QUOTA = ErrorMeaning("provider_throttled", retryable=False)
_UNAVAILABLE = ErrorMeaning("provider_error", retryable=True)
_FAILED = ErrorMeaning("provider_error", retryable=False)
_TIMEOUT = ErrorMeaning("provider_timeout", retryable=True)
_TOO_LONG = ErrorMeaning("context_too_long", retryable=False)
_FILTERED = ErrorMeaning("content_filtered", retryable=False)

ERROR_MEANINGS: dict[str, ErrorMeaning] = {
    "ThrottlingException": _THROTTLED,
    "ModelNotReadyException": _UNAVAILABLE,
    "ServiceUnavailableException": _UNAVAILABLE,
    "InternalServerException": _UNAVAILABLE,
    "ModelTimeoutException": _TIMEOUT,
    "ModelErrorException": _FAILED,
    "ModelStreamErrorException": _FAILED,
    "ValidationException": _FAILED,
    "AccessDeniedException": _FAILED,
    "ResourceNotFoundException": _FAILED,
    "ServiceQuotaExceededException": _NO_QUOTA,
}
"""The errors of Bedrock by name, which a script may name too."""

# Other names, without regard to case or punctuation. What is not here is read by its text.
_OTHER_NAMES: dict[str, ErrorMeaning] = {
    "ratelimitexceeded": _THROTTLED,
    "ratelimiterror": _THROTTLED,
    "ratelimitreached": _THROTTLED,
    "ratelimit": _THROTTLED,
    "toomanyrequests": _THROTTLED,
    "resourceexhausted": _THROTTLED,
    "engineoverloaded": _THROTTLED,
    "overloadederror": _THROTTLED,
    "overloaded": _THROTTLED,
    "slowdown": _THROTTLED,
    "insufficientquota": _NO_QUOTA,
    "insufficientbalance": _NO_QUOTA,
    "quotaexceeded": _NO_QUOTA,
    "billinghardlimitreached": _NO_QUOTA,
    "contextlengthexceeded": _TOO_LONG,
    "contextwindowexceeded": _TOO_LONG,
    "exceedcontextsizeerror": _TOO_LONG,
    "stringabovemaxlength": _TOO_LONG,
    "requesttoolarge": _TOO_LONG,
    "contentfilter": _FILTERED,
    "contentpolicyviolation": _FILTERED,
    "responsibleaipolicyviolation": _FILTERED,
    "datainspectionfailed": _FILTERED,
    "servererror": _UNAVAILABLE,
    "internalservererror": _UNAVAILABLE,
    "internalerror": _UNAVAILABLE,
    "internalfailure": _UNAVAILABLE,
    "internalserver": _UNAVAILABLE,
    "serviceunavailable": _UNAVAILABLE,
    "unavailable": _UNAVAILABLE,
    "timeout": _TIMEOUT,
    "timeouterror": _TIMEOUT,
    "deadlineexceeded": _TIMEOUT,
}

# A limit on the answer is a setting, not the question's length: see `request_changes`.
_ANSWER_LIMIT = re.compile(
    r"max(?:imum)?[_ ]?(?:new|completion|output)?[_ ]?tokens?\b.{0,80}?"
    r"(?:too large|exceeds?|at most|must be|less than|greater than|larger than)"
    r"|maximum tokens you requested exceeds",
    re.IGNORECASE | re.DOTALL,
)
# What services say of a question that is too long; nothing else about length is in here.
_QUESTION_TOO_LONG = re.compile(
    r"(?:input|prompt|request|messages?|context)\b.{0,60}?\btoo (?:long|large)"
    r"|too many (?:input |total )?tokens\b(?!.{0,40}per (?:minute|day|hour))"
    r"|(?:maximum|max)\s+context|context (?:length|window|size|limit)|n_ctx\b"
    r"|(?:input|prompt|token count|tokens?|length)\b.{0,60}?\bexceeds? (?:the )?"
    r"(?:model|maximum|max|context|available|limit)"
    r"|maximum (?:input|prompt|allowed (?:input|number of input)) (?:length|tokens)"
    r"|input length|reduce the length|please reduce (?:your|the) (?:prompt|input|messages)"
    r"|input (?:or output )?tokens must be reduced|prompt (?:length|tokens?) exceed",
    re.IGNORECASE | re.DOTALL,
)
_TEXTS: tuple[tuple[re.Pattern[str], ErrorMeaning], ...] = (
    (
        re.compile(
            r"insufficient (?:quota|balance|credits?|funds)|exceeded your current quota|billing"
            r"|credit balance|requires more credits|payment required|out of credits|arrears",
            re.IGNORECASE,
        ),
        _NO_QUOTA,
    ),
    (
        re.compile(
            r"content (?:management|usage )?polic|content[_ ]?filter|safety (?:system|filter|sett)"
            r"|flagged (?:as|by|for)|inappropriate content|sensitive (?:content|information|words)"
            r"|prohibited content|guardrail",
            re.IGNORECASE,
        ),
        _FILTERED,
    ),
    (
        re.compile(
            r"rate[- _]?limit|too many (?:concurrent )?requests|throttl|per (?:minute|second)\b"
            r"|over(?:loaded| capacity)|no capacity|at capacity|server (?:is )?busy|engine is busy"
            r"|try again (?:later|in \d)|queue (?:is )?full|high demand",
            re.IGNORECASE,
        ),
        _THROTTLED,
    ),
    (re.compile(r"\btimed? ?out\b|deadline exceeded", re.IGNORECASE), _TIMEOUT),
)

_STATUSES = {
    402: _NO_QUOTA,
    408: _TIMEOUT,
    413: _TOO_LONG,
    425: _UNAVAILABLE,
    429: _THROTTLED,
    504: _TIMEOUT,
    524: _TIMEOUT,
    529: _THROTTLED,
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


def find_meaning(error: ServiceError) -> ErrorMeaning:
    """Return the meaning of what a service reported: by name, then by text, then by status.

    An error that says nothing is a ``provider_error``, worth retrying only from status 500 on:
    services invent new errors, and a guess that asks people to try again does harm.
    """
    named = _find_by_name(error.name)
    if named in _FINAL:
        return named
    if error.status < 500 and is_question_too_long(error.text):
        return _TOO_LONG
    # Some names say no more than that it failed.
    is_vague = named == _UNAVAILABLE and not error.name.lower().endswith("exception")
    if named is None or named == _FAILED or is_vague:
        return _read_text(error) or _STATUSES.get(error.status) or named or _guess(error.status)
    return named


def _read_text(error: ServiceError) -> ErrorMeaning | None:
    # In a validation error words such as "timeout" are the names of parameters.
    is_validation = error.status in (400, 422)
    for pattern, meaning in _TEXTS:
        if (meaning in _FINAL or not is_validation) and pattern.search(error.text):
            return meaning
    return None


def _guess(status: int) -> ErrorMeaning:
    return _UNAVAILABLE if status >= 500 else _FAILED


_FINAL = (_NO_QUOTA, _FILTERED, _TOO_LONG)


def is_question_too_long(text: str) -> bool:
    """Return whether the text of an error says that the question does not fit."""
    if _ANSWER_LIMIT.search(text) and not re.search(r"context", text, re.IGNORECASE):
        return False
    return bool(_QUESTION_TOO_LONG.search(text))


def is_answer_limit(text: str) -> bool:
    """Return whether the text of an error says that the limit on the answer is too high."""
    return bool(_ANSWER_LIMIT.search(text))


def list_error_names() -> tuple[str, ...]:
    """List every name `make_chat_error` knows, as a script writes it."""
    return (*ERROR_MEANINGS, *CHAT_CODES)


def is_error_name(name: str) -> bool:
    """Return whether `make_chat_error` knows `name`."""
    return name in CHAT_CODES or _capitalize(name) in ERROR_MEANINGS


def make_chat_error(name: str, *, retry_after_ms: int | None = None) -> ChatError:
    """Make the `ChatError` for an error name of a model service, or for a code of the contract.

    A name that is not known is a ``provider_error`` not worth retrying.
    """
    for code in CHAT_CODES:
        if name == code:
            return _build_error(code, None, retry_after_ms)
    return _translate(_find_by_name(name) or _FAILED, retry_after_ms)


def translate_service_error(error: ServiceError) -> ChatError:
    """Make the `ChatError` for what a service reported; `error` is its cause."""
    made = _translate(find_meaning(error), error.retry_after_ms)
    made.__cause__ = error
    return made


def _translate(meaning: ErrorMeaning, retry_after_ms: int | None) -> ChatError:
    return _build_error(meaning.code, meaning.retryable, retry_after_ms)


def _find_by_name(name: str) -> ErrorMeaning | None:
    known = ERROR_MEANINGS.get(_capitalize(name))
    if known is not None:
        return known
    plain = re.sub(r"[^a-z]", "", name.lower())
    return _OTHER_NAMES.get(plain) or _OTHER_NAMES.get(plain.removesuffix("exception"))


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
