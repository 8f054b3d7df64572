"""Ways to show a run as it comes: plain text, one JSON object, a line of JSON an event.

Each is a context manager with the same four verbs; `riverrun_client.cli.terminal` has the one
with colours. What is printed went through `escape_text`.
"""

import sys
from collections.abc import Mapping
from typing import Any, Protocol, Self, TextIO

from riverrun_client.cli.escape import escape_json, escape_line, escape_text
from riverrun_client.errors import GaveUpError, RiverrunError
from riverrun_client.events import Event, Final, Notice, Reset, Result, RetryNotice, Status, Token


class View(Protocol):
    """What a command shows a run with."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, event: Event) -> None:
        """An event, as it comes."""

    def note(self, text: str) -> None:
        """Something about the connection, for a person."""

    def fail(self, error: RiverrunError) -> None:
        """There is no answer."""


class PlainView:
    """The answer on standard output as it is written; everything else on standard error."""

    def __init__(self, out: TextIO, err: TextIO, *, quiet: bool = False) -> None:
        self._out = out
        self._err = err
        self._quiet = quiet
        self._shown = ""
        self._step = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_line()

    def show(self, event: Event) -> None:
        """Print it."""
        match event:
            case Status():
                self._status(event)
            case Token():
                self._write(event.text)
            case Reset():
                self._end_line()
                self._shown = ""
                self.note(f"The answer begins again: {event.reason}")
            case Notice():
                self.note(event.message)
            case Final():
                self._final(event.result)

    def note(self, text: str) -> None:
        """On standard error, unless quiet."""
        if not self._quiet:
            print(f"- {escape_line(text)}", file=self._err, flush=True)

    def fail(self, error: RiverrunError) -> None:
        """On standard error, also when quiet."""
        self._end_line()
        for line in describe_error(error):
            print(line, file=self._err, flush=True)

    def _status(self, status: Status) -> None:
        # What is being done; that it is done, the next one says, and in the end the answer.
        if status.status == "completed" or self._shown or status.description == self._step:
            return
        self._step = status.description
        self.note(status.description)

    def _final(self, result: Result) -> None:
        if not self._shown:
            self._write(result.answer)
        self._end_line()
        if result.sources and not self._quiet:
            print("\nSources", file=self._out)
            for number, source in enumerate(result.sources, start=1):
                where = f"  {escape_line(source.uri)}" if source.uri else ""
                print(f"  [{number}] {escape_line(source.title)}{where}", file=self._out)
        self._out.flush()
        if result.session_id:
            self.note(f"session {result.session_id}")
        if (ending := describe_unusual_end(result)) is not None:
            print(ending, file=self._err, flush=True)

    def _write(self, text: str) -> None:
        self._out.write(escape_text(text))
        self._out.flush()
        # Only how it ends is asked again, and whether there was any.
        self._shown = text[-1:] or self._shown

    def _end_line(self) -> None:
        if self._shown and not self._shown.endswith("\n"):
            self._write("\n")


class JsonView:
    """The result, or the error, as one JSON object."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, event: Event) -> None:
        """Only the end is of interest."""
        if isinstance(event, Final):
            print(escape_json(event.result.raw), file=self._out, flush=True)

    def note(self, text: str) -> None:
        """Ignore it: only the JSON is read."""

    def fail(self, error: RiverrunError) -> None:
        """The contract's error object."""
        print(escape_json(error_object(error)), file=self._out, flush=True)


class NdjsonView:
    """Every event as a line of JSON, as it comes, with its id in the object."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, event: Event) -> None:
        """A line."""
        named = {"id": event.id} if event.id else {}
        print(escape_json({**named, **event.raw}), file=self._out, flush=True)

    def note(self, text: str) -> None:
        """Ignore it: only the JSON is read."""

    def fail(self, error: RiverrunError) -> None:
        """The last line."""
        print(escape_json(error_object(error)), file=self._out, flush=True)


def error_object(error: RiverrunError) -> Mapping[str, Any]:
    """Return an error in the contract's form, also one that the client found."""
    if error.raw and isinstance(error.raw.get("error"), str):
        return {"type": "error", **error.raw}
    known = {
        "type": "error",
        "error": error.message,
        "code": error.code,
        "retryable": error.retryable,
        "retryAfterMs": None if error.retry_after is None else int(error.retry_after * 1000),
        "runId": error.run_id,
        "partial": {"answer": error.partial.answer} if error.partial.answer else None,
        "hint": error.hint,
        "cursor": error.cursor,
    }
    return {name: value for name, value in known.items() if value is not None}


def describe_error(error: RiverrunError) -> list[str]:
    """An error for a person: what happened, what to do, where to go on."""
    lines = [f"{escape_line(str(error))} ({escape_line(error.code)})"]
    details = (error.raw or {}).get("details")
    lines += [
        escape_line(f"  {detail.get('field')}: {detail.get('message')}")
        for detail in (details if isinstance(details, list) else [])
        if isinstance(detail, dict)
    ]
    if isinstance(error, GaveUpError) and error.cursor:
        lines.append(f"  riverrun watch {escape_line(error.cursor)}")
    return lines


def describe_retry(news: RetryNotice) -> str:
    """What to tell a person about a lost connection."""
    if news.paused:
        return f"The server asked to come back ({news.reason}); going on."
    return f"{news.reason} Try {news.attempt} in {news.wait:.1f} s."


def describe_unusual_end(result: Result) -> str | None:
    """What to say about an answer that is not whole."""
    return {
        "length": "The answer was cut at the model's limit.",
        "budget": "The answer was cut: the budget is spent.",
        "cancelled": "The run was stopped.",
    }.get(result.finish_reason)


def open_output() -> tuple[TextIO, TextIO]:
    """Standard output and error, which write what they cannot encode as "?" and do not fail."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    return sys.stdout, sys.stderr
