"""Read a chunk of OpenAI's Chat Completions: its text, its end, its usage.

Endpoints and runtimes that call themselves compatible differ in what they leave out, and
no chunk has been checked before it comes here. Knows no transport.
"""

from typing import Any

from ..provider import Usage
from ..stop_reasons import StopReasonTable

STOP_REASONS: StopReasonTable = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filtered",
    # No tool was offered: a message that waits for one will never be whole.
    "tool_calls": "provider_error",
    "function_call": "provider_error",
}
"""The end of a choice, by ``finish_reason``."""


def read_choice(chunk: dict[str, Any]) -> tuple[str, bool, str]:
    """Return the text of a chunk, whether it is a refusal, and its ``finish_reason``."""
    choices = chunk.get("choices")
    choice = as_object(choices[0]) if isinstance(choices, list) and choices else {}
    delta = as_object(choice.get("delta"))
    text, end = delta.get("content"), choice.get("finish_reason")
    return (
        text if isinstance(text, str) else "",
        bool(delta.get("refusal")),
        end if isinstance(end, str) else "",
    )


def read_usage(chunk: dict[str, Any]) -> Usage | None:
    """Return the usage, where the chunk has one."""
    if not (counted := as_object(chunk.get("usage"))):
        return None
    details = as_object(counted.get("prompt_tokens_details"))
    return Usage(
        input_tokens=_as_count(counted.get("prompt_tokens")),
        output_tokens=_as_count(counted.get("completion_tokens")),
        cost_usd=None,
        cached_tokens=_as_count(details.get("cached_tokens")),
    )


def as_object(value: object) -> dict[str, Any]:
    """Return `value` where it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _as_count(value: object) -> int:
    return value if isinstance(value, int) else 0
