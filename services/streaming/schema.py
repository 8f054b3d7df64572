"""The JSON Schema of every event, shipped as docs/events.schema.json.

Runs make light dataclasses (`events.py`); these pydantic models say what their JSON is. After a
change, write the file again: `python -m services.streaming.schema > docs/events.schema.json`.
"""

import json
import sys
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel


class _Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


class ChatStatus(_Wire):
    """What a run is doing: `timestamp` in epoch milliseconds, `progress` from 0 to 1."""

    step: Annotated[int, Field(ge=1)]
    description: str
    status: Literal["pending", "executing", "completed", "failed"]
    timestamp: int
    name: str | None = None
    total_steps: int | None = None
    progress: Annotated[float, Field(ge=0, le=1)] | None = None
    elapsed_ms: int | None = None
    eta_ms: int | None = None
    data: dict[str, Any] | None = None


class ChatSource(_Wire):
    """A passage that the answer may cite.

    `text` is the whole passage, as far as it fits; `quotes` are the places in it, in UTF-16
    units, of what the answer quotes; `cited` says whether the answer names it; `href` is where
    the server opens the document.
    """

    id: str
    title: str
    uri: str
    score: float
    snippet: str
    text: str | None = None
    quotes: list[tuple[int, int]] | None = None
    cited: bool | None = None
    href: str | None = None


class ChatUsage(_Wire):
    """Tokens in and out, and US dollars where a price is known.

    `reasoningTokens` of the output were thought and not said.
    """

    input_tokens: int
    output_tokens: int
    cost_usd: float | None = None
    reasoning_tokens: int | None = None


class ChatUnmatched(_Wire):
    """A citation that its passage does not bear out; `mark` counts the answer's citations."""

    citation: int
    mark: Annotated[int, Field(ge=1)]
    reason: Literal["missing", "number", "unsupported"]


class ChatGrounding(_Wire):
    """The answer's citations, checked against the passages."""

    score: Annotated[float, Field(ge=0, le=1)]
    citations: Annotated[int, Field(ge=1)]
    unmatched: list[ChatUnmatched]


class ChatResponse(_Wire):
    """A complete answer: the `result` of a `final`, and the whole of a JSON reply."""

    answer: Annotated[str, Field(min_length=1)]
    success: bool
    finish_reason: Literal["stop", "length", "budget", "cancelled"]
    steps: list[ChatStatus]
    tools_used: list[str]
    execution_time_ms: Annotated[int, Field(ge=0)]
    session_id: str | None = None
    sources: list[ChatSource]
    usage: ChatUsage | None = None
    model: str | None = None
    run_id: str
    metadata: dict[str, str]
    truncated: bool | None = None
    grounding: ChatGrounding | None = None
    follow_ups: list[str] | None = None


class ChatPartial(_Wire):
    """What there was of an answer when its run failed."""

    answer: str
    sources: list[ChatSource]
    steps: list[ChatStatus]


class StatusSchema(_Wire):
    """`status`: progress."""

    type: Literal["status"]
    status: ChatStatus


class TokenSchema(_Wire):
    """`token`: the next piece of the answer."""

    type: Literal["token"]
    text: Annotated[str, Field(min_length=1)]


class SourcesSchema(_Wire):
    """`sources`: what was found, in the order that citations count."""

    type: Literal["sources"]
    sources: list[ChatSource]


class UsageSchema(_Wire):
    """`usage`: what it cost so far."""

    type: Literal["usage"]
    usage: ChatUsage


class NoticeSchema(_Wire):
    """`notice`: something worth knowing that changes nothing."""

    type: Literal["notice"]
    code: str
    message: str


class ResetSchema(_Wire):
    """`reset`: drop the tokens shown so far."""

    type: Literal["reset"]
    reason: str


class PausedSchema(_Wire):
    """`paused`: this body ends, the run goes on; read on from `cursor`. It has no id."""

    type: Literal["paused"]
    reason: Literal["deadline", "front", "shutdown", "interrupted", "abandoned"]
    cursor: str
    resume_after_ms: Annotated[int, Field(ge=0)]


class FinalSchema(_Wire):
    """`final`: the end of a run that worked."""

    type: Literal["final"]
    result: ChatResponse


class ErrorSchema(_Wire):
    """`error`: the end of a run that did not; also every refusal in JSON."""

    type: Literal["error"]
    error: Annotated[str, Field(min_length=1)]
    code: str
    retryable: bool
    retry_after_ms: int | None = None
    run_id: str | None = None
    step: int | None = None
    partial: ChatPartial | None = None
    hint: str | None = None
    cursor: str | None = None
    details: list[dict[str, str]] | None = None


StreamEvent = Annotated[
    StatusSchema
    | TokenSchema
    | SourcesSchema
    | UsageSchema
    | NoticeSchema
    | ResetSchema
    | PausedSchema
    | FinalSchema
    | ErrorSchema,
    Field(discriminator="type"),
]

EVENTS: TypeAdapter[StreamEvent] = TypeAdapter(StreamEvent)
"""Reads the JSON of any event."""


def make_schema() -> str:
    """Return the JSON Schema of all events as a JSON document.

    It allows fields that it does not name: the contract lets a later version add some.
    """
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Events of a Riverrun stream (docs/contract.md, section 3)",
        **EVENTS.json_schema(by_alias=True),
    }
    for definition in schema["$defs"].values():
        del definition["additionalProperties"]
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(make_schema())
