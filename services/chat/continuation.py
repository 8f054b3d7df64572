"""Join a continuation to the text before it, without repetition and with one space between.

Models that are asked to continue often begin with words that are already there. Knows nothing of
models; it compares texts.
"""

import unicodedata

MIN_REPEATED = 8
"""Characters. A shorter repetition may be meant: "no, no"."""


class Continuation:
    """The text that follows `so_far`, fed piece by piece.

    Text that may repeat the end of `so_far`, or all of it, is held back until it differs.
    `by_instruction` says that the model was asked in words to continue, and does not know how the
    last word ended.
    """

    def __init__(self, so_far: str, *, by_instruction: bool) -> None:
        self._said = so_far.rstrip()
        self._space = so_far[len(self._said) :]
        self._by_instruction = by_instruction
        self._held: str | None = "" if self._said else None

    def feed(self, text: str) -> str:
        """Return what to show of `text`; it may be nothing."""
        if self._held is None:
            return text
        self._held += text
        words = self._held.lstrip()
        if not words or words.rstrip() in self._said:
            return ""
        return self._settle()

    def finish(self) -> str:
        """Return the text that is still held back; nothing follows."""
        return "" if self._held is None else self._settle()

    def _settle(self) -> str:
        held, self._held = self._held or "", None
        words = held.lstrip()
        repeated = self._count_repeated(words)
        if repeated:
            rest = words[repeated:]
            return rest.lstrip() if self._space else rest
        if self._space:
            return words
        if (
            self._by_instruction
            and held
            and held == words
            and _needs_space(self._said[-1], held[0])
        ):
            return f" {held}"
        return held

    def _count_repeated(self, words: str) -> int:
        """Return how many characters at the start of `words` repeat the end of `so_far`."""
        least = min(MIN_REPEATED, len(self._said))
        for length in range(min(len(words), len(self._said)), least - 1, -1):
            if self._said.endswith(words[:length]):
                return length
        return 0


def _needs_space(before: str, after: str) -> bool:
    # Scripts that are written wide put no spaces between words.
    if unicodedata.east_asian_width(before) in "WF" or unicodedata.east_asian_width(after) in "WF":
        return False
    return after.isalnum() and (before.isalnum() or before in ".,;:!?)]»”")
