"""What a run has said so far, and how that ends: the last events of every run are made here.

Also how large an event may be. Knows nothing of readers, logs or bytes on a socket.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ...errors import RiverrunError, SetupError
from ..event_json import clean, payload
from ..events import (
    ErrorEvent,
    Event,
    Final,
    Partial,
    Reset,
    Result,
    Source,
    Sources,
    Status,
    Terminal,
    Token,
    Usage,
    UsageEvent,
)
from ..question import Earlier, UnbilledSegment
from .trim import cut_texts, trim_answer

logger = logging.getLogger("riverrun.run")

# What an event costs to hold besides its text, in bytes.
EVENT_OVERHEAD = 256

# A longer token is cut, in characters: at six bytes each (a control character in JSON) it
# still fits.
TOKEN_LIMIT = 8 * 1024


@dataclass(slots=True, kw_only=True)
class Transcript:
    """What one run said, filled by `note` and made into its last events by one of three endings.

    `started` is in epoch seconds. `answer` is the answer in UTF-8: as the strings it came in, it
    would take four times the room. `size` is about what the run takes in memory, in bytes.

    `resumed_at` is the place, in characters of the answer, where the run was last resumed, and
    `idle_resumes` how often in a row it was resumed there. `usage` is the run's last report of its
    cost, which covers the first `billed_bytes` bytes of the answer; `unbilled` are the segments
    that earlier producers added without a report. `half_character` is the first half of a surrogate
    pair whose second half has not come yet.
    """

    run_id: str
    started: float
    session_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    half_character: str = ""
    answer: bytearray = field(default_factory=bytearray)
    sources: tuple[Source, ...] = ()
    usage: Usage | None = None
    steps: dict[int, Status] = field(default_factory=dict)
    size: int = 0
    resumed_at: int = 0
    idle_resumes: int = 0
    unbilled: list[UnbilledSegment] = field(default_factory=list)
    billed_bytes: int = 0

    @property
    def text(self) -> str:
        """The answer so far."""
        return self.answer.decode()

    @property
    def last_step(self) -> Status | None:
        """The step that the run is at; None before the first."""
        return self.steps[max(self.steps)] if self.steps else None

    def note(self, event: Event) -> None:
        """Remember what an ending needs of `event`."""
        self.size += EVENT_OVERHEAD
        if isinstance(event, Token):
            self.answer += event.text.encode()
            self.size += len(event.text)
        elif isinstance(event, Status):
            self.size += len(payload(event))
            self.steps[event.step] = event
        elif isinstance(event, Sources):
            self.sources = event.sources
        elif isinstance(event, UsageEvent):
            self.usage = event.usage
            self.unbilled.clear()
            self.billed_bytes = len(self.answer)
        elif isinstance(event, Reset):
            if self.billed_bytes < len(self.answer):
                self._close_segment()  # it was paid for, though no reader keeps it
            self.answer.clear()
            self.billed_bytes = 0

    def note_resumed(self, status: Status) -> None:
        """Remember that another producer goes on here, which says so with `status`."""
        place = len(self.text)
        self.idle_resumes = self.idle_resumes + 1 if place == self.resumed_at else 1
        self.resumed_at = place
        self._close_segment()
        self.note(status)

    def _close_segment(self) -> None:
        last = self.last_step
        busy = last is not None and last.status in ("pending", "executing")
        self.unbilled.append(
            UnbilledSegment(
                start=self._billed_length,
                text=self.answer[self.billed_bytes :].decode(),
                step=(last.name or "") if last is not None and busy else "",
            )
        )
        self.billed_bytes = len(self.answer)

    def complete_character(self, text: str) -> str:
        """Return `text` behind the half character that waits; one that it ends with waits next.

        A model's deltas may cut a character in two: each half alone could not be written.
        """
        text = self.half_character + text
        self.half_character = text[-1] if text and "\ud800" <= text[-1] <= "\udbff" else ""
        return text[:-1] if self.half_character else text

    @property
    def _billed_length(self) -> int:
        return len(self.answer[: self.billed_bytes].decode())

    def billing_state(self) -> dict[str, Any]:
        """Return, as JSON, what a log that lacks some events does not show of costs and resumes."""
        return {
            "unbilled": self.unbilled,
            "billed": self._billed_length,
            "resumed_at": self.resumed_at,
            "idle_resumes": self.idle_resumes,
        }

    def restore_billing(self, state: Mapping[str, Any]) -> None:
        """Take over a `billing_state` that was made at this place of the run."""
        self.unbilled = [UnbilledSegment(*segment) for segment in state["unbilled"]]
        self.billed_bytes = len(self.text[: state["billed"]].encode())
        self.resumed_at, self.idle_resumes = state["resumed_at"], state["idle_resumes"]

    def take_earlier(self) -> Earlier:
        """Return a copy of what a producer needs that goes on with this answer."""
        return Earlier(
            sources=self.sources,
            usage=self.usage,
            last_step=self.last_step,
            unbilled=tuple(self.unbilled),
        )

    def make_ending(self, terminal: Terminal, now: float) -> tuple[Event, ...]:
        """Return the last events of a run whose producer said (or implied) how it ended."""
        if isinstance(terminal, ErrorEvent):
            return self._failure(terminal, now)
        said, answer = self.text, clean(terminal.result.answer)
        if not said and not answer:
            empty = RiverrunError("The answer came out empty.", code="provider_truncated")
            return self.make_failed_ending(empty, now)
        if said and answer not in ("", said):
            logger.warning("Run %s: the result differs from its tokens; tokens win.", self.run_id)
        final = Final(self._complete(replace(terminal.result, answer=said or answer), now))
        return (final,) if said else (*split_tokens(answer), final)

    def make_stopped_ending(self, now: float) -> tuple[Event, ...]:
        """Return the last events of a run that was asked to stop: what was said is kept."""
        if not self.answer:
            return self.make_failed_ending(
                RiverrunError("The answer was stopped.", code="cancelled"), now
            )
        result = Result(answer=self.text, finish_reason="cancelled")
        return (Final(self._complete(result, now)),)

    def make_failed_ending(self, error: RiverrunError, now: float) -> tuple[Event, ...]:
        """Return the last events of a run that failed: the failed step, then the error."""
        return self._failure(make_error_event(error), now)

    def _failure(self, failure: ErrorEvent, now: float) -> tuple[Event, ...]:
        last = self.last_step
        before: tuple[Event, ...] = ()
        if last is not None and last.status in ("pending", "executing"):
            last = replace(last, status="failed", timestamp=int(now * 1000))
            self.note(last)
            before = (last,)
        step = last.step if last is not None and last.status == "failed" else None
        partial = failure.partial
        completed = replace(
            cut_texts(failure, frozenset({"partial"})),
            run_id=self.run_id,
            step=failure.step or step,
            partial=trim_answer(partial) if partial is not None else self.partial(),
        )
        return (*before, completed)

    def partial(self) -> Partial | None:
        """Return what there is of the answer; None when there is nothing of it."""
        if not self.answer and not self.sources:
            return None
        return trim_answer(Partial(answer=self.text, sources=self.sources, steps=self._steps()))

    def _complete(self, result: Result, now: float) -> Result:
        return trim_answer(
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


def make_error_event(error: RiverrunError) -> ErrorEvent:
    """Return `error` as the event that a client is shown."""
    # A client cannot mend an installation, and has no business with its paths.
    internal = isinstance(error, SetupError)
    return ErrorEvent(
        error="This service is not set up correctly." if internal else error.message,
        code=error.code,
        retryable=error.retryable,
        retry_after_ms=error.retry_after_ms,
        hint="Its log says what to do." if internal else error.hint,
    )


def split_tokens(text: str) -> tuple[Token, ...]:
    """Return `text` as tokens of at most `TOKEN_LIMIT` characters; none for no text."""
    text = clean(text)
    if 0 < len(text) <= TOKEN_LIMIT:
        return (Token(text),)
    return tuple(
        Token(text[start : start + TOKEN_LIMIT]) for start in range(0, len(text), TOKEN_LIMIT)
    )
