"""Why a producer has to go before its answer is whole.

`StoppedError` ends the run. `PausedError` ends only this producer: a run that can be continued
waits in its log for the next one. For a run that cannot, it is the failure that its readers are
told. Knows nothing of how either is carried out.
"""

from typing import NamedTuple

from ...errors import RiverrunError
from ..events import PauseReason


class StoppedError(RiverrunError):
    """Somebody asked this run to stop."""

    code = "cancelled"


class PausedError(RiverrunError):
    """This producer, or this reader's body, is at its end, and the run is not.

    `reason` is the word of the contract's `paused` event. `code` is what a run that cannot go on
    ends with.
    """

    retryable = True

    def __init__(self, reason: PauseReason) -> None:
        told = _TOLD[reason]
        super().__init__(told.message, code=told.code, hint="Ask again.")
        self.reason: PauseReason = reason


class DeadlineError(PausedError):
    """The platform is about to end this function."""

    def __init__(self) -> None:
        super().__init__("deadline")


class _Told(NamedTuple):
    code: str
    message: str


_TOLD: dict[PauseReason, _Told] = {
    "deadline": _Told("deadline", "Time ran out before the answer was finished."),
    "front": _Told("deadline", "This connection's time ran out before the answer was finished."),
    "shutdown": _Told("interrupted", "The service was ended before the answer was finished."),
    "interrupted": _Told(
        "interrupted", "The answer was interrupted: whoever was writing it is gone."
    ),
    "abandoned": _Told("cancelled", "The answer was paused because nobody read it."),
}


def stopped() -> StoppedError:
    """What ends a run that somebody stopped."""
    return StoppedError("The answer was stopped.")


def left() -> RiverrunError:
    """What ends a run whose last reader left, where such runs end."""
    return RiverrunError("The reader left before the answer was finished.", code="cancelled")
