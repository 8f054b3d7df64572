"""Read the events of a run from their JSON, trusting no field to be of its type.

Knows nothing of how events travel.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from riverrun_client.events import (
    JSON,
    Event,
    Final,
    Grounding,
    Notice,
    Other,
    Reset,
    Result,
    Source,
    Sources,
    Status,
    Token,
    Unmatched,
    Usage,
)
from riverrun_client.json_input import parse_json

# JSON numbers have no bounds, floats have; nothing in the contract comes near.
_LARGEST = 1e300


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
        tools_used=_read_texts(value, "toolsUsed"),
        execution_time_ms=_read_whole(value, "executionTimeMs") or 0,
        session_id=_read_text(value, "sessionId"),
        sources=read_sources(value.get("sources")),
        usage=None if usage is None else _read_one_usage(usage),
        model=_read_text(value, "model"),
        run_id=_read_text(value, "runId"),
        metadata=_read_kind(value, "metadata", dict) or {},
        truncated=value.get("truncated") is True,
        grounding=_read_grounding(_read_kind(value, "grounding", dict)),
        follow_ups=_read_texts(value, "followUps"),
        raw=value,
    )


def _read_texts(value: JSON, name: str) -> tuple[str, ...]:
    return tuple(x for x in _read_kind(value, name, list) or () if isinstance(x, str))


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
