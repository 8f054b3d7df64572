"""Events as JSON and back: the names on the wire, and text that UTF-8 can hold.

Knows nothing of how an event is framed, stored or sent.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json

from ..chat.citations import Grounding, UnmatchedCitation
from .events import (
    KINDS,
    ErrorEvent,
    Event,
    Final,
    Notice,
    Partial,
    Paused,
    Reset,
    Result,
    Source,
    Sources,
    Status,
    Token,
    Usage,
    UsageEvent,
)


def to_wire(event: Event) -> dict[str, Any]:
    """Return the JSON object of an event: camelCase names, `type` first, absent fields left out."""
    kind = KINDS[type(event)]
    if isinstance(event, Status):
        return {"type": kind, "status": to_plain(event)}
    return {"type": kind, **to_plain(event)}


def to_plain(value: Any) -> Any:
    """Return a dataclass of this module as JSON-ready dicts and lists, `None` fields left out."""
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    names = _WIRE_NAMES.get(type(value))
    if names is None:
        return value
    return {
        wire_name: item if type(item) in _PLAIN else to_plain(item)
        for name, wire_name in names
        if (item := getattr(value, name)) is not None
    }


def read_event(data: bytes) -> Event:
    """Return the event whose `payload` is `data`: what a log kept, read back."""
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
            item = tuple(tuple(one) if isinstance(one, list) else one for one in item)
        known[name] = item
    return kind(**known)


def clean(text: str) -> str:
    """Return `text` as it can be written in UTF-8: lone surrogates become U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        # Through UTF-16, so that two halves of one character become that character.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def payload(event: Event) -> bytes:
    """Return the JSON object of an event as bytes: what the log keeps and dialects start from."""
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


# Most fields are one of these: they are themselves, and are not looked into.
_PLAIN = frozenset((str, int, float, bool, dict))

_WIRE_NAMES: dict[type, tuple[tuple[str, str], ...]] = {
    kind: tuple((item.name, _to_camel(item.name)) for item in fields(kind))
    for kind in (
        Status, Token, Source, Sources, Usage, UsageEvent, Notice, Reset, Paused, UnmatchedCitation,
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
    (Grounding, "unmatched"): UnmatchedCitation,
    (ErrorEvent, "partial"): Partial,
    (Partial, "sources"): Source,
    (Partial, "steps"): Status,
}
"""The fields that hold other dataclasses of this module."""
