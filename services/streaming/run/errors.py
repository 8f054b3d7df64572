"""Why a producer, or a body, has to end before its answer is whole.

`StoppedError` ends the run. A `CutError` does not: `PausedError` ends only this producer, and a run
that can pause waits in its log for the next one (for a run that cannot, it is the failure that its
readers are told); `BodyOverError` ends only one reader's body. Knows nothing of how either is
carried out.
"""

from typing import NamedTuple

from ...errors import RiverrunError
from ..events import PauseReason


class StoppedError(RiverrunError):
    """A client asked this run to stop."""

    code = "cancelled"


class CutError(RiverrunError):
    """A producer, or a body, ends before its answer is whole.

    `reason` is the word of the contract's `paused` event. `code` is what a run that cannot go on
    ends with.
    """

    retryable = True

    def __init__(self, reason: PauseReason) -> None:
        wording = _WORDINGS[reason]
        super().__init__(wording.message, code=wording.code, hint="Ask again.")
        self.reason: PauseReason = reason


class PausedError(CutError):
    """This producer is at its end, and the run is not."""


class BodyOverError(CutError):
    """The time of one reader's body is over, and its run goes on without it."""


class DeadlineError(PausedError):
    """The platform is about to end this function."""

    def __init__(self) -> None:
        super().__init__("deadline")


class _Wording(NamedTuple):
    code: str
    message: str


_WORDINGS: dict[PauseReason, _Wording] = {
    "deadline": _Wording("deadline", "Time ran out before the answer was finished."),
    "front": _Wording("deadline", "Time ran out before the answer was finished."),
    "shutdown": _Wording("interrupted", "The service was ended before the answer was finished."),
    "interrupted": _Wording("interrupted", "The answer was interrupted: its producer is gone."),
    "abandoned": _Wording("cancelled", "The answer was paused because it had no readers."),
}


def run_stopped_error() -> StoppedError:
    """Make the error that ends a run which was stopped."""
    return StoppedError("The answer was stopped.")


def reader_left_error() -> RiverrunError:
    """Make the error that ends a run whose last reader left, where such runs end."""
    return RiverrunError("The reader left before the answer was finished.", code="cancelled")
