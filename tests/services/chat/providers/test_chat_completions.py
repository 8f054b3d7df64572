"""The short way through a chunk says what the whole way says."""

from collections.abc import Iterator
from typing import Any

import pytest

from fakes import openai as fake
from services.chat.providers.chat_completions import CompletionChunk, read_chunk, read_plain_text
from services.chat.providers.error_bodies import find_error
from services.json_input import parse_json

VALUES: tuple[Any, ...] = (
    None, True, 0, 1, "", "null", "stop", "error", [], {}, ["text"], {"text": "t"},
    {"message": "m"}, {"prompt_tokens": 2}, {"usage": {"prompt_tokens": 2}}, {"status_code": 1},
    {"content": "c"}, [{"type": "text", "text": "t"}],
)  # fmt: skip
NAMES = (
    "base_resp", "choices", "code", "content", "delta", "detail", "error", "errors",
    "finish_details", "finish_reason", "id", "index", "logprobs", "message", "model",
    "native_finish_reason", "object", "provider", "reasoning", "reasoning_content",
    "reasoning_details", "refusal", "role", "success", "text", "thinking", "type", "usage",
    "x_groq",
)  # fmt: skip


def list_changed() -> Iterator[dict[str, Any]]:
    """The chunk of a token, each time with one part of it, or one more, as something else."""
    for name in NAMES:
        for value in VALUES:
            for place in ("chunk", "choice", "delta", "second"):
                delta: dict[str, Any] = {"content": "word"}
                choice: dict[str, Any] = {"index": 0, "delta": delta, "finish_reason": None}
                chunk: dict[str, Any] = {"object": "chat.completion.chunk", "choices": [choice]}
                if place == "second":
                    chunk["choices"].append({"index": 1, name: value})
                else:
                    {"chunk": chunk, "choice": choice, "delta": delta}[place][name] = value
                yield chunk


def test_what_is_read_as_plain_text_says_nothing_else() -> None:
    """No error, end, thought or count is ever passed over."""
    plain = 0
    for chunk in list_changed():
        if text := read_plain_text(chunk):
            plain += 1
            assert read_chunk(chunk) == CompletionChunk(text), chunk
            assert find_error(chunk) is None, chunk
    assert plain


@pytest.mark.parametrize(
    "more", [{}, {"usage": None}, {"system_fingerprint": "f", "service_tier": "default"}]
)
def test_the_chunk_of_a_token_is_read_the_short_way(more: dict[str, Any]) -> None:
    """As OpenAI, vLLM and Ollama send it."""
    chunk = parse_json(fake.chunk({"content": "word "}, **more).removeprefix(b"data: "))
    assert read_plain_text(chunk) == "word "
    assert not read_plain_text({**chunk, "error": {"message": "m"}})
