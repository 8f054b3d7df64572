"""Runs and events as lines for a terminal: short, and with nothing in them that a terminal obeys.

What a model or a stranger wrote is text here and stays text: control characters, invisible ones
and those that turn the direction of writing are spelled out.
"""

import json
import time
from collections.abc import Mapping
from typing import Any

from ...json_input import parse_json
from ..log import Entry, Run, Summary

WIDTH = 60
ID_WIDTH = 8


def escape(text: str) -> str:
    """`text` in one line, with what a terminal would obey spelled out (``\\x1b``)."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def query_of(run: Run) -> str:
    """The words of a run's question, "" when they were not kept."""
    try:
        kept = parse_json(run.question)
    except ValueError:
        return ""
    query = kept.get("query") if isinstance(kept, dict) else None
    return query if isinstance(query, str) else ""


def format_state(summary: Summary, last: Entry | None, now: float) -> str:
    """One word for how a run is doing."""
    if last is not None and last.terminal:
        event = _object(last.payload)
        if last.kind == "error":
            return f"failed: {event.get('code')}"
        result = event.get("result")
        reason = result.get("finishReason") if isinstance(result, Mapping) else None
        return "stopped" if reason == "cancelled" else "completed"
    return "running" if summary.run.lease_until > now else "paused"


def format_feedback(feedback: bytes) -> str:
    """What a reader thinks of a run: `+` or `-`, and the comment; "" when nothing was said."""
    said = _object(feedback) if feedback else {}
    mark = {"up": "+", "down": "-"}.get(str(said.get("rating")), "")
    return " ".join(part for part in (mark, escape(str(said.get("comment", "")))) if part)


def run_line(summary: Summary, last: Entry | None, now: float, feedback: bytes = b"") -> str:
    """A run in one line of the list."""
    run = summary.run
    state = escape(format_state(summary, last, now))
    words = _cut(" ".join(query_of(run).split()))
    rating = format_feedback(feedback)[:1]
    return (
        f"{run.id[:ID_WIDTH]}  {_age(now - run.created):>5}  {state:<24} {summary.last:>6}"
        f"  {rating:1}  {words}"
    )


HEADING = f"{'run':<{ID_WIDTH}}  {'age':>5}  {'state':<24} {'events':>6}  ±  question"


def run_lines(summary: Summary, last: Entry | None, now: float, feedback: bytes = b"") -> list[str]:
    """A run, over its events."""
    run = summary.run
    created = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.created))
    return [
        f"run       {run.id}",
        f"created   {created} ({_age(now - run.created)} ago)",
        f"state     {escape(format_state(summary, last, now))}, {summary.last} events",
        f"question  {escape(query_of(run))}",
        *([f"feedback  {format_feedback(feedback)}"] if feedback else []),
        "",
    ]


def entry_line(entry: Entry, seconds: float | None) -> str:
    """An event in one line; `seconds` since the run was made, None where the time was not taken."""
    at = "" if seconds is None else f"{seconds:.3f}"
    return f"{entry.seq:>6}  {at:>9}  {escape(entry.kind):<8} {escape(_describe(entry))}"


def _describe(entry: Entry) -> str:
    event = _object(entry.payload)
    tell = _DESCRIPTIONS.get(entry.kind)
    try:
        return tell(event) if tell is not None else _json(event)
    except (KeyError, TypeError, AttributeError):
        return _json(event)


def _status(event: Mapping[str, Any]) -> str:
    status = event["status"]
    return f"{status['step']}. {status['description']} ({status['status']})"


def _sources(event: Mapping[str, Any]) -> str:
    return "; ".join(f"[{n}] {source['title']}" for n, source in enumerate(event["sources"], 1))


def _final(event: Mapping[str, Any]) -> str:
    result = event["result"]
    told = f"{result['finishReason']}, {len(result['answer'])} characters"
    usage = result.get("usage")
    return f"{told}, {_json(usage)}" if usage else told


def _error(event: Mapping[str, Any]) -> str:
    return f"{event['code']}: {event['error']}"


_DESCRIPTIONS = {
    "status": _status,
    "resumed": _status,
    "token": lambda event: json.dumps(event["text"], ensure_ascii=False),
    "sources": _sources,
    "final": _final,
    "error": _error,
}


def _object(payload: bytes) -> Mapping[str, Any]:
    try:
        value = parse_json(payload)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"payload": payload.decode("utf-8", "replace")}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _cut(words: str) -> str:
    # Cut before it is spelled out, and measured after.
    text = escape(words[: WIDTH + 1])
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


def _age(seconds: float) -> str:
    seconds = max(0.0, seconds)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"
