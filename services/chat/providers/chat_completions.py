"""Read a chunk of OpenAI's Chat Completions: its text, its thoughts, its end, its usage.

Endpoints and runtimes that call themselves compatible differ in what they leave out and where
they put the rest, and no chunk has been checked before it comes here. Knows no transport.
"""

from typing import Any, NamedTuple

from ..provider import MAX_TOKENS, ModelUsage

# A router calls an end "stop" that its model service called so.
_FAILED_NATIVELY = frozenset(("error", "network_error", "abort", "insufficient_system_resource"))


# What a chunk, its one choice and its delta may have beside a piece of text and say nothing more.
_PLAIN_CHUNK = frozenset(
    ("id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier",
     "obfuscation", "provider")
)  # fmt: skip
_PLAIN_CHOICE = frozenset(("index", "delta", "finish_reason", "logprobs"))
_PLAIN_DELTA = frozenset(("content", "role"))


class CompletionChunk(NamedTuple):
    """What one chunk says. `finish_reason` is empty where it has none."""

    text: str = ""
    thought: str = ""
    finish_reason: str = ""
    is_refusal: bool = False
    usage: ModelUsage | None = None


def read_plain_text(chunk: dict[str, Any]) -> str:
    """Return the text of `chunk` where it says nothing else, as nearly each does; else "".

    `read_chunk` says the same of it, and takes five times as long, once per token.
    """
    choices = chunk.get("choices")
    if type(choices) is not list or len(choices) != 1 or type(choice := choices[0]) is not dict:
        return ""
    delta = choice.get("delta")
    if type(delta) is not dict or type(text := delta.get("content")) is not str:
        return ""
    if choice.get("finish_reason") is not None or choice.get("index") not in (0, None):
        return ""
    if chunk.get("usage") is not None or not _PLAIN_CHUNK.issuperset(chunk):
        return ""
    is_plain = _PLAIN_CHOICE.issuperset(choice) and _PLAIN_DELTA.issuperset(delta)
    return text if is_plain else ""


def read_chunk(chunk: dict[str, Any]) -> CompletionChunk:
    """Read `chunk`, or a whole completion."""
    choices = chunk.get("choices")
    usage = read_usage(chunk) if "usage" in chunk or "x_groq" in chunk else None
    if not isinstance(choices, list):
        return _read_native(chunk, usage)
    if not choices:
        return CompletionChunk(usage=usage)
    choice = _choose(choices)
    if usage is None and "usage" in choice:
        usage = read_usage(choice)
    delta = as_object(choice.get("delta")) or as_object(choice.get("message")) or choice
    text, thought = _read_content(delta.get("content", delta.get("text")))
    end = _read_end(choice)
    native = choice.get("native_finish_reason")
    if isinstance(native, str) and native.lower() in _FAILED_NATIVELY:
        end = native
    return CompletionChunk(
        text,
        thought or _read_thought(delta),
        end,
        is_refusal=bool(delta.get("refusal")),
        usage=usage,
    )


def read_usage(chunk: dict[str, Any]) -> ModelUsage | None:
    """Return the usage, where the chunk has one that says anything."""
    counted = as_object(chunk.get("usage")) or as_object(
        as_object(chunk.get("x_groq")).get("usage")
    )
    if not counted:
        return None
    read = as_object(counted.get("prompt_tokens_details") or counted.get("input_tokens_details"))
    written = as_object(
        counted.get("completion_tokens_details") or counted.get("output_tokens_details")
    )
    tokens_in = as_count(counted.get("prompt_tokens")) or as_count(counted.get("input_tokens"))
    tokens_out = as_count(counted.get("completion_tokens")) or as_count(
        counted.get("output_tokens")
    )
    reasoning = as_count(written.get("reasoning_tokens")) or as_count(
        counted.get("reasoning_tokens")
    )
    total = as_count(counted.get("total_tokens"))
    if reasoning and total >= tokens_in + tokens_out + reasoning:
        # Some services count thoughts apart from the answer; the total has both.
        tokens_out = total - tokens_in
    if not tokens_in and not tokens_out:
        return None
    return ModelUsage(
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        cost_usd=None,
        cached_tokens=min(
            tokens_in,
            as_count(read.get("cached_tokens"))
            or as_count(counted.get("prompt_cache_hit_tokens"))
            or as_count(counted.get("cached_tokens")),
        ),
        stored_tokens=min(tokens_in, as_count(read.get("cache_write_tokens"))),
        reasoning_tokens=min(tokens_out, reasoning),
    )


