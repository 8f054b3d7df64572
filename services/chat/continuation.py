"""Join what a model says now to what was said before: once, and with one space between.

Models that are asked to go on like to begin with words that were already there. Knows nothing
of models; it compares texts.
"""

import unicodedata

LEAST = 8
"""Characters. A shorter repetition may be meant: "no, no"."""


class Continuation:
    """The text that follows `so_far`, fed piece by piece.

    What may still turn out to be a repetition of the end of `so_far`, or of all of it, is held
    back until it differs. `asked` says that the model was asked in words to go on, and does not
    know how the last word ended.
    """

    def __init__(self, so_far: str, *, asked: bool) -> None:
        self._said = so_far.rstrip()
        self._space = so_far[len(self._said) :]
        self._asked = asked
        self._held: str | None = "" if self._said else None

    def feed(self, text: str) -> str:
        """What to show of `text`; it may be nothing."""
        if self._held is None:
            return text
        self._held += text
        words = self._held.lstrip()
        if not words or words.rstrip() in self._said:
            return ""
        return self._settle()

    def end(self) -> str:
        """What is still held back and has to be shown, now that nothing follows."""
        return "" if self._held is None else self._settle()

    def _settle(self) -> str:
        held, self._held = self._held or "", None
        words = held.lstrip()
        repeated = self._repeated(words)
        if repeated:
            rest = words[repeated:]
            return rest.lstrip() if self._space else rest
        if self._space:
            return words
        if self._asked and held and held == words and _wants_space(self._said[-1], held[0]):
            return f" {held}"
        return held

    def _repeated(self, words: str) -> int:
        """How many characters `words` begins with that `so_far` ends with."""
        least = min(LEAST, len(self._said))
        for length in range(min(len(words), len(self._said)), least - 1, -1):
            if self._said.endswith(words[:length]):
                return length
        return 0


def _wants_space(before: str, after: str) -> bool:
    # Scripts that are written wide put no spaces between words.
    if unicodedata.east_asian_width(before) in "WF" or unicodedata.east_asian_width(after) in "WF":
        return False
    return after.isalnum() and (before.isalnum() or before in ".,;:!?)]»”")
