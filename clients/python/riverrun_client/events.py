"""What a run says, as a client sees it: one frozen dataclass for each type of the contract.

`read_event` turns the JSON of an event into one. A field that is missing has its default and a
field that is not known is in `raw`: a newer server must not break an older client. Knows nothing
of how events travel.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from riverrun_client.json_input import parse_json

JSON = Mapping[str, Any]

# JSON numbers have no bounds, floats have; nothing in the contract comes near.
_LARGEST = 1e300


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFields:
    """What every event has: its id (`<run>-<seq>`, "" for one that is not kept) and its JSON."""

    id: str = ""
    raw: JSON = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(EventFields):
    """What the run is doing now. `progress` goes from 0 to 1; times are in milliseconds."""

    step: int
    description: str
    status: str = "executing"
    timestamp: int = 0
    name: str | None = None
    total_steps: int | None = None
    progress: float | None = None
    elapsed_ms: int | None = None
    eta_ms: int | None = None
    data: JSON | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token(EventFields):
    """The next piece of the answer; all pieces, joined, are the answer."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A passage that the answer may cite."""

    id: str = ""
    title: str = ""
    uri: str = ""
    score: float = 0.0
    snippet: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources(EventFields):
    """The passages that were found; citation `[1]` means the first."""

    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage(EventFields):
    """What the answer cost so far: tokens in and out, and US dollars where a price is known."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(EventFields):
    """Something worth knowing that changes nothing: a retry, a fallback."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset(EventFields):
    """Drop the tokens shown so far: the answer starts again."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmatched:
    """A citation that does not hold: the number it names, which one it is, and why."""

    citation: int = 0
    mark: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounding:
    """Whether an answer's citations hold: the share that does, how many there are, which do not."""

    score: float = 0.0
    citations: int = 0
    unmatched: tuple[Unmatched, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A complete answer. `finish_reason` is `stop`, `length`, `budget` or `cancelled`."""

    answer: str
    success: bool = True
    finish_reason: str = "stop"
    steps: tuple[Status, ...] = ()
    tools_used: tuple[str, ...] = ()
    execution_time_ms: int = 0
    session_id: str | None = None
    sources: tuple[Source, ...] = ()
    usage: Usage | None = None
    model: str | None = None
    run_id: str | None = None
    metadata: JSON = field(default_factory=dict)
    truncated: bool = False
    grounding: Grounding | None = None
    raw: JSON = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Final(EventFields):
    """The end of a run that worked."""

    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Other(EventFields):
    """An event of a type that this version does not know; safe to ignore."""

    type: str


Event = Status | Token | Sources | Usage | Notice | Reset | Final | Other


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryNotice:
    """No event of the run: the connection is gone, and in `wait` seconds there is another try.

    `attempt` counts failed tries in a row. `paused`: the server itself asked to come back.
    """

    reason: str
    attempt: int
    wait: float
    paused: bool = False


class InvalidEventError(ValueError):
    """Data that is no event: not a JSON object, or without what its type cannot do without."""


def read_json(data: str) -> dict[str, Any]:
    """The JSON object in `data`. Raises `InvalidEventError`."""
    try:
        value = parse_json(data)
    except ValueError:
        raise InvalidEventError("not JSON") from None
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise InvalidEventError("not an object with a type")
    return value


def read_event(raw: JSON, id: str = "") -> Event:
    """The event of a JSON object; an unknown type becomes `Other`. Raises `InvalidEventError`."""
    read = _READERS.get(raw["type"])
    if read is None:
        return Other(type=raw["type"], id=id, raw=raw)
    return read(raw, id)


def _read_status(raw: JSON, id: str = "") -> Status:
    return _read_one_status(_read_object(raw, "status"), id, raw)


def _read_one_status(value: JSON, id: str = "", raw: JSON | None = None) -> Status:
    return Status(
        step=_read_whole(value, "step") or 0,
        description=_read_text(value, "description") or "",
        status=_read_text(value, "status") or "executing",
        timestamp=_read_whole(value, "timestamp") or 0,
        name=_read_text(value, "name"),
        total_steps=_read_whole(value, "totalSteps"),
        progress=read_number(value, "progress"),
        elapsed_ms=_read_whole(value, "elapsedMs"),
        eta_ms=_read_whole(value, "etaMs"),
        data=_read_kind(value, "data", dict),
        id=id,
        raw=value if raw is None else raw,
    )


def _read_token(raw: JSON, id: str) -> Token:
    text = _read_text(raw, "text")
    if text is None:
        raise InvalidEventError("a token without text")
    return Token(text=text, id=id, raw=raw)


def read_sources(values: Any) -> tuple[Source, ...]:
    """The passages in a JSON list; what is none is left out."""
    return tuple(
        Source(
            id=_read_text(value, "id") or "",
            title=_read_text(value, "title") or "",
            uri=_read_text(value, "uri") or "",
            score=read_number(value, "score") or 0.0,
            snippet=_read_text(value, "snippet") or "",
        )
        for value in _read_objects(values)
    )


def read_steps(values: Any) -> tuple[Status, ...]:
    """The statuses in a JSON list; what is none is left out."""
    return tuple(_read_one_status(value) for value in _read_objects(values))


def _read_sources(raw: JSON, id: str) -> Sources:
    return Sources(sources=read_sources(raw.get("sources")), id=id, raw=raw)


def _read_usage(raw: JSON, id: str) -> Usage:
    return _read_one_usage(_read_object(raw, "usage"), id, raw)


def _read_one_usage(value: JSON, id: str = "", raw: JSON | None = None) -> Usage:
    return Usage(
        input_tokens=_read_whole(value, "inputTokens") or 0,
        output_tokens=_read_whole(value, "outputTokens") or 0,
        cost_usd=read_number(value, "costUsd"),
        id=id,
        raw=value if raw is None else raw,
    )


def _read_notice(raw: JSON, id: str) -> Notice:
    code, message = _read_text(raw, "code") or "", _read_text(raw, "message") or ""
    return Notice(code=code, message=message, id=id, raw=raw)


def _read_reset(raw: JSON, id: str) -> Reset:
    return Reset(reason=_read_text(raw, "reason") or "", id=id, raw=raw)


def _read_final(raw: JSON, id: str) -> Final:
    return Final(result=read_result(_read_object(raw, "result")), id=id, raw=raw)


def read_result(value: JSON) -> Result:
    """The answer in a `ChatResponse` object. Raises `InvalidEventError` when there is none."""
    answer = _read_text(value, "answer")
    if answer is None:
        raise InvalidEventError("a result without an answer")
    usage = _read_kind(value, "usage", dict)
    return Result(
        answer=answer,
        success=value.get("success") is not False,
        finish_reason=_read_text(value, "finishReason") or "stop",
        steps=read_steps(value.get("steps")),
        tools_used=tuple(
            x for x in _read_kind(value, "toolsUsed", list) or () if isinstance(x, str)
        ),
        execution_time_ms=_read_whole(value, "executionTimeMs") or 0,
        session_id=_read_text(value, "sessionId"),
        sources=read_sources(value.get("sources")),
        usage=None if usage is None else _read_one_usage(usage),
        model=_read_text(value, "model"),
        run_id=_read_text(value, "runId"),
        metadata=_read_kind(value, "metadata", dict) or {},
        truncated=value.get("truncated") is True,
        grounding=_read_grounding(_read_kind(value, "grounding", dict)),
        raw=value,
    )


def _read_grounding(value: JSON | None) -> Grounding | None:
    if value is None:
        return None
    return Grounding(
        score=read_number(value, "score") or 0.0,
        citations=_read_whole(value, "citations") or 0,
        unmatched=tuple(
            Unmatched(
                citation=_read_whole(one, "citation") or 0,
                mark=_read_whole(one, "mark") or 0,
                reason=_read_text(one, "reason") or "",
            )
            for one in _read_objects(value.get("unmatched"))
        ),
    )


_READERS: Mapping[str, Callable[[JSON, str], Event]] = {
    "status": _read_status,
    "token": _read_token,
    "sources": _read_sources,
    "usage": _read_usage,
    "notice": _read_notice,
    "reset": _read_reset,
    "final": _read_final,
}


def _read_kind(value: JSON, name: str, kind: type) -> Any:
    item = value.get(name)
    return item if isinstance(item, kind) else None


def _read_text(value: JSON, name: str) -> str | None:
    found: str | None = _read_kind(value, name, str)
    return found


def read_number(value: JSON, name: str) -> float | None:
    """The number of that name; None when there is none."""
    item = value.get(name)
    if isinstance(item, bool) or not isinstance(item, int | float):
        return None
    return float(item) if abs(item) < _LARGEST else None  # NaN compares as false


def _read_whole(value: JSON, name: str) -> int | None:
    found = read_number(value, name)
    return None if found is None else int(found)


def _read_object(raw: JSON, name: str) -> JSON:
    found: JSON | None = _read_kind(raw, name, dict)
    if found is None:
        raise InvalidEventError(f"no object {name!r}")
    return found


def _read_objects(values: Any) -> Sequence[JSON]:
    return [value for value in values if isinstance(value, dict)] if type(values) is list else []
