"""A question, as the house has it: light, and checked at the edge before it gets here."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic_core import from_json, to_json

from ..errors import RiverrunError
from .events import Source, Status, Usage

Include = Literal["tokens", "sources", "usage"]
# A UUID, or as many random characters.
_UNGUESSABLE = re.compile(r"[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}|[\w-]{32,}")

INCLUDE_ALL: frozenset[Include] = frozenset({"tokens", "sources", "usage"})


class InvalidQuestionError(RiverrunError):
    """The request was understood and is not acceptable; `details` names the fields."""

    code = "validation_error"

    def __init__(self, details: tuple[Mapping[str, str], ...]) -> None:
        first = details[0]
        super().__init__(f"{first['field'] or 'The request'} {first['message']}.")
        self.details = details


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderTerms:
    """The terms on which one reader reads: for how long, and whether it comes back.

    `resume` says that it knows `paused` and goes on from its cursor. `seconds_left` is what the
    platform still gives this invocation, `response_seconds_left` what is left until whatever stands
    in front of it cuts the body; None: no end in sight. Both are as of `measured_at`, by the event
    loop's clock: what is waited for before they are used comes off them. None: as of when they are
    handed in.
    """

    resume: bool = False
    seconds_left: float | None = None
    response_seconds_left: float | None = None
    measured_at: float | None = field(default=None, compare=False)


class UnbilledSegment(NamedTuple):
    """What an earlier producer wrote after the run's last report of its usage.

    The answer had `start` characters then, and `text` is what it added. `step` is the name of the
    step it was at; "" where it was between two.
    """

    start: int
    text: str
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What earlier producers of a run did, besides the text of its answer."""

    sources: tuple[Source, ...] = ()
    usage: Usage | None = None
    last_step: Status | None = None
    unbilled: tuple[UnbilledSegment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question, and how its client wants to be answered.

    `streaming` is None when the request left it to its `Accept` header. `session_id` None means no
    memory, "" a new session. `owner` may read the run; `principal` is whose limits it counts for;
    `traceparent` names the caller's span. `resume`, `seconds_left`, `response_seconds_left` and
    `measured_at` are those of `ReaderTerms`. `so_far` is what earlier invocations already said of
    the answer: the producer that goes on with it says only what comes after it. `earlier` is all
    that is known of them. `history` is the conversation as the client tells it, (question, answer)
    pairs, oldest first; `names` are the ids and the model by which the client knows the run,
    `options` what this reader wants of its dialect (`encoders.RunInfo`).
    """

    query: str
    streaming: bool | None = None
    session_id: str | None = None
    top_k: int = 5
    include: frozenset[Include] = INCLUDE_ALL
    metadata: Mapping[str, str] = field(default_factory=dict)
    owner: str | None = None
    principal: str = "open"
    traceparent: str = ""
    idempotency_key: str | None = None
    dialect: str = "native"
    history: tuple[tuple[str, str], ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    resume: bool = False
    seconds_left: float | None = None
    response_seconds_left: float | None = None
    measured_at: float | None = field(default=None, compare=False)
    so_far: str = ""
    earlier: Earlier | None = None

    @property
    def reader(self) -> ReaderTerms:
        """The client that asks, as the first reader of the answer."""
        return ReaderTerms(
            resume=self.resume,
            seconds_left=self.seconds_left,
            response_seconds_left=self.response_seconds_left,
            measured_at=self.measured_at,
        )


_Terms = TypeVar("_Terms", ReaderTerms, Question)


def read_clock() -> float | None:
    """Return the event loop's time, by which terms are measured; None where no loop runs."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return None


def start_clock(terms: _Terms) -> _Terms:
    """Return `terms` whose time runs: from now, unless it was measured before."""
    if terms.measured_at is not None:
        return terms
    return replace(terms, measured_at=read_clock())


def take_off_elapsed(terms: _Terms) -> _Terms:
    """Return `terms` as of now: what was waited for since they were measured is taken off."""
    now = asyncio.get_running_loop().time()
    spent = 0.0 if terms.measured_at is None else now - terms.measured_at
    left, front = terms.seconds_left, terms.response_seconds_left
    return replace(
        terms,
        seconds_left=None if left is None else left - spent,
        response_seconds_left=None if front is None else front - spent,
        measured_at=now,
    )


# A kept question has these fields also where they are empty.
_KEPT = frozenset({"producer", "query", "sessionId", "top_k", "include", "metadata"})


def dump_question(question: Question, producer: str | None = "") -> bytes:
    """Return what the log keeps of a question, as JSON: enough to know, and to go on answering, it.

    `producer` is the name of what can go on: "" the pipeline, None no producer.
    """
    kept = {
        "producer": producer,
        "query": question.query,
        "sessionId": question.session_id,
        "top_k": question.top_k,
        "include": sorted(question.include),
        "metadata": question.metadata,
        "history": question.history,
        "names": question.names,
    }
    return to_json({name: value for name, value in kept.items() if value or name in _KEPT})


def read_producer_name(kept: bytes) -> str | None:
    """Return the name of what can go on with a kept question: "" the pipeline, None nothing."""
    producer = from_json(kept).get("producer") if kept else None
    return producer if isinstance(producer, str) else None


def read_names(kept: bytes) -> dict[str, str]:
    """Return the names by which a client knows the run of a kept question."""
    return dict(from_json(kept).get("names", {})) if kept else {}


def load_question(kept: bytes, **known: Any) -> Question:
    """Return the question that `dump_question` kept; `known` is what it did not keep."""
    said = from_json(kept)
    return Question(
        query=said["query"],
        session_id=said["sessionId"],
        top_k=said["top_k"],
        include=frozenset(said["include"]),
        metadata=said["metadata"],
        history=tuple((asked, told) for asked, told in said.get("history", ())),
        names=said.get("names", {}),
        **known,
    )


def can_be_guessed(name: str) -> bool:
    """Return whether another client could come upon `name`, which a client gave to its own."""
    if _UNGUESSABLE.fullmatch(name):
        return False
    # What the AI SDK makes for a chat: sixteen of 62 characters; words rarely have all three kinds.
    return not (
        len(name) >= 16
        and name.isascii()
        and name.isalnum()
        and all(re.search(kind, name) for kind in ("[0-9]", "[a-z]", "[A-Z]"))
    )
