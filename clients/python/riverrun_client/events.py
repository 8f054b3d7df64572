"""What a run says, as a client sees it: one frozen dataclass for each type of the contract.

A field that is missing has its default and a field that is not known is in `raw`: a newer server
must not break an older client.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

JSON = Mapping[str, Any]


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
    follow_ups: tuple[str, ...] = ()
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
