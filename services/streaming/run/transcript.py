"""What a run has said so far, and how that ends: the last events of every run are made here.

Also how large an event may be. Knows nothing of readers, logs or bytes on a socket.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

from ...errors import RiverrunError, SetupError
from ..events import (
    Event,
    Failure,
    Final,
    Partial,
    Reset,
    Result,
    Source,
    Sources,
    Spent,
    Status,
    Terminal,
    Token,
    Usage,
    clean,
    payload,
)

log = logging.getLogger("riverrun.run")

# The clients of the user's document lose an event that does not fit in one socket read of
# 64 KiB, so an event is trimmed before it gets there.
EVENT_LIMIT = 60_000

# What an event costs to hold besides its text, in bytes.
EVENT_OVERHEAD = 256

# A longer token is cut, in characters: at six bytes each (a control character in JSON) it
# still fits.
TOKEN_LIMIT = 8 * 1024

# What a status has in its data that says that another invocation goes on with the answer.
REACH = "goesOnAt"


class Go(NamedTuple):
    """What a producer that is gone did after the last word of what the run cost.

    The answer had `begun` characters then and it `said` more; `step` is the name of the step
    that it was at, "" where it was between two.
    """

    begun: int
    said: str
    step: str


@dataclass(slots=True, kw_only=True)
class Transcript:
    """The memory of one run, filled by `note`, spent by one of the three endings.

    `started` is in epoch seconds. `size` is about what the run takes in memory so far, in bytes.
    `idle` is how often in a row the run was gone on with at one place, `reach` that place, in
    characters of the answer. `usage` is what the run said that it cost; what was done since and
    nobody told the cost of is `untold`, and what was `said` from byte `since` on.

    `said` is the answer in UTF-8: kept as the strings it came in, it takes four times the room.
    """

    run_id: str
    started: float
    session_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    said: bytearray = field(default_factory=bytearray)
    sources: tuple[Source, ...] = ()
    usage: Usage | None = None
    steps: dict[int, Status] = field(default_factory=dict)
    size: int = 0
    reach: int = 0
    idle: int = 0
    untold: list[Go] = field(default_factory=list)
    since: int = 0

    @property
    def text(self) -> str:
        """The answer so far."""
        return self.said.decode()

    @property
    def last_step(self) -> Status | None:
        """The step that the run is at; None before the first."""
        return self.steps[max(self.steps)] if self.steps else None

    def note(self, event: Event) -> None:
        """Remember what an ending needs of `event`."""
        self.size += EVENT_OVERHEAD
        if isinstance(event, Token):
            self.said += event.text.encode()
            self.size += len(event.text)
        elif isinstance(event, Status):
            self.size += len(payload(event))
            if event.data and (reach := event.data.get(REACH)) is not None:
                self.idle = self.idle + 1 if reach == self.reach else 1
                self.reach = reach
                self._leave()
            self.steps[event.step] = event
        elif isinstance(event, Sources):
            self.sources = event.sources
        elif isinstance(event, Spent):
            self.usage = event.usage
            self.untold.clear()
            self.since = len(self.said)
        elif isinstance(event, Reset):
            if self.since < len(self.said):
                self._leave()  # nobody will read it, and it was paid for
            self.said.clear()
            self.since = 0

    def _leave(self) -> None:
        """Whoever produced this run does so no more."""
        last = self.last_step
        busy = last is not None and last.status in ("pending", "executing")
        self.untold.append(
            Go(
                begun=self._told,
                said=self.said[self.since :].decode(),
                step=(last.name or "") if last is not None and busy else "",
            )
        )
        self.since = len(self.said)

    @property
    def _told(self) -> int:
        return len(self.said[: self.since].decode())

    def account(self) -> dict[str, Any]:
        """What cannot be seen from a log that lacks some events, as JSON. See `recall`."""
        return {"untold": self.untold, "told": self._told}

    def recall(self, account: Mapping[str, Any]) -> None:
        """Know what an `account` of this very place of the run says."""
        self.untold = [Go(*go) for go in account["untold"]]
        self.since = len(self.text[: account["told"]].encode())

    def ending(self, terminal: Terminal, now: float) -> tuple[Event, ...]:
        """The last events of a run whose producer said (or implied) how it ended."""
        if isinstance(terminal, Failure):
            return self._failure(terminal, now)
        said, answer = self.text, clean(terminal.result.answer)
        if not said and not answer:
            empty = RiverrunError("The answer came out empty.", code="provider_truncated")
            return self.failed(empty, now)
        if said and answer not in ("", said):
            log.warning("Run %s: the result differs from its tokens; tokens win.", self.run_id)
        final = Final(self._complete(replace(terminal.result, answer=said or answer), now))
        return (final,) if said else (*pieces(answer), final)

    def stopped(self, now: float) -> tuple[Event, ...]:
        """The last events of a run that was asked to stop: what was said is kept."""
        if not self.said:
            return self.failed(RiverrunError("The answer was stopped.", code="cancelled"), now)
        result = Result(answer=self.text, finish_reason="cancelled")
        return (Final(self._complete(result, now)),)

    def failed(self, error: RiverrunError, now: float) -> tuple[Event, ...]:
        """The last events of a run that failed: the failed step, then the error."""
        return self._failure(failure_of(error), now)

    def _failure(self, failure: Failure, now: float) -> tuple[Event, ...]:
        last = self.last_step
        before: tuple[Event, ...] = ()
        if last is not None and last.status in ("pending", "executing"):
            last = replace(last, status="failed", timestamp=int(now * 1000))
            self.note(last)
            before = (last,)
        step = last.step if last is not None and last.status == "failed" else None
        partial = failure.partial
        completed = replace(
            failure,
            run_id=self.run_id,
            step=failure.step or step,
            partial=fit(partial) if partial is not None else self.partial(),
        )
        return (*before, completed)

    def partial(self) -> Partial | None:
        """What there is of the answer; None when there is nothing of it."""
        if not self.said and not self.sources:
            return None
        return fit(Partial(answer=self.text, sources=self.sources, steps=self._steps()))

    def _complete(self, result: Result, now: float) -> Result:
        return fit(
            replace(
                result,
                run_id=self.run_id,
                session_id=result.session_id or self.session_id,
                metadata=result.metadata or self.metadata,
                steps=result.steps or self._steps(),
                sources=result.sources or self.sources,
                usage=result.usage or self.usage,
                execution_time_ms=max(0, round((now - self.started) * 1000)),
            )
        )

    def _steps(self) -> tuple[Status, ...]:
        return tuple(self.steps[step] for step in sorted(self.steps))


def failure_of(error: RiverrunError) -> Failure:
    """`error` as the event that a client is shown."""
    # Whoever asked cannot mend an installation, and its paths are none of their business.
    internal = isinstance(error, SetupError)
    return Failure(
        error="This service is not set up correctly." if internal else error.message,
        code=error.code,
        retryable=error.retryable,
        retry_after_ms=error.retry_after_ms,
        hint="Its log says what to do." if internal else error.hint,
    )


def pieces(text: str) -> tuple[Token, ...]:
    """`text` as tokens of at most `TOKEN_LIMIT` characters; none for no text."""
    text = clean(text)
    if 0 < len(text) <= TOKEN_LIMIT:
        return (Token(text),)
    return tuple(
        Token(text[start : start + TOKEN_LIMIT]) for start in range(0, len(text), TOKEN_LIMIT)
    )


def slim(event: Event) -> Event:
    """`event`, without its data or snippets where they would make it larger than `EVENT_LIMIT`.

    Raises what `payload` raises for an event that cannot be written at all, so that it is found
    while it can still become an error of its run.
    """
    if len(payload(event)) <= EVENT_LIMIT:
        return event
    if isinstance(event, Status):
        return replace(event, data=None)
    if isinstance(event, Sources):
        return Sources(_without_snippets(event.sources))
    return event


Said = TypeVar("Said", Result, Partial)


def fit(said: Said, limit: int = EVENT_LIMIT) -> Said:
    """`said`, trimmed until its JSON has at most `limit` bytes where trimming can do that.

    Snippets go first, then the data of steps, then whatever else leaves room for the answer,
    which is never cut. A trimmed result says `truncated`.
    """
    for trim in _trims(said, limit):
        if _size(said) <= limit:
            return said
        said = replace(said, **trim)
    return said


def _trims(said: Result | Partial, limit: int) -> Iterator[dict[str, Any]]:
    mark = {"truncated": True} if isinstance(said, Result) else {}
    yield {"sources": _without_snippets(said.sources), **mark}
    yield {"steps": tuple(replace(step, data=None) for step in said.steps)}
    if len(said.answer) < limit:
        if isinstance(said, Result):
            yield {"metadata": {}}
        yield {"steps": ()}
        yield {"sources": ()}


def _without_snippets(sources: tuple[Source, ...]) -> tuple[Source, ...]:
    return tuple(replace(source, snippet="") for source in sources)


def _size(said: Result | Partial) -> int:
    if isinstance(said, Result):
        return len(payload(Final(said)))
    return len(payload(Failure(error="", code="", partial=said)))
