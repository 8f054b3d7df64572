"""Translate a model's stop reason into a `Stop`, or into the error that it is.

One table for all services, which spell the same ends in many ways. Only a short list of words
means that an answer is whole; an unknown word is an error, so that half an answer is never taken
for a whole one.
"""

import re

from .provider import ChatError, Piece, Stop, StopReason
from .provider_errors import make_chat_error
from .service_error import ServiceError

_GOOD: dict[str, StopReason] = {
    **dict.fromkeys(
        ("stop", "endturn", "stopsequence", "eos", "eostoken", "endoftext", "end", "complete",
         "completed", "finish", "finished", "done", "success"),
        "stop",
    ),
    **dict.fromkeys(
        ("length", "maxtokens", "maxtoken", "maxlength", "maxoutputtokens", "maxnewtokens",
         "maxcompletiontokens", "modellength", "tokenlimit", "incomplete"),
        "length",
    ),
}  # fmt: skip

# What `make_chat_error` is asked for. The others are a ``provider_error`` not worth retrying.
_BAD: dict[str, str] = {
    **dict.fromkeys(
        ("contentfilter", "contentfiltered", "guardrailintervened", "safety", "sensitive",
         "recitation", "blocklist", "prohibitedcontent", "spii", "imagesafety", "refusal",
         "refused", "moderation", "errortoxic", "riskcontrol", "contentmoderation", "flagged"),
        "content_filtered",
    ),
    **dict.fromkeys(
        ("error", "networkerror", "insufficientsystemresource", "servererror", "internalerror",
         "upstreamerror", "engineerror", "serviceunavailable", "overloaded"),
        "ServiceUnavailableException",
    ),
    **dict.fromkeys(
        ("abort", "aborted", "cancelled", "canceled", "interrupted", "disconnect", "pauseturn"),
        "provider_truncated",
    ),
    **dict.fromkeys(("timeout", "timedout", "deadlineexceeded"), "provider_timeout"),
    **dict.fromkeys(("ratelimit", "throttled"), "ThrottlingException"),
    **dict.fromkeys(
        ("modelcontextwindowexceeded", "contextlengthexceeded", "contextwindowexceeded",
         "contextlength", "errorlimit"),
        "context_too_long",
    ),
}  # fmt: skip

# No tool was offered: a message that waits for one will never be whole.
_TOOLS = frozenset(
    ("toolcalls", "tooluse", "functioncall", "malformedfunctioncall", "malformedtooluse")
)


def end_answer(word: str, *, has_text: bool = True) -> list[Piece]:
    """Return the last pieces of an answer that ended with `word`; "" is none at all.

    Where the context window was full but there `has_text`, the answer is cut, not wrong. Raises
    `ChatError` for every end that is not known to be good.
    """
    if not word.strip():
        raise make_chat_error("provider_truncated")
    plain = re.sub(r"[^a-z]", "", word.lower()).removeprefix("finishreason")
    reason = _GOOD.get(plain)
    name = _BAD.get(plain, "")
    if name == "context_too_long" and has_text:
        reason = "length"
    if reason is not None:
        return [Stop(reason)]
    raise _make_error(word, name, is_tool=plain in _TOOLS)


def _make_error(word: str, name: str, *, is_tool: bool) -> ChatError:
    error = make_chat_error(name or "provider_error")
    if not name:
        error.hint = "Ask again, or ask another model; the log of the service has the reason."
        error.retryable = False
    said = "it asks for a tool, and none was offered" if is_tool else "the model stopped for it"
    error.__cause__ = ServiceError(name=f"stop reason {word[:80]!r}", text=said)
    return error
