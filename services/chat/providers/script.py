"""The parts of a script: entries of steps, played by the scripted provider.

Knows neither where a script comes from nor how its steps are played.
"""

import unicodedata
from dataclasses import dataclass

from ..provider import ModelUsage, Stop


@dataclass(frozen=True, slots=True)
class SayStep:
    """Yield `text` as one piece, `times` times."""

    text: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class WaitStep:
    """Do nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class FailStep:
    """Raise the error of this name."""

    name: str
    retry_after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class HangStep:
    """Never go on."""


@dataclass(frozen=True, slots=True)
class BreakOffStep:
    """End without saying so."""


@dataclass(frozen=True, slots=True)
class SpendStep:
    """Report this usage."""

    usage: ModelUsage


ScriptStep = SayStep | WaitStep | FailStep | HangStep | BreakOffStep | SpendStep | Stop


@dataclass(frozen=True, slots=True)
class ScriptEntry:
    """The steps played for a question that contains `when`; ``*`` is every question."""

    when: str
    steps: tuple[ScriptStep, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """Entries in the order of the file."""

    entries: tuple[ScriptEntry, ...]

    def find_steps(self, question: str) -> tuple[ScriptStep, ...] | None:
        """Return the steps of the first entry that matches in any case; None if none does."""
        question = _fold(question)
        for entry in self.entries:
            if entry.when == "*" or _fold(entry.when) in question:
                return entry.steps
        return None


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()
