"""Where a reader is in a run: what it has seen, and whether an event is the next one.

The one object that an iteration and its stream share. Knows nothing of connections.
"""

from dataclasses import dataclass, field

from riverrun_client.errors import Partial, RiverrunError, build_run_error
from riverrun_client.event_json import InvalidEventError, read_event, read_json, read_number
from riverrun_client.events import (
    JSON,
    Event,
    Final,
    Reset,
    Result,
    Source,
    Sources,
    Status,
    Token,
)
from riverrun_client.requests import read_cursor
from riverrun_client.retry_policy import LostError
from riverrun_client.sse import Frame


@dataclass(slots=True)
class RunCursor:
    """A reader's place. `asked`: a question may have reached the server under its key."""

    run_id: str = ""
    seq: int = 0
    asked: bool = False
    stopped: bool = False
    result: Result | None = None
    error: RiverrunError | None = None
    sources: tuple[Source, ...] = ()
    first_byte: float | None = None
    _steps: dict[int, Status] = field(default_factory=dict)
    _text: list[str] = field(default_factory=list)
    _unnumbered: bool = False

    @property
    def ended(self) -> bool:
        """Whether the terminal event was seen, or there will be none."""
        return self.result is not None or self.error is not None

    @property
    def cursor(self) -> str | None:
        """`<run>-<seq>` of the last event seen; None before the run is known."""
        return f"{self.run_id}-{self.seq}" if self.run_id else None

    @property
    def answer(self) -> str:
        """The answer so far."""
        return self.result.answer if self.result else "".join(self._text)

    @property
    def steps(self) -> tuple[Status, ...]:
        """The latest status of each step."""
        return tuple(self._steps.values())

    @property
    def partial(self) -> Partial:
        """What there is of the answer."""
        return Partial(answer=self.answer, sources=self.sources, steps=self.steps)

    def begin(self, run_id: str) -> Event | None:
        """Note the run that an answer says it is of; what to say before its first event.

        A stream without ids cannot be read on, only from the start: what was shown is dropped.
        """
        if self._unnumbered and self.seq == 0:
            self._unnumbered = False
            return self._keep(Reset(reason="read again from the start"))
        # Later answers do not rename the run: an event that is not of it is found by its id.
        self.run_id = self.run_id or run_id
        return None

    def accept(self, frame: Frame) -> Event | None:
        """The event of a frame; None when it was seen before.

        Raises `LostError` when it is none, when events are missing before it, and when the server
        wants the reader back later; `RunFailedError` when the run failed.
        """
        numbered = _parse_id(frame)
        try:
            raw = read_json(frame.data)
            if raw["type"] == "paused":
                raise _pause_error(raw)
            if numbered is not None and not self._is_next(*numbered):
                return None
            event = (
                None if raw["type"] == "error" else read_event(raw, frame.id if numbered else "")
            )
        except InvalidEventError as error:
            raise LostError(f"The stream holds something that is no event ({error}).") from None
        if numbered is None:
            self._unnumbered = True
        else:
            self.run_id, self.seq = numbered
        if event is None:
            raise build_run_error(raw, self.partial, cursor=self.cursor)
        return self._keep(event)

    def _is_next(self, run_id: str, seq: int) -> bool:
        if self.run_id and run_id != self.run_id:
            raise LostError("The stream holds an event of another run.")
        if seq > self.seq + 1:
            raise LostError(f"Event {self.seq + 1} is missing.")
        return seq > self.seq

    def _keep(self, event: Event) -> Event:
        match event:
            case Status():
                self._steps[event.step] = event
            case Token():
                self._text.append(event.text)
            case Sources():
                self.sources = event.sources
            case Reset():
                self._text.clear()
            case Final():
                self.result = event.result
        return event


def _parse_id(frame: Frame) -> tuple[str, int] | None:
    # An event without an id of its own is not kept, and the id before it is not its id.
    if not frame.own:
        return None
    try:
        return read_cursor(frame.id)
    except ValueError:
        return None


def _pause_error(raw: JSON) -> LostError:
    wait, reason = read_number(raw, "resumeAfterMs"), raw.get("reason")
    why = reason if isinstance(reason, str) else "paused"
    return LostError(why, wait=(wait or 0.0) / 1000, paused=True)
