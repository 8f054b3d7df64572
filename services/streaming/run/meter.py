"""Measure one run while this process produces it: when what came, and how it ended.

Sees every event before it goes out, and keeps figures, never texts.
"""

import time
from collections.abc import Callable

from ...telemetry import RunRecord
from ...telemetry.traces import TraceStep
from ..events import ErrorEvent, Event, Final, Sources, Status, Token, Usage
from ..question import Question
from .task import RunTask

# Steps of one run that are kept; a producer of its own may have thousands.
_STEPS = 50


class RunMeter:
    """The figures of one run from `start` on, in epoch seconds. `traceparent` is the caller's."""

    def __init__(
        self,
        question: Question,
        *,
        traceparent: str = "",
        usage: Usage | None = None,
        resumed: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.traceparent = traceparent
        self.start = clock()
        self.steps: list[TraceStep] = []
        self._question = question
        self._before = usage
        self._resumed = resumed
        self._clock = clock
        self._begun: dict[str, int] = {}
        self._first_event: int | None = None
        self._first_token: int | None = None
        self._sources = 0
        self._model: str | None = None
        self._code: str | None = None
        # When the answer would end, as the first status with an `etaMs` had it.
        self._expected_end: int | None = None
        self._eta_error: int | None = None

    def __call__(self, event: Event) -> None:
        """See one event."""
        if self._first_event is None:
            self._first_event = self._elapsed()
        if isinstance(event, Token):
            if self._first_token is None:
                self._first_token = self._elapsed()
        elif isinstance(event, Status):
            self._note_step(event)
        elif isinstance(event, Sources):
            self._sources = len(event.sources)
        elif isinstance(event, Final):
            self._code, self._model = event.result.finish_reason, event.result.model
            if self._expected_end is not None and self._code == "stop":
                self._eta_error = abs(round(self._clock() * 1000) - self._expected_end)
        elif isinstance(event, ErrorEvent):
            self._code = event.code

    def make_record(self, task: RunTask) -> RunRecord:
        """Make the record of the run that `task` has produced here."""
        tokens_in, tokens_out, usd = self.count_usage(task)
        outcome = "paused" if task.paused_by is not None else self._code or "interrupted"
        return RunRecord(
            run=task.run.id,
            owner=task.run.owner,
            model=self._model,
            code=outcome,
            resumed=self._resumed,
            streaming=bool(self._question.streaming),
            dialect=self._question.dialect,
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            cost_usd=usd,
            sources=self._sources,
            first_event_ms=self._first_event,
            first_token_ms=self._first_token,
            duration_ms=self._elapsed(),
            eta_error_ms=self._eta_error,
            steps={step.name: step.end - step.start for step in self.steps},
        )

    def count_usage(self, task: RunTask) -> tuple[int, int, float]:
        """Count the tokens in and out, and the dollars, that this process used for the run."""
        now, before = task.transcript.usage, self._before or Usage()
        if now is None:
            return 0, 0, 0.0
        return (
            max(0, now.input_tokens - before.input_tokens),
            max(0, now.output_tokens - before.output_tokens),
            max(0.0, (now.cost_usd or 0.0) - (before.cost_usd or 0.0)),
        )

    def _note_step(self, status: Status) -> None:
        if status.eta_ms is not None and self._expected_end is None:
            self._expected_end = status.timestamp + status.eta_ms
        name = status.name or f"step {status.step}"
        if status.status in ("pending", "executing"):
            self._begun.setdefault(name, status.timestamp)
        elif len(self.steps) < _STEPS:
            start = self._begun.pop(name, status.timestamp)
            failed = status.status == "failed"
            self.steps.append(TraceStep(name, start, max(start, status.timestamp), failed))

    def _elapsed(self) -> int:
        return round((self._clock() - self.start) * 1000)
