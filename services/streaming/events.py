"""What a run can say: the events of the wire contract, light enough to make one per token.

Their JSON (the contract, section 3) is in `event_json.py`. Nothing here knows how an
event is framed, stored or sent; strangers' JSON is validated in `http/request_model.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..chat.citations import Grounding

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
    """A passage the answer may cite, as clients see it.

    `text` is the whole passage, as far as it fits; `quotes` are the places in it, in UTF-16
    units, of what the answer quotes; `cited` says whether the answer names it; `href` is where
    this server opens the document it stands in.
    """

    id: str
    title: str
    uri: str
    score: float
    snippet: str
    text: str | None = None
    quotes: tuple[tuple[int, int], ...] | None = None
    cited: bool | None = None
    href: str | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """The passages that were found, in the order the citations count them."""

    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the answer cost: tokens in and out, and US dollars where a price is known.

    `reasoning_tokens` of the output were thought and not said; None where none are known.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    reasoning_tokens: int | None = None


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
    follow_ups: tuple[str, ...] | None = None


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
