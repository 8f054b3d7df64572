"""AI SDK UI message stream, version 1: the parts that `useChat` puts together to a message.

As "Stream Protocols" in the documentation of `ai` describes it, kept to what its versions 5, 6 and
7 all accept: an unknown `type` fails the whole chat, so ours are `data-*`. A status replaces the
one of the same step, a notice is only passed by. A reader always gets the run from its beginning,
which is how the SDK resumes.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import to_json

from ...runs import Entry
from . import sse
from .conversation import ChatMessage, read_conversation, read_messages, refuse
from .frames import frame, is_web_address, read_payload, read_token
from .run_info import RunInfo

CONTENT_TYPE = sse.CONTENT_TYPE
SILENCE = sse.PING
HEADERS: Mapping[str, str] = {"X-Vercel-AI-UI-Message-Stream": "v1"}

DONE = b"data: [DONE]\n\n"

FINISH_REASONS: Mapping[str, str] = {"stop": "stop", "length": "length", "budget": "other"}
MEDIA_TYPES: Mapping[str, str] = {
    "md": "text/markdown",
    "pdf": "application/pdf",
    "html": "text/html",
    "htm": "text/html",
}
"""Of a document, by the ending of its address; `text/plain` for every other."""


def parse_request(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a question from what `useChat` posts; `chat` is the conversation's id.

    Of an earlier message only its text counts. The question itself may hold nothing else.
    """
    chat = document.get("id")
    if not isinstance(chat, str) or not 0 < len(chat) <= 128:
        raise refuse("id", "must be a string of 1 to 128 characters")
    items = read_messages(document, "messages")
    messages = [_read_message(item, is_last=item is items[-1]) for item in items]
    conversation = read_conversation(messages, "messages")
    # An answer that is asked for again replaces the message of that id.
    replaced = document.get("messageId") if document.get("trigger") == "regenerate-message" else ""
    names = {"messageId": replaced} if isinstance(replaced, str) and replaced else {}
    return {
        "query": conversation.query,
        "history": conversation.history,
        "streaming": True,
        "names": names,
        "options": {},
        "chat": chat,
    }


def _read_message(item: Mapping[str, Any], *, is_last: bool) -> ChatMessage:
    parts = item.get("parts")
    if not isinstance(parts, list) or not all(isinstance(part, Mapping) for part in parts):
        raise refuse("messages", "must hold messages with parts")
    texts = [part.get("text") for part in parts if part.get("type") == "text"]
    if is_last and len(texts) != len([part for part in parts if part.get("type") != "step-start"]):
        raise refuse("messages", "ends with a file; only text is read here")
    if not all(isinstance(text, str) for text in texts):
        raise refuse("messages", "has a text part without text")
    return ChatMessage(str(item.get("role")), "\n".join(map(str, texts)))


def encoder(run_info: RunInfo) -> Callable[[Entry], bytes]:
    """Frame the entries of one run, from its first."""
    return _MessageEncoder(run_info).encode


class _MessageEncoder:
    """The parts of one message. Its state is which text part is open."""

    def __init__(self, run_info: RunInfo) -> None:
        self._run_info = run_info
        self._begun = False
        self._part = 1
        self._is_open = False
        self._handlers: Mapping[str, Callable[[dict[str, Any]], bytes]] = {
            "status": self._on_status,
            "notice": self._on_notice,
            "sources": self._on_sources,
            "reset": self._on_reset,
            "usage": self._on_usage,
            "final": self._on_final,
            "error": self._on_error,
        }

    def encode(self, entry: Entry) -> bytes:
        """Return the parts of the next entry."""
        begin = b"" if self._begun else frame(self._start())
        self._begun = True
        if entry.kind == "token":
            return begin + self._open() + self._delta(read_token(entry))
        handle = self._handlers.get(entry.kind)
        return begin + (handle(read_payload(entry)) if handle is not None else b"")

    def _start(self) -> dict[str, Any]:
        metadata = {"runId": self._run_info.run_id}
        message = self._run_info.names.get("messageId") or self._run_info.run_id
        return {"type": "start", "messageId": message, "messageMetadata": metadata}

    def _open(self) -> bytes:
        if self._is_open:
            return b""
        self._is_open = True
        return frame({"type": "text-start", "id": f"text-{self._part}"})

    def _delta(self, text_json: bytes) -> bytes:
        return b'data: {"type":"text-delta","id":"text-%d","delta":%b}\n\n' % (
            self._part,
            text_json,
        )

    def _close(self) -> bytes:
        if not self._is_open:
            return b""
        self._is_open = False
        return frame({"type": "text-end", "id": f"text-{self._part}"})

    def _on_status(self, document: dict[str, Any]) -> bytes:
        status = document["status"]
        return frame({"type": "data-status", "id": f"step-{status['step']}", "data": status})

    def _on_notice(self, document: dict[str, Any]) -> bytes:
        data = {"code": document["code"], "message": document["message"]}
        return frame({"type": "data-notice", "data": data, "transient": True})

    def _on_sources(self, document: dict[str, Any]) -> bytes:
        return b"".join(frame(describe_source(source)) for source in document["sources"])

    def _on_usage(self, document: dict[str, Any]) -> bytes:
        return frame({"type": "message-metadata", "messageMetadata": {"usage": document["usage"]}})

    def _on_reset(self, document: dict[str, Any]) -> bytes:
        # No version takes a text back. The next one stands in a part of its own, and this says
        # which of them a page shall leave out.
        closed = self._close()
        data = {"dropped": f"text-{self._part}", "reason": document["reason"]}
        self._part += 1
        return closed + frame({"type": "data-reset", "id": f"reset-{self._part}", "data": data})

    def _on_final(self, document: dict[str, Any]) -> bytes:
        result = document["result"]
        text = b""
        if not self._is_open and result["answer"]:
            text = self._open() + self._delta(to_json(result["answer"]))
        closed = text + self._close()
        reason = result["finishReason"]
        metadata = {"finishReason": reason, "usage": result.get("usage"), "runId": result["runId"]}
        end: dict[str, Any]
        if reason == "cancelled":
            end = {"type": "abort", "reason": "The answer was stopped."}
        else:
            end = {
                "type": "finish",
                "finishReason": FINISH_REASONS.get(reason, "other"),
                "messageMetadata": metadata,
            }
        return closed + frame(end) + DONE

    def _on_error(self, document: dict[str, Any]) -> bytes:
        details = {"code": document["code"], "retryable": document.get("retryable", False)}
        told = frame({"type": "data-error", "data": details, "transient": True})
        return (
            self._close() + told + frame({"type": "error", "errorText": describe_error(document)})
        )


def describe_source(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return a passage as a source part: a link where it has a web address, else a document."""
    title, uri = source["title"], source["uri"]
    if is_web_address(uri):
        return {"type": "source-url", "sourceId": source["id"], "url": uri, "title": title}
    ending = uri.partition("#")[0].rpartition(".")[2].lower()
    media = MEDIA_TYPES.get(ending, "text/plain")
    described = {"type": "source-document", "sourceId": source["id"], "mediaType": media}
    return {**described, "title": title, "filename": uri}


def describe_refusal(failure: Mapping[str, Any]) -> str:
    """Return the body of an error before the first byte: `useChat` shows all of it."""
    return describe_error(failure)


def describe_error(error: Mapping[str, Any]) -> str:
    """Return the sentence that `useChat` shows as the message of its error."""
    return " ".join(part for part in (error["error"], error.get("hint")) if part)
