"""A fake of every OpenAI-compatible endpoint: chat completions as server-sent events.

    python -m fakes.openai --port 9002

answers every question from the passages of its prompt. Tests script it chunk by chunk instead.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fakes.answers import answer_to, words
from fakes.command import run
from fakes.embeddings import answer_embeddings
from fakes.steps import Call, Fake, Refusal, Reply, Step, Stream, run_server

CONTENT_TYPE = "text/event-stream; charset=utf-8"

DONE = b"data: [DONE]\n\n"


def data(value: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _completion(**more: Any) -> dict[str, Any]:
    head = {"id": "chatcmpl-0", "object": "chat.completion.chunk", "created": 0, "model": "fake"}
    return {**head, **more}


def chunk(delta: Mapping[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    """A chunk of a completion with one choice."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish, "logprobs": None}
    return data(_completion(choices=[choice], **more))


def text(piece: str) -> bytes:
    """A piece of the answer."""
    return chunk({"content": piece})


def thought_text(piece: str) -> bytes:
    """A piece of what the model thinks."""
    return chunk({"reasoning_content": piece})


START = chunk({"role": "assistant", "content": ""})


def stop(reason: str = "stop") -> bytes:
    """The chunk that says how it ended."""
    return chunk(finish=reason)


def usage(tokens_in: int = 10, tokens_out: int = 3, cached: int = 0) -> bytes:
    """The last chunk, without a choice, when usage was asked for."""
    counted = {
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "total_tokens": tokens_in + tokens_out,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    return data(_completion(choices=[], usage=counted))


def error(message: str = "sk-secret", **more: Any) -> bytes:
    """An error object in the middle of a stream."""
    return data({"error": {"message": message, "type": "server_error", **more}})


def stream(*steps: Step) -> Stream:
    """A reply of these steps and nothing else."""
    return Stream(CONTENT_TYPE, steps, {"x-request-id": "req_0"})


def whole(*pieces: str, reason: str = "stop") -> Stream:
    """A reply that says these pieces, ends for that reason and counts them."""
    said = [text(piece) for piece in pieces]
    return stream(START, *said, stop(reason), usage(10, len(pieces)), DONE)


def refusal(
    status: int, code: str | None = None, message: str = "sk-secret", **headers: str
) -> Refusal:
    """An error before the stream. Header names are written with underscores."""
    body = {"error": {"message": message, "type": "error", "code": code, "param": None}}
    return Refusal(status, body, {name.replace("_", "-"): v for name, v in headers.items()})


def model_of(call: Call) -> str:
    """The model that a call asks."""
    return str(call.body["model"])


def question_of(call: Call) -> str:
    """The text of the last message of a call."""
    return str(call.body["messages"][-1]["content"])


def answering(call: Call) -> Reply:
    """Answer from the prompt's own passages, a word at a time, as the command does."""
    if call.path.endswith("/embeddings"):
        return answer_embeddings(call.body)
    if not call.path.endswith("/chat/completions"):
        return refusal(404)
    pieces = words(answer_to(question_of(call)))
    steps: list[Step] = []
    for piece in pieces:
        steps += [text(piece), 0.01]
    counted = usage(len(json.dumps(call.body)) // 4, len(pieces))
    return stream(START, *steps, stop(), counted, DONE)


@contextmanager
def openai(port: int = 0) -> Iterator[Fake]:
    """A fake for as long as the block lasts. Its base URL is ``fake.url + "/v1"``."""
    with run_server(answering, port) as fake:
        yield fake


if __name__ == "__main__":
    run("OpenAI", "OPENAI_BASE_URL={url}/v1", openai)
