"""What a script is: entries of steps, played by the scripted provider.

Nothing here knows where a script comes from, or how its steps are played.
"""

import unicodedata
from dataclasses import dataclass

from ..provider import Stop, Usage


@dataclass(frozen=True, slots=True)
class Say:
    """Yield `text` as one piece, `times` times."""

    text: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Fail:
    """Raise the error of this name."""

    name: str
    retry_after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Hang:
    """Never go on."""


@dataclass(frozen=True, slots=True)
class BreakOff:
    """End without saying so."""


@dataclass(frozen=True, slots=True)
class Spend:
    """Report this usage."""

    usage: Usage


Step = Say | Wait | Fail | Hang | BreakOff | Spend | Stop


@dataclass(frozen=True, slots=True)
class Entry:
    """The steps played for a question that contains `when`; ``*`` is every question."""

    when: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """Entries in the order of the file."""

    entries: tuple[Entry, ...]

    def steps_for(self, question: str) -> tuple[Step, ...] | None:
        """The steps of the first entry that matches, without regard to case; None if none does."""
        question = _folded(question)
        for entry in self.entries:
            if entry.when == "*" or _folded(entry.when) in question:
                return entry.steps
        return None


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()
