"""What a run says, as a client sees it: one frozen dataclass for each type of the contract.

`read_event` turns the JSON of an event into one. A field that is missing has its default and a
field that is not known is in `raw`: a newer server must not break an older client. Knows nothing
of how events travel.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

JSON = Mapping[str, Any]

# JSON numbers have no bounds, floats have; nothing in the contract comes near.
_LARGEST = 1e300


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What every event has: its id (`<run>-<seq>`, "" for one that is not kept) and its JSON."""

    id: str = ""
    raw: JSON = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(Said):
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
class Token(Said):
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
class Sources(Said):
    """The passages that were found; citation `[1]` means the first."""

    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage(Said):
    """What the answer cost so far: tokens in and out, and US dollars where a price is known."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(Said):
    """Something worth knowing that changes nothing: a retry, a fallback."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset(Said):
    """Drop the tokens shown so far: the answer starts again."""

    reason: str


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
    raw: JSON = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Final(Said):
    """The end of a run that worked."""

    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Other(Said):
    """An event of a type that this version does not know; safe to ignore."""

    type: str


Event = Status | Token | Sources | Usage | Notice | Reset | Final | Other


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying:
    """No event of the run: the connection is gone, and in `wait` seconds there is another try.

    `attempt` counts vain tries in a row. `paused`: the server itself asked to come back.
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
        value = json.loads(data)
    except (ValueError, RecursionError):
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


def _status(raw: JSON, id: str = "") -> Status:
    return _one_status(_object(raw, "status"), id, raw)


def _one_status(value: JSON, id: str = "", raw: JSON | None = None) -> Status:
    return Status(
        step=_whole(value, "step") or 0,
        description=_text(value, "description") or "",
        status=_text(value, "status") or "executing",
        timestamp=_whole(value, "timestamp") or 0,
        name=_text(value, "name"),
        total_steps=_whole(value, "totalSteps"),
        progress=number(value, "progress"),
        elapsed_ms=_whole(value, "elapsedMs"),
        eta_ms=_whole(value, "etaMs"),
        data=_kind(value, "data", dict),
        id=id,
        raw=value if raw is None else raw,
    )


def _token(raw: JSON, id: str) -> Token:
    text = _text(raw, "text")
    if text is None:
        raise InvalidEventError("a token without text")
    return Token(text=text, id=id, raw=raw)


def read_sources(values: Any) -> tuple[Source, ...]:
    """The passages in a JSON list; what is none is left out."""
    return tuple(
        Source(
            id=_text(value, "id") or "",
            title=_text(value, "title") or "",
            uri=_text(value, "uri") or "",
            score=number(value, "score") or 0.0,
            snippet=_text(value, "snippet") or "",
        )
        for value in _objects(values)
    )


def read_steps(values: Any) -> tuple[Status, ...]:
    """The statuses in a JSON list; what is none is left out."""
    return tuple(_one_status(value) for value in _objects(values))


def _sources(raw: JSON, id: str) -> Sources:
    return Sources(sources=read_sources(raw.get("sources")), id=id, raw=raw)


def _usage(raw: JSON, id: str) -> Usage:
    return _one_usage(_object(raw, "usage"), id, raw)


def _one_usage(value: JSON, id: str = "", raw: JSON | None = None) -> Usage:
    return Usage(
        input_tokens=_whole(value, "inputTokens") or 0,
        output_tokens=_whole(value, "outputTokens") or 0,
        cost_usd=number(value, "costUsd"),
        id=id,
        raw=value if raw is None else raw,
    )


def _notice(raw: JSON, id: str) -> Notice:
    code, message = _text(raw, "code") or "", _text(raw, "message") or ""
    return Notice(code=code, message=message, id=id, raw=raw)


def _reset(raw: JSON, id: str) -> Reset:
    return Reset(reason=_text(raw, "reason") or "", id=id, raw=raw)


def _final(raw: JSON, id: str) -> Final:
    return Final(result=read_result(_object(raw, "result")), id=id, raw=raw)


def read_result(value: JSON) -> Result:
    """The answer in a `ChatResponse` object. Raises `InvalidEventError` when there is none."""
    answer = _text(value, "answer")
    if answer is None:
        raise InvalidEventError("a result without an answer")
    usage = _kind(value, "usage", dict)
    return Result(
        answer=answer,
        success=value.get("success") is not False,
        finish_reason=_text(value, "finishReason") or "stop",
        steps=read_steps(value.get("steps")),
        tools_used=tuple(x for x in _kind(value, "toolsUsed", list) or () if isinstance(x, str)),
        execution_time_ms=_whole(value, "executionTimeMs") or 0,
        session_id=_text(value, "sessionId"),
        sources=read_sources(value.get("sources")),
        usage=None if usage is None else _one_usage(usage),
        model=_text(value, "model"),
        run_id=_text(value, "runId"),
        metadata=_kind(value, "metadata", dict) or {},
        truncated=value.get("truncated") is True,
        raw=value,
    )


_READERS: Mapping[str, Callable[[JSON, str], Event]] = {
    "status": _status,
    "token": _token,
    "sources": _sources,
    "usage": _usage,
    "notice": _notice,
    "reset": _reset,
    "final": _final,
}


def _kind(value: JSON, name: str, kind: type) -> Any:
    item = value.get(name)
    return item if isinstance(item, kind) else None


def _text(value: JSON, name: str) -> str | None:
    found: str | None = _kind(value, name, str)
    return found


def number(value: JSON, name: str) -> float | None:
    """The number of that name; None when there is none."""
    item = value.get(name)
    if isinstance(item, bool) or not isinstance(item, int | float):
        return None
    return float(item) if abs(item) < _LARGEST else None  # NaN compares as false


def _whole(value: JSON, name: str) -> int | None:
    found = number(value, name)
    return None if found is None else int(found)


def _object(raw: JSON, name: str) -> JSON:
    found: JSON | None = _kind(raw, name, dict)
    if found is None:
        raise InvalidEventError(f"no object {name!r}")
    return found


def _objects(values: Any) -> Sequence[JSON]:
    return [value for value in values if isinstance(value, dict)] if type(values) is list else []
