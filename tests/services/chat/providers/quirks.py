"""What services that call themselves compatible with OpenAI sent, byte for byte, and what it is.

Each case names the public report it was made after. `text` is what a reader sees of the answer,
`code` the contract's code, empty for a whole answer; `calls` are the calls that one question costs
when the model is tried as often as the retry rules say.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fakes.steps import Call, Refusal, Reply, Step, Stream

SSE = "text/event-stream; charset=utf-8"
Answer = Callable[[Call], Reply]


@dataclass(frozen=True, kw_only=True)
class Quirk:
    """One case. `log` is a part of what the logger has, `usage` tokens in, out and thought."""

    name: str
    source: str
    reply: Reply | Answer
    text: str = "Half an answer."
    code: str = ""
    reason: str = "stop"
    calls: int = 1
    log: str = ""
    usage: tuple[int, int, int] | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def answer(self, call: Call) -> Reply:
        """Reply to `call`."""
        return self.reply(call) if callable(self.reply) else self.reply


def lines(*values: object) -> bytes:
    """Server-sent events of these values: text as it is, anything else as JSON."""
    return b"".join(
        b"data: "
        + (value.encode() if isinstance(value, str) else json.dumps(value).encode())
        + b"\n\n"
        for value in values
    )


def delta(content: object = None, finish: object = None, **more: object) -> dict[str, object]:
    """A chunk with one choice."""
    part = {**({} if content is None else {"content": content}), **more}
    return {"object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": part, "finish_reason": finish}]}  # fmt: skip


def stream(*steps: Step, kind: str = SSE) -> Stream:
    """A body of these bytes."""
    return Stream(kind, steps)


HALF, SECOND = delta("Half an "), delta("answer.")
WHOLE = (HALF, SECOND)
DONE = "[DONE]"
STOP = delta(finish="stop")
COUNTED = {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 4}}


def whole(*values: object) -> Stream:
    """A whole answer with `values` between its text and its end."""
    return stream(lines(*WHOLE, *values, STOP, DONE))


def ends(word: str) -> Stream:
    """An answer that ends with `word`."""
    return stream(lines(*WHOLE, delta(finish=word), COUNTED, DONE))


def refuse(status: int, body: Any, **headers: str) -> Refusal:
    """A response with a status and a body, as bytes or as JSON."""
    return Refusal(status, body, {name.replace("_", "-"): text for name, text in headers.items()})


def unless(name: str, refusal: Refusal, then: Reply | None = None) -> Answer:
    """Refuse a request that has the parameter `name`."""
    return lambda call: refusal if name in call.body else then or whole()


def says(message: str, **more: object) -> dict[str, object]:
    """An error in OpenAI's own shape."""
    return {"error": {"message": message, "type": "invalid_request_error", **more}}


def make_thought(*parts: object) -> Stream:
    """Thoughts before an answer, with the usage that has them."""
    usage = {"prompt_tokens": 10, "completion_tokens": 24,
             "completion_tokens_details": {"reasoning_tokens": 20}}  # fmt: skip
    return stream(lines(*parts, *WHOLE, STOP, {"choices": [], "usage": usage}, DONE))


PAGE = (
    b"<!DOCTYPE html><html><head><title>Sign in to your account</title></head><body>\xc3\xa9</body>"
)
PING = b": OPENROUTER PROCESSING\n\n"
EXTRA = "Extra inputs are not permitted"
