"""What a chunk of OpenAI's Chat Completions says: text, an end, what it took.

Endpoints and runtimes that call themselves compatible differ in what they leave out, and
nothing has checked a chunk before it comes here. Knows no transport.
"""

from typing import Any

from ..provider import Usage
from ..stop_reasons import Ends

ENDS: Ends = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filtered",
    # No tool was offered: a message that waits for one will never be whole.
    "tool_calls": "provider_error",
    "function_call": "provider_error",
}
"""How a choice ends, by ``finish_reason``."""


def said_in(chunk: dict[str, Any]) -> tuple[str, bool, str]:
    """The text of a chunk, whether it is of a refusal, and its ``finish_reason``."""
    choices = chunk.get("choices")
    choice = object_of(choices[0]) if isinstance(choices, list) and choices else {}
    delta = object_of(choice.get("delta"))
    text, end = delta.get("content"), choice.get("finish_reason")
    return (
        text if isinstance(text, str) else "",
        bool(delta.get("refusal")),
        end if isinstance(end, str) else "",
    )


def usage_in(chunk: dict[str, Any]) -> Usage | None:
    """What the answer took, where the chunk says so."""
    if not (counted := object_of(chunk.get("usage"))):
        return None
    details = object_of(counted.get("prompt_tokens_details"))
    return Usage(
        input_tokens=_number(counted.get("prompt_tokens")),
        output_tokens=_number(counted.get("completion_tokens")),
        cost_usd=None,
        cached_tokens=_number(details.get("cached_tokens")),
    )


def object_of(value: object) -> dict[str, Any]:
    """`value` where it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
