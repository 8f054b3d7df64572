"""OpenAI Chat Completions: `chat.completion.chunk` objects, then `[DONE]`.

As OpenAI's API reference describes streaming, and as `openai` for Python and Node and Open WebUI
read it. A status or a source has no place there: it travels in a field `event` of a chunk with an
empty delta, which Open WebUI shows and the others pass over. `choices` always has its one choice,
since many programs index it; only the chunk with the usage has none, as OpenAI's has.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import to_json

from ...runs import Entry
from . import sse
from .conversation import read_conversation, read_messages, read_said, refuse
from .frames import frame, read_payload, read_token
from .run_info import RunInfo

CONTENT_TYPE = sse.CONTENT_TYPE
SILENCE = sse.PING

DONE = b"data: [DONE]\n\n"

# A chunk cannot take back what was said. The answer that is right begins behind this.
RESTART_TEXT = "\n\n---\n\n"

FINISH_REASONS: Mapping[str, str] = {"length": "length", "budget": "length"}
"""Ours to OpenAI's; every other is `stop`."""


def completion_id(run_id: str) -> str:
    """Return the id by which OpenAI's clients know the run `run_id`."""
    return f"chatcmpl-{run_id}"


def parse_request(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a question from the body of `POST /v1/chat/completions`.

    What tunes a model (`temperature`, `max_tokens` and the like) is passed over: the service
    decides. What asks for something else than an answer in text is refused.
    """
    refuse_foreign(document)
    if document.get("n") not in (None, 1):
        raise refuse("n", "must be 1")
    messages = read_said(read_messages(document, "messages"), "messages")
    conversation = read_conversation(messages, "messages")
    wanted = document.get("stream_options")
    include_usage = isinstance(wanted, Mapping) and wanted.get("include_usage") is True
    return {
        "query": conversation.query,
        "history": conversation.history,
        "streaming": document.get("stream") is True,
        "names": {"model": read_model_name(document)},
        "options": {"include_usage": include_usage},
    }


def read_model_name(document: Mapping[str, Any]) -> str:
    """Return the model's name as the client gave it: it comes back in every object."""
    model = document.get("model")
    if model is None:
        return "riverrun"
    if not isinstance(model, str) or not 0 < len(model) <= 128:
        raise refuse("model", "must be a string of 1 to 128 characters")
    return model


def refuse_foreign(document: Mapping[str, Any]) -> None:
    """Refuse what this service does not do, rather than answer something else."""
    for field in ("tools", "functions"):
        if document.get(field):
            raise refuse(field, "are not called here: the service has tools of its own")
    text = document.get("text")
    formats = [document.get("response_format"), text]
    if isinstance(text, Mapping):
        formats[1] = text.get("format")
    for kind in formats:
        if isinstance(kind, Mapping) and kind.get("type", "text") != "text":
            raise refuse("response_format", "must be text: answers are prose with citations")
    wanted = document.get("modalities")
    if isinstance(wanted, list) and any(kind != "text" for kind in wanted):
        raise refuse("modalities", "must be text: nothing is spoken or drawn here")


def encoder(run_info: RunInfo) -> Callable[[Entry], bytes]:
    """Frame the entries of one run, from its first. `include_usage` asks for the usage chunk."""
    encode = _ChatEncoder(run_info)
    return encode.encode


class _ChatEncoder:
    """The chunks of one run. Its state is whether it has begun, and the usage so far."""

    def __init__(self, run_info: RunInfo) -> None:
        self._base = {
            "id": completion_id(run_info.run_id),
            "object": "chat.completion.chunk",
            "created": int(run_info.created),
            "model": run_info.model,
        }
        self._include_usage = bool(run_info.options.get("include_usage"))
        self._begun = False
        self._has_text = False
        self._usage: dict[str, Any] | None = None
        self._handlers: Mapping[str, Callable[[dict[str, Any]], bytes]] = {
            "status": self._on_status,
            "notice": self._on_notice,
            "sources": self._on_sources,
            "reset": self._on_reset,
            "usage": self._on_usage,
            "final": self._on_final,
            "error": self._on_error,
        }
        before = to_json(self._base)[:-1]
        self._token_head = b'data: %b,"choices":[{"index":0,"delta":{"content":' % before
        self._token_tail = b'},"logprobs":null,"finish_reason":null}]}\n\n'

    def encode(self, entry: Entry) -> bytes:
        """Return the frames of the next entry."""
        begin = b"" if self._begun else self._chunk({"role": "assistant", "content": ""})
        self._begun = True
        if entry.kind == "token":
            self._has_text = True
            return b"%b%b%b%b" % (begin, self._token_head, read_token(entry), self._token_tail)
        handle = self._handlers.get(entry.kind)
        return begin + (handle(read_payload(entry)) if handle is not None else b"")

    def _chunk(self, delta: Mapping[str, Any], finish: str | None = None, **extra: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return frame({**self._base, "choices": [choice], **extra})

    def _on_status(self, document: dict[str, Any]) -> bytes:
        status = document["status"]
        done = status["status"] in ("completed", "failed")
        data = {"description": status["description"], "done": done, "step": status["step"]}
        return self._chunk({}, event={"type": "status", "data": data})

    def _on_notice(self, document: dict[str, Any]) -> bytes:
        data = {"description": document["message"], "done": True}
        return self._chunk({}, event={"type": "status", "data": data})

    def _on_sources(self, document: dict[str, Any]) -> bytes:
        return b"".join(
            self._chunk({}, event={"type": "source", "data": describe_source(source)})
            for source in document["sources"]
        )

    def _on_reset(self, _document: dict[str, Any]) -> bytes:
        restart = self._chunk({"content": RESTART_TEXT}) if self._has_text else b""
        self._has_text = False
        return restart

    def _on_usage(self, document: dict[str, Any]) -> bytes:
        self._usage = document["usage"]
        return b""

    def _on_final(self, document: dict[str, Any]) -> bytes:
        result = document["result"]
        text = b"" if self._has_text else self._chunk({"content": result["answer"]})
        finish = FINISH_REASONS.get(result["finishReason"], "stop")
        end = self._chunk({}, finish)
        usage = describe_usage(result.get("usage") or self._usage)
        if self._include_usage and usage is not None:
            end += frame({**self._base, "choices": [], "usage": usage})
        return text + end + DONE

    def _on_error(self, document: dict[str, Any]) -> bytes:
        return frame({"error": describe_error(document)})


def describe_refusal(failure: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of an error before the first byte, as OpenAI's clients read it."""
    return {"error": describe_error(failure)}


def describe_answer(run_info: RunInfo, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `chat.completion` object of an answer that is not streamed."""
    message = {"role": "assistant", "content": result["answer"], "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None}
    finish = FINISH_REASONS.get(result["finishReason"], "stop")
    return {
        "id": completion_id(run_info.run_id),
        "object": "chat.completion",
        "created": int(run_info.created),
        "model": run_info.model,
        "choices": [{**choice, "finish_reason": finish}],
        "usage": describe_usage(result.get("usage")) or describe_usage({}),
        "sources": [describe_source(source) for source in result.get("sources", ())],
    }


def describe_source(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return a passage as Open WebUI keeps a citation: its text, and where it is from."""
    text = source.get("text") or source.get("snippet", "")
    metadata = {"source": source["uri"], "name": source["title"]}
    named = {"id": source["id"], "name": source["title"], "url": source["uri"]}
    return {"document": [text], "metadata": [metadata], "source": named}


def describe_usage(usage: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Usage as Chat Completions counts it; None where it is not known."""
    if usage is None:
        return None
    given, written = usage.get("inputTokens", 0), usage.get("outputTokens", 0)
    counted = {"prompt_tokens": given, "completion_tokens": written}
    document: dict[str, Any] = {**counted, "total_tokens": given + written}
    if "reasoningTokens" in usage:
        document["completion_tokens_details"] = {"reasoning_tokens": usage["reasoningTokens"]}
    return document


def describe_error(error: Mapping[str, Any]) -> dict[str, Any]:
    """Return an error of the contract as OpenAI's clients read one; `code` stays the contract's."""
    kind = ERROR_TYPES.get(error["code"], "server_error")
    message = " ".join(part for part in (error["error"], error.get("hint")) if part)
    return {"message": message, "type": kind, "param": None, "code": error["code"]}


_REQUEST_CODES = (
    *("invalid_json", "invalid_request", "validation_error", "not_found", "expired"),
    *("payload_too_large", "uri_too_long", "unsupported_media", "not_acceptable"),
    *("method_not_allowed", "idempotency_conflict", "context_too_long", "content_filtered"),
)

ERROR_TYPES: Mapping[str, str] = {
    **dict.fromkeys(_REQUEST_CODES, "invalid_request_error"),
    "unauthorized": "authentication_error",
    "forbidden": "permission_error",
    "rate_limited": "rate_limit_error",
    "budget_exceeded": "insufficient_quota",
    "provider_throttled": "rate_limit_error",
}
"""Code of the contract to OpenAI's `type`; every other is `server_error`."""
