"""AG-UI 1.0: the events of an agent's run, for `@ag-ui/client` and the front ends on it.

As docs.ag-ui.com describes them. Steps and messages that are open when the run finishes reject it,
so all are closed; nothing is null; there is no `[DONE]`, which would be read as JSON. Statuses are
steps, and with the sources and the usage they are the state. Each block of an entry carries the
entry's own id: the published client passes over it, and a reader that keeps it can read on.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ...runs import Entry
from . import sse
from .conversation import read_conversation, read_messages, read_said, refuse
from .frames import frame, read_payload, read_token
from .run_info import RunInfo

CONTENT_TYPE = sse.CONTENT_TYPE
SILENCE = sse.PING


def parse_request(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a question from an AG-UI `RunAgentInput`.

    Tools of the page, its state and its context are offers to an agent: this one takes none of
    them up. Messages of tools are passed over with them.
    """
    names = {}
    for field in ("threadId", "runId"):
        value = document.get(field)
        if not isinstance(value, str) or not 0 < len(value) <= 128:
            raise refuse(field, "must be a string of 1 to 128 characters")
        names[field] = value
    messages = read_said(read_messages(document, "messages"), "messages")
    conversation = read_conversation(messages, "messages")
    return {
        "query": conversation.query,
        "history": conversation.history,
        "streaming": True,
        "names": names,
        "options": {},
    }


def describe_refusal(failure: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of an error before the first byte: the event it would be in the stream."""
    message = " ".join(part for part in (failure["error"], failure.get("hint")) if part)
    return {"type": "RUN_ERROR", "message": message, "code": failure["code"]}


def encoder(run_info: RunInfo) -> Callable[[Entry], bytes]:
    """Frame the entries of one run, from its first."""
    return _RunEncoder(run_info).encode


class _RunEncoder:
    """The events of one run: the steps and the message that are open."""

    def __init__(self, run_info: RunInfo) -> None:
        self._run_info = run_info
        self._thread = run_info.names.get("threadId") or run_info.run_id
        self._run = run_info.names.get("runId") or run_info.run_id
        self._begun = False
        self._steps: dict[int, str] = {}
        self._message = 1
        self._is_open = False
        self._has_text = False
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
        """Return the events of the next entry, the last of them with its id."""
        begin = b"" if self._begun else self._begin()
        self._begun = True
        if entry.kind == "token":
            events = begin + self._open() + self._content(read_token(entry))
        else:
            handle = self._handlers.get(entry.kind)
            events = begin + (handle(read_payload(entry)) if handle is not None else b"")
        if entry.seq == 0 or not events:
            return events
        before, _, last = events.removesuffix(b"\n\n").rpartition(b"\n\n")
        lead = before + b"\n\n" if before else b""
        identified = b"id: %b-%d\n%b\n\n" % (self._run_info.run_id.encode(), entry.seq, last)
        return lead + identified

    def _begin(self) -> bytes:
        started = {"type": "RUN_STARTED", "threadId": self._thread, "runId": self._run}
        state = {"riverrunId": self._run_info.run_id, "sources": [], "steps": {}}
        return frame({**started, "protocolVersion": "1.0"}) + frame(
            {"type": "STATE_SNAPSHOT", "snapshot": state}
        )

    @property
    def _message_id(self) -> str:
        return f"{self._run_info.run_id}-message-{self._message}"

    def _open(self) -> bytes:
        if self._is_open:
            return b""
        self._is_open = self._has_text = True
        started = {"type": "TEXT_MESSAGE_START", "messageId": self._message_id}
        return frame({**started, "role": "assistant"})

    def _content(self, text_json: bytes) -> bytes:
        if text_json == b'""':
            return b""
        return b'data: {"type":"TEXT_MESSAGE_CONTENT","messageId":"%b","delta":%b}\n\n' % (
            self._message_id.encode(),
            text_json,
        )

    def _close(self) -> bytes:
        if not self._is_open:
            return b""
        self._is_open = False
        return frame({"type": "TEXT_MESSAGE_END", "messageId": self._message_id})

    def _close_steps(self) -> bytes:
        names = list(self._steps.values())
        self._steps.clear()
        return b"".join(frame({"type": "STEP_FINISHED", "stepName": name}) for name in names)

    def _patch(self, path: str, value: Any) -> bytes:
        return frame(
            {"type": "STATE_DELTA", "delta": [{"op": "add", "path": path, "value": value}]}
        )

    def _on_status(self, document: dict[str, Any]) -> bytes:
        status = document["status"]
        number = status["step"]
        changed = self._patch(f"/steps/{number}", status)
        if status["status"] in ("completed", "failed"):
            name = self._steps.pop(number, None)
            ended = b"" if name is None else frame({"type": "STEP_FINISHED", "stepName": name})
            return changed + ended
        if number in self._steps:
            return changed
        # Two steps of one name could not be told apart when they finish.
        self._steps[number] = f"{number}. {status['description']}"
        return changed + frame({"type": "STEP_STARTED", "stepName": self._steps[number]})

    def _on_notice(self, document: dict[str, Any]) -> bytes:
        value = {"code": document["code"], "message": document["message"]}
        return frame({"type": "CUSTOM", "name": "notice", "value": value})

    def _on_sources(self, document: dict[str, Any]) -> bytes:
        return self._patch("/sources", document["sources"])

    def _on_usage(self, document: dict[str, Any]) -> bytes:
        return self._patch("/usage", document["usage"])

    def _on_reset(self, document: dict[str, Any]) -> bytes:
        dropped = self._message_id
        closed = self._close()
        self._message += 1
        self._has_text = False
        value = {"messageId": dropped, "reason": document["reason"]}
        return closed + frame({"type": "CUSTOM", "name": "reset", "value": value})

    def _on_final(self, document: dict[str, Any]) -> bytes:
        result = document["result"]
        text = b""
        if not self._has_text and result["answer"]:
            text = self._open() + frame(
                {
                    "type": "TEXT_MESSAGE_CONTENT",
                    "messageId": self._message_id,
                    "delta": result["answer"],
                }
            )
        finished = {"type": "RUN_FINISHED", "threadId": self._thread, "runId": self._run}
        return (
            text
            + self._close()
            + self._close_steps()
            + frame({**finished, "result": _present(result)})
        )

    def _on_error(self, document: dict[str, Any]) -> bytes:
        message = " ".join(part for part in (document["error"], document.get("hint")) if part)
        failed = {"type": "RUN_ERROR", "message": message, "code": document["code"]}
        return self._close() + self._close_steps() + frame(failed)


def _present(value: Any) -> Any:
    """Return `value` without nulls: its schemas take an absent field, and none that is null."""
    if isinstance(value, dict):
        return {name: _present(item) for name, item in value.items() if item is not None}
    return [_present(item) for item in value] if isinstance(value, list) else value