def merge_usage(one: ModelUsage | None, other: ModelUsage | None) -> ModelUsage | None:
    """Return the larger of two counts of one call, number by number: none of them ever falls."""
    if one is None or other is None:
        return one or other
    return ModelUsage(
        max(one.input_tokens, other.input_tokens),
        max(one.output_tokens, other.output_tokens),
        other.cost_usd if other.cost_usd is not None else one.cost_usd,
        max(one.cached_tokens, other.cached_tokens),
        max(one.stored_tokens, other.stored_tokens),
        max(one.reasoning_tokens, other.reasoning_tokens),
    )


class SurrogateJoiner:
    """Joins the halves of a character that a service put into two chunks."""

    def __init__(self) -> None:
        self._half = ""

    def feed(self, text: str) -> str:
        """Return `text` in whole characters; half of one waits for the next call."""
        if text.isascii() and not self._half:
            return text
        text = self._half + text
        self._half = ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def finish(self) -> str:
        """Return what stands for a half that stayed alone."""
        half, self._half = self._half, ""
        return "\N{REPLACEMENT CHARACTER}" if half else ""


def as_object(value: object) -> dict[str, Any]:
    """Return `value` where it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _read_end(choice: dict[str, Any]) -> str:
    end = choice.get("finish_reason") or choice.get("finish_details")
    if isinstance(end, dict):
        end = end.get("type")
    # Some gateways write the word for nothing.
    return end if isinstance(end, str) and end.lower() not in ("null", "none") else ""


def _choose(choices: list[Any]) -> dict[str, Any]:
    # One answer was asked for. A service that sends more mixes them; the first is meant.
    for choice in choices:
        if isinstance(choice, dict) and choice.get("index") in (0, None):
            return choice
    return {}


def _read_content(content: object) -> tuple[str, str]:
    """Return text and thought of a content, which may be a list of parts."""
    if isinstance(content, str):
        return content, ""
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        return "", ""
    text, thought = "", ""
    for part in content:
        if isinstance(part, str):
            text += part
            continue
        part = as_object(part)  # noqa: PLW2901 - the same part, as what it should be
        kind = str(part.get("type", "text"))
        if "think" in kind or "reason" in kind:
            thought += _flatten(part)
        elif isinstance(said := part.get("text"), str) and "text" in kind:
            text += said
    return text, thought


def _read_thought(delta: dict[str, Any]) -> str:
    for key in ("reasoning_content", "reasoning", "thinking", "reasoning_text", "thinking_content"):
        if key in delta and (said := _flatten(delta[key])):
            return said
    return _flatten(delta["reasoning_details"]) if "reasoning_details" in delta else ""


def _flatten(value: object, depth: int = 0) -> str:
    """Return all text of a thought, however deep its parts are."""
    if isinstance(value, str):
        return value
    if depth > 4:
        return ""
    if isinstance(value, list):
        return "".join(_flatten(item, depth + 1) for item in value)
    if isinstance(value, dict):
        for key in ("text", "thinking", "summary", "content", "reasoning"):
            if said := _flatten(value.get(key), depth + 1):
                return said
    return ""


def _read_native(chunk: dict[str, Any], usage: ModelUsage | None) -> CompletionChunk:
    # Ollama's own protocol, line by line.
    message = as_object(chunk.get("message"))
    if not message and not chunk.get("done"):
        return CompletionChunk(usage=usage)
    text, thought = _read_content(message.get("content"))
    end = str(chunk.get("done_reason") or "stop") if chunk.get("done") is True else ""
    counted = {
        "prompt_tokens": chunk.get("prompt_eval_count"),
        "completion_tokens": chunk.get("eval_count"),
    }
    return CompletionChunk(
        text, thought or _read_thought(message), end, usage=read_usage({"usage": counted})
    )


def as_count(value: object) -> int:
    """Return a number of tokens; 0 for what cannot be one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if 0 < value <= MAX_TOKENS else 0
