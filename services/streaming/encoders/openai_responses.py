"""OpenAI Responses: numbered `response.*` events, resumed by `starting_after`.

As OpenAI's API reference describes streamed responses. The numbers are a pure function of the log:
a reader who comes back with the last number gets the frames after it, the same to the byte. What
retrieval does is said in `response.in_progress`, whose field `status` other clients pass over;
citations become annotations of the text they stand in. There is no `[DONE]`, and a failure is
`response.failed`: a bare `error` would throw in Node and pass as an event in Python.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import to_json

from ...runs import Entry
from . import openai_chat, sse
from .conversation import ChatMessage, read_conversation, read_messages, read_said, refuse
from .frames import frame, read_payload, read_token, read_token_text
from .lines import one_line
from .response_objects import (
    describe_answer,
    describe_failure,
    describe_progress,
    describe_response,
    make_part,
)
from .run_info import RunInfo

__all__ = [
    "CONTENT_TYPE",
    "SILENCE",
    "describe_answer",
    "describe_progress",
    "describe_refusal",
    "encoder",
    "parse_request",
]

CONTENT_TYPE = sse.CONTENT_TYPE
SILENCE = sse.PING

_RESPONSE_ID = re.compile(r"resp_([0-9a-f]{32})")


def parse_request(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a question from the body of `POST /v1/responses`.

    `previous` is the run whose conversation goes on, where `previous_response_id` names one.
    """
    openai_chat.refuse_foreign(document)
    if document.get("background"):
        raise refuse("background", "is not needed: every response can be read on from its id")
    if document.get("conversation"):
        raise refuse("conversation", "is not kept here: name the previous_response_id instead")
    if document.get("prompt"):
        raise refuse("prompt", "is not kept here: the service has instructions of its own")
    given = document.get("input")
    if isinstance(given, str):
        messages = [ChatMessage("user", given)]
    else:
        items = read_messages(document, "input")
        if items[-1].get("type", "message") != "message":
            raise refuse("input", "must end with a message; other items are not read here")
        said = [item for item in items if item.get("type", "message") == "message"]
        messages = read_said(said, "input")
    conversation = read_conversation(messages, "input")
    return {
        "query": conversation.query,
        "history": conversation.history,
        "streaming": document.get("stream") is True,
        "names": {"model": openai_chat.read_model_name(document)},
        "options": {},
        "previous": read_previous(document.get("previous_response_id")),
    }


def read_previous(value: Any) -> str:
    """Return the run that `previous_response_id` names; "" for none."""
    if value is None:
        return ""
    found = _RESPONSE_ID.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise refuse("previous_response_id", "is not an id that this service gave out")
    return found[1]


def encoder(run_info: RunInfo) -> Callable[[Entry], bytes]:
    """Frame the entries of one run, from its first; `starting_after` is the last number known."""
    return _ResponsesEncoder(run_info).encode


