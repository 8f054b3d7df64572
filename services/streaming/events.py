"""What a run can say: the events of the wire contract, light enough to make one per token.

`to_wire` gives the JSON form of an event (docs/contract.md, section 3). Nothing here knows how an
event is framed, stored or sent; strangers' JSON is validated in `http/request_model.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from pydantic_core import PydanticSerializationError, from_json, to_json

StepState = Literal["pending", "executing", "completed", "failed"]
FinishReason = Literal["stop", "length", "budget", "cancelled"]
PauseReason = Literal["deadline", "front", "shutdown", "interrupted", "abandoned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a run is doing now (`ChatStatus` on the wire).

    `step` counts from 1. `timestamp` is epoch milliseconds (0: filled in by the run);
    `progress` goes from 0 to 1 over the whole run.
    """

    step: int
    description: str
    status: StepState
    timestamp: int = 0
    name: str | None = None
    total_steps: int | None = None
    progress: float | None = None
    elapsed_ms: int | None = None
    eta_ms: int | None = None
    data: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the answer. All pieces of a run, joined, are its answer."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A passage the answer may cite, as clients see it."""

    id: str
    title: str
    uri: str
    score: float
    snippet: str


@dataclass(frozen=True, slots=True)
class Sources:
    """The passages that were found, in the order the citations count them."""

    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the answer cost: tokens in and out, and US dollars where a price is known."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class UsageEvent:
    """The usage so far."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person may want to know that changes nothing: a retry, a fallback."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Reset:
    """Drop the tokens shown so far: the answer starts again."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmatched:
    """A citation that its passage does not bear out: `mark` counts citations from 1."""

    citation: int
    mark: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounding:
    """What the check of the citations found: the share that holds, how many, and which do not."""

    score: float
    citations: int
    unmatched: tuple[Unmatched, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A complete answer (`ChatResponse` on the wire).

    A producer fills in what it knows; the run adds its id, steps, sources and time.
    """

    answer: str = ""
    success: bool = True
    finish_reason: FinishReason = "stop"
    steps: tuple[Status, ...] = ()
    tools_used: tuple[str, ...] = ()
    execution_time_ms: int = 0
    session_id: str | None = None
    sources: tuple[Source, ...] = ()
    usage: Usage | None = None
    model: str | None = None
    run_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    truncated: bool | None = None
    grounding: Grounding | None = None


@dataclass(frozen=True, slots=True)
class Final:
    """The end of a run that worked."""

    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """What there was of an answer when the run failed."""

    answer: str
    sources: tuple[Source, ...] = ()
    steps: tuple[Status, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorEvent:
    """The end of a run that did not work (`error` on the wire).

    `error` is a sentence for people to read; `code` is stable (docs/errors.md).
    """

    error: str
    code: str
    retryable: bool = False
    retry_after_ms: int | None = None
    run_id: str | None = None
    step: int | None = None
    partial: Partial | None = None
    hint: str | None = None
    cursor: str | None = None
    details: tuple[Mapping[str, str], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """This body ends here, the run does not: it is read on, and goes on, from `cursor`.

    Sent to one reader that can come back, and never kept. `resume_after_ms` is how long to wait.
    """

    reason: PauseReason
    cursor: str
    resume_after_ms: int = 0


Event = Status | Token | Sources | UsageEvent | Notice | Reset | Paused | Final | ErrorEvent
Terminal = Final | ErrorEvent

KINDS: dict[type, str] = {
    Status: "status",
    Token: "token",
    Sources: "sources",
    UsageEvent: "usage",
    Notice: "notice",
    Reset: "reset",
    Paused: "paused",
    Final: "final",
    ErrorEvent: "error",
}
"""The `type` of each event on the wire."""

TERMINAL_KINDS = frozenset({"final", "error"})

RESUMED_KIND = "resumed"
"""The kind of the log entry whose status says that another producer goes on with the run.

Only the log knows it: on the wire the entry is a status like any other, and no producer can yield
one.
"""


def to_wire(event: Event) -> dict[str, Any]:
    """The JSON object of an event: camelCase names, `type` first, absent fields left out."""
    kind = KINDS[type(event)]
    if isinstance(event, Status):
        return {"type": kind, "status": to_plain(event)}
    return {"type": kind, **to_plain(event)}


def to_plain(value: Any) -> Any:
    """A dataclass of this module as JSON-ready dicts and lists, `None` fields left out."""
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    names = _WIRE_NAMES.get(type(value))
    if names is None:
        return value
    return {
        wire_name: to_plain(item)
        for name, wire_name in names
        if (item := getattr(value, name)) is not None
    }


def read_event(data: bytes) -> Event:
    """The event whose `payload` is `data`: what a log kept, read back."""
    value = from_json(data)
    kind = next(kind for kind, name in KINDS.items() if name == value["type"])
    event: Event = _read(kind, value["status"] if kind is Status else value)
    return event


def read_status(data: bytes) -> Status:
    """Read a status from its `payload`."""
    status: Status = _read(Status, from_json(data)["status"])
    return status


def _read(kind: type, value: Mapping[str, Any]) -> Any:
    known = {}
    for name, wire_name in _WIRE_NAMES[kind]:
        if wire_name not in value:
            continue
        item = value[wire_name]
        part = _PARTS.get((kind, name))
        if part is not None:
            many = isinstance(item, list)
            item = tuple(_read(part, one) for one in item) if many else _read(part, item)
        elif isinstance(item, list):
            item = tuple(item)
        known[name] = item
    return kind(**known)


def clean(text: str) -> str:
    """`text` as it can be written in UTF-8: lone surrogates become U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        # Through UTF-16, so that two halves of one character become that character.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def payload(event: Event) -> bytes:
    """The JSON object of an event as bytes: what the log keeps and every dialect starts from."""
    if type(event) is Token:
        return b'{"type":"token","text":' + to_json(event.text) + b"}"
    try:
        return to_json(to_wire(event), inf_nan_mode="null", serialize_unknown=True)
    except PydanticSerializationError:
        return to_json(_clean_value(to_wire(event)), inf_nan_mode="null", serialize_unknown=True)


def _clean_value(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(name)): _clean_value(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean_value(item) for item in value]
    return value


def _to_camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


_WIRE_NAMES: dict[type, tuple[tuple[str, str], ...]] = {
    kind: tuple((item.name, _to_camel(item.name)) for item in fields(kind))
    for kind in (
        Status, Token, Source, Sources, Usage, UsageEvent, Notice, Reset, Paused, Unmatched,
        Grounding, Result, Final, Partial, ErrorEvent,
    )
}  # fmt: skip

_PARTS: dict[tuple[type, str], type] = {
    (Sources, "sources"): Source,
    (UsageEvent, "usage"): Usage,
    (Final, "result"): Result,
    (Result, "steps"): Status,
    (Result, "sources"): Source,
    (Result, "usage"): Usage,
    (Result, "grounding"): Grounding,
    (Grounding, "unmatched"): Unmatched,
    (ErrorEvent, "partial"): Partial,
    (Partial, "sources"): Source,
    (Partial, "steps"): Status,
}
"""The fields that hold other dataclasses of this module."""
