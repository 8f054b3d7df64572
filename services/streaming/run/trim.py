"""Make events short enough for every reader and every store."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from ..event_json import payload
from ..events import ErrorEvent, Event, Final, Partial, Result, Source, Sources, Status

# The simplest clients (docs/clients.md) lose an event that does not fit in one socket read of
# 64 KiB, so an event is trimmed before it gets there.
EVENT_LIMIT = 60_000

# A result as JSON fits into one entry of every store, in bytes; one that does not is cut to so many
# characters, each of which takes six bytes at most.
RESULT_LIMIT = 2_500_000
CUT_ANSWER = 400_000

# Where an event is still too long, no name, title or sentence in it is longer, in characters.
CUT_TEXT = 2000

logger = logging.getLogger("riverrun.run")


def trim_event(event: Event) -> Event:
    """Return `event`, without data, texts or snippets where they exceed `EVENT_LIMIT`.

    Where that is not enough its texts are cut, and of more sources than an entry holds the first
    are kept. Raises what `payload` raises for an event that cannot be written at all, so that it is
    found while it can still become an error of its run.
    """
    for shorten in (_drop_whole, _drop_snippets, cut_texts):
        if len(payload(event)) <= EVENT_LIMIT:
            return event
        event = shorten(event)
    while isinstance(event, Sources) and len(payload(event)) > RESULT_LIMIT:
        event = Sources(event.sources[: len(event.sources) // 2])
    return event


def _drop_whole(event: Event) -> Event:
    if isinstance(event, Status):
        return replace(event, data=None)
    if isinstance(event, Sources):
        return Sources(_without_texts(event.sources))
    return event


def _drop_snippets(event: Event) -> Event:
    return Sources(_without_snippets(event.sources)) if isinstance(event, Sources) else event


def cut_texts(value: Any, keep: frozenset[str] = frozenset()) -> Any:
    """Return `value` without texts over `CUT_TEXT` characters, but in the fields to `keep`."""
    if isinstance(value, str):
        return value if len(value) <= CUT_TEXT else f"{value[: CUT_TEXT - 1]}…"
    if isinstance(value, tuple):
        return tuple(cut_texts(one) for one in value)
    if isinstance(value, Mapping):
        return {cut_texts(name): cut_texts(one) for name, one in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value) if field.name not in keep]
        return replace(value, **{name: cut_texts(getattr(value, name)) for name in names})
    return value


Trimmable = TypeVar("Trimmable", Result, Partial)


def trim_answer(answer: Trimmable, limit: int = EVENT_LIMIT) -> Trimmable:
    """Return `answer`, trimmed until its JSON has at most `limit` bytes where trimming can do that.

    Whole passages go first, then snippets, then the data of steps, then whatever else leaves room
    for the answer, which is cut only where no store would take it. A trimmed result says
    `truncated`.
    """
    for trim in _trims(answer, limit):
        if _size(answer) <= limit:
            return answer
        answer = replace(answer, **trim)
    if _size(answer) > RESULT_LIMIT:
        logger.warning("An answer was too long for one event; its tokens have all of it.")
        answer = replace(answer, answer=answer.answer[:CUT_ANSWER], sources=(), steps=())
        if isinstance(answer, Result):
            answer = replace(answer, metadata={}, tools_used=(), follow_ups=None)
        answer = cut_texts(answer, frozenset({"answer"}))
    return answer


def _trims(answer: Result | Partial, limit: int) -> Iterator[dict[str, Any]]:
    mark = {"truncated": True} if isinstance(answer, Result) else {}
    yield {"sources": _without_texts(answer.sources), **mark}
    yield {"sources": _without_snippets(answer.sources), **mark}
    yield {"steps": tuple(replace(step, data=None) for step in answer.steps)}
    if len(answer.answer) < limit:
        if isinstance(answer, Result):
            yield {"metadata": {}}
        yield {"steps": ()}
        yield {"sources": ()}


def _without_snippets(sources: tuple[Source, ...]) -> tuple[Source, ...]:
    return tuple(replace(source, snippet="", text=None, quotes=None) for source in sources)


def _without_texts(sources: tuple[Source, ...]) -> tuple[Source, ...]:
    return tuple(replace(source, text=None) for source in sources)


def _size(answer: Result | Partial) -> int:
    if isinstance(answer, Result):
        return len(payload(Final(answer)))
    return len(payload(ErrorEvent(error="", code="", partial=answer)))