def describe_refusal(failure: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of an error before the first byte, as OpenAI's clients read it."""
    return openai_chat.describe_refusal(failure)


class _ResponsesEncoder:
    """The events of one run: how many there were, and the message that is being written."""

    def __init__(self, run_info: RunInfo) -> None:
        self._run_info = run_info
        self._after = int(run_info.options.get("starting_after", -1))
        self._number = 0
        self._message = 0  # a reset begins another; only the last is in the final output
        self._text: list[str] = []
        self._is_open = False
        self._sources: list[dict[str, Any]] = []
        self._handlers: Mapping[str, Callable[[dict[str, Any]], bytes]] = {
            "status": self._on_status,
            "notice": self._on_notice,
            "sources": self._on_sources,
            "reset": self._on_reset,
            "final": self._on_final,
            "error": self._on_error,
        }

    def encode(self, entry: Entry) -> bytes:
        """Return the frames of the next entry that the reader has not seen."""
        begin = self._begin() if self._number == 0 else b""
        if entry.kind == "token":
            return begin + self._open() + self._delta(read_token(entry), read_token_text(entry))
        handle = self._handlers.get(entry.kind)
        return begin + (handle(read_payload(entry)) if handle is not None else b"")

    def _emit(self, kind: str, **known: Any) -> bytes:
        number, self._number = self._number, self._number + 1
        if number <= self._after:
            return b""
        return frame({"type": kind, "sequence_number": number, **known}, event=kind)

    def _begin(self) -> bytes:
        response = describe_response(self._run_info, "in_progress")
        return self._emit("response.created", response=response) + self._emit(
            "response.in_progress", response=response
        )

    @property
    def _item_id(self) -> str:
        return f"msg_{self._run_info.run_id}_{self._message}"

    def _place(self) -> dict[str, Any]:
        return {"item_id": self._item_id, "output_index": self._message, "content_index": 0}

    def _open(self) -> bytes:
        if self._is_open:
            return b""
        self._is_open = True
        head = self._emit(
            "response.output_item.added",
            output_index=self._message,
            item=self._item("in_progress", []),
        )
        return head + self._emit(
            "response.content_part.added", **self._place(), part=make_part("", [])
        )

    def _delta(self, text_json: bytes, text: str) -> bytes:
        self._text.append(text)
        number, self._number = self._number, self._number + 1
        if number <= self._after:
            return b""
        kind = b"response.output_text.delta"
        return (
            b'event: %b\ndata: {"type":"%b","sequence_number":%d,"item_id":%b,"output_index":%d,'
            b'"content_index":0,"logprobs":[],"delta":%b}\n\n'
            % (kind, kind, number, to_json(self._item_id), self._message, text_json)
        )

    def _item(self, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
        named = {"id": self._item_id, "type": "message", "status": status}
        return {**named, "role": "assistant", "content": content}

    def _close(self, status: str, annotations: list[dict[str, Any]]) -> bytes:
        """End the message that is open, if one is."""
        if not self._is_open:
            return b""
        text = "".join(self._text)
        place, part = self._place(), make_part(text, annotations)
        noted = b"".join(
            self._emit(
                "response.output_text.annotation.added",
                **place,
                annotation_index=index,
                annotation=annotation,
            )
            for index, annotation in enumerate(annotations)
        )
        return b"".join(
            (
                noted,
                self._emit("response.output_text.done", **place, text=text, logprobs=[]),
                self._emit("response.content_part.done", **place, part=part),
                self._emit(
                    "response.output_item.done",
                    output_index=self._message,
                    item=self._item(status, [part]),
                ),
            )
        )

    def _progress(self, status: Mapping[str, Any]) -> bytes:
        response = describe_response(self._run_info, "in_progress")
        return self._emit("response.in_progress", response=response, status=status)

    def _on_status(self, document: dict[str, Any]) -> bytes:
        return self._progress(document["status"])

    def _on_notice(self, document: dict[str, Any]) -> bytes:
        return self._progress({"description": document["message"], "status": "completed"})

    def _on_sources(self, document: dict[str, Any]) -> bytes:
        self._sources = document["sources"]
        return b""

    def _on_reset(self, _document: dict[str, Any]) -> bytes:
        closed = self._close("incomplete", [])
        self._message += self._is_open
        self._is_open = False
        self._text.clear()
        return closed

    def _on_final(self, document: dict[str, Any]) -> bytes:
        result = document["result"]
        answer = result["answer"]
        written = b""
        if not self._is_open:
            written = self._open() + self._delta(one_line(to_json(answer)), answer)
        text = "".join(self._text)
        sources = result.get("sources") or self._sources
        response = describe_answer(self._run_info, {**result, "answer": text, "sources": sources})
        (item,) = response["output"]
        item["id"] = self._item_id
        closed = self._close(item["status"], item["content"][0]["annotations"])
        kind = "completed" if response["status"] == "completed" else "incomplete"
        return written + closed + self._emit(f"response.{kind}", response=response)

    def _on_error(self, document: dict[str, Any]) -> bytes:
        part = make_part("".join(self._text), [])
        output = [self._item("incomplete", [part])] if self._is_open else []
        closed = self._close("incomplete", [])
        error = describe_failure(document)
        response = describe_response(self._run_info, "failed", output=output, error=error)
        return closed + self._emit("response.failed", response=response)
