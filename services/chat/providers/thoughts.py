"""Keep what a model thinks apart from what it answers, and say that it is thinking.

Some services stream thoughts in fields of their own; others put them into the text between tags,
and some of those lack the opening tag, because it stands in the model's template. Knows no
service.
"""

import asyncio
import re
from dataclasses import dataclass

from ...progress import Progress, Report
from ..provider import Prompt

EFFORTS = ("none", "minimal", "low", "medium", "high")

# Seconds between two reports, and of silence after which a model that can think is taken to do so.
REPORT_EVERY = 5.0
SILENT_FOR = 2.0

_TAGS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[think]", "[/think]"),
    ("◁think▷", "◁/think▷"),
    ("<|start_thinking|>", "<|end_thinking|>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
    ("<unused94>thought", "<unused95>"),
)
# Those that come without their opening tag.
_UNOPENED = ("</think>", "</thinking>", "</thought>", "</reasoning>", "</seed:think>")
_UNOPENED_TAG = re.compile("|".join(map(re.escape, _UNOPENED)), re.IGNORECASE)

# Models that think before they answer, although no effort is set and their thoughts may be hidden.
_THINKERS = re.compile(
    r"\b(?:o[134](?:-|$)|gpt-[5-9]|gpt-oss|deepseek-r|deepseek-reasoner|qwq|magistral)"
    r"|[-_](?:thinking|reasoning|reasoner)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkingPolicy:
    """How much a model may think.

    `effort` is one of `EFFORTS`; None is the model's own. `tokens` come on top of the limit of the
    answer. `timeout` is the longest time in seconds without a word of the answer.
    """

    effort: str | None = None
    tokens: int = 8192
    timeout: float = 300.0

    def is_expected(self, model: str) -> bool:
        """Return whether `model` may think before it answers."""
        if self.effort is not None:
            return self.effort != "none"
        return bool(_THINKERS.search(model))

    def choose_effort(self, model: str, prompt: Prompt) -> str | None:
        """Return the effort to ask for.

        An answer that goes on has been thought about; one whose thinking was interrupted would be
        interrupted again. Both get a low effort.
        """
        is_begun = bool(prompt.so_far.strip()) or any(
            not call.text for call in prompt.unbilled_calls
        )
        if is_begun and self.is_expected(model) and self.effort not in ("none", "minimal"):
            return "low"
        return self.effort


class ThinkingSplitter:
    """Splits the text of an answer into what was thought and what is said.

    `is_unopened` says that this model's thoughts have no opening tag.
    """

    def __init__(self, *, is_unopened: bool = False) -> None:
        self.has_restarted = False
        """The text before was a thought after all: its closing tag came without an opening one."""
        self._closing = _UNOPENED_TAG.pattern if is_unopened else ""
        self._is_guess = is_unopened
        self._has_tags = False
        self._is_answer = False
        self._held = ""
        self._searched = 0
        # In UTF-8: kept as the strings it came in, an answer takes four times the room.
        self._said = bytearray()

    def feed(self, text: str) -> tuple[str, str]:
        """Return what of `text` is thought, and what of it is said."""
        if self._is_answer and "<" not in text and not self._held:
            # The straight path of every answer.
            if not self._has_tags:
                self._said += text.encode(errors="replace")
            return "", text
        thought, said = "", ""
        self._held += text
        while self._held:
            before = (len(self._held), self._closing, self._is_answer)
            if self._closing:
                thought += self._take_thought()
            elif not self._is_answer:
                self._look_for_opening()
            else:
                more, said_now = self._take_answer()
                thought += more
                if more:
                    said = ""
                said += said_now
            if (len(self._held), self._closing, self._is_answer) == before:
                break
        return thought, said

    def finish(self, *, is_whole: bool = True) -> tuple[str, str]:
        """Return what was held back, now that nothing follows.

        Where `is_unopened` was a guess and no closing tag came, a whole answer is one without
        thoughts.
        """
        held, self._held = self._held, ""
        if self._closing and not (self._is_guess and is_whole):
            return held, ""
        self._closing = ""
        # White space that no word follows is no answer.
        return "", held if self._is_answer or held.strip() else ""

    def _look_for_opening(self) -> None:
        start = self._held.lstrip().lower()
        for opening, closing in _TAGS:
            if start.startswith(opening):
                self._closing = re.escape(closing)
                self._has_tags = True
                self._held = self._held.lstrip()[len(opening) :]
                return
            if opening.startswith(start):
                return  # it may still become one
        self._is_answer = True
        if self._has_tags:
            self._held = self._held.lstrip()

    def _take_thought(self) -> str:
        found = re.compile(self._closing, re.IGNORECASE).search(self._held, self._searched)
        if found is not None:
            self._searched = 0
            thought = self._held[: found.start()]
            self._held = self._held[found.end() :]
            self._closing, self._is_guess, self._has_tags = "", False, True
            return thought
        if self._is_guess:
            # Held back until it is known to be one. Nothing is searched twice but a tag's length.
            self._searched = max(0, len(self._held) - len("</seed:think>"))
            return ""
        keep = self._find_partial(max(len(closing) for _, closing in _TAGS))
        thought, self._held = self._held[:keep], self._held[keep:]
        return thought

    def _take_answer(self) -> tuple[str, str]:
        if not self._has_tags:
            found = _UNOPENED_TAG.search(self._held)
            if found is not None and self._is_real(found):
                thought = self._said.decode() + self._held[: found.start()]
                self._held = self._held[found.end() :]
                self._said = bytearray()
                self._has_tags, self._is_answer = True, False
                self.has_restarted = True
                return thought, ""
            keep = len(self._held) if found else self._find_partial(len("</seed:think>"))
        else:
            keep = len(self._held)
        said, self._held = self._held[:keep], self._held[keep:]
        if not self._has_tags:
            self._said += said.encode(errors="replace")
        return "", said

    def _is_real(self, found: re.Match[str]) -> bool:
        # An answer about such tags quotes them, or has both.
        before = self._said.decode() + self._held[: found.start()]
        has_opening = found[0].lower().replace("/", "") in before.lower()
        is_quoted = before[-1:] in ("'", '"', "“", "«") or before.count("`") % 2 == 1
        return not has_opening and not is_quoted

    def _find_partial(self, longest: int) -> int:
        """Return where in the held text a closing tag may begin that is not whole yet."""
        held = self._held.lower()
        for at in range(max(0, len(held) - longest + 1), len(held)):
            if held[at] in "<[◁" and any(
                closing.startswith(held[at:]) for closing in self._list_closing()
            ):
                return at
        return len(held)

    def _list_closing(self) -> tuple[str, ...]:
        return tuple(closing for _, closing in _TAGS) if self._closing else _UNOPENED


class ThinkingReports:
    """Reports that a model is thinking, and for how long, until `end`. Used in the event loop."""

    def __init__(self, report: Report, *, is_expected: bool) -> None:
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._is_shown = False
        self._timer: asyncio.TimerHandle | None = None
        if is_expected:
            self._timer = self._loop.call_later(SILENT_FOR, self._tick)

    @property
    def milliseconds(self) -> int:
        """How long the model has been thinking."""
        return round((self._loop.time() - self._began) * 1000)

    def begin(self) -> None:
        """Say that the model is thinking, unless that was said."""
        if not self._is_shown:
            self._cancel()
            self._tick()

    def end(self) -> None:
        """Say for how long it was, if it was."""
        self._cancel()
        if self._is_shown:
            self._is_shown = False
            self._say("Thought for")

    def close(self) -> None:
        """Say no more."""
        self._cancel()
        self._is_shown = False

    def _tick(self) -> None:
        if self._is_shown:
            self._say("Thinking for")
        else:
            self._is_shown = True
            self._report(Progress("Thinking", data={"thinkingMs": self.milliseconds}))
        self._timer = self._loop.call_later(REPORT_EVERY, self._tick)

    def _say(self, words: str) -> None:
        milliseconds = self.milliseconds
        self._report(
            Progress(f"{words} {milliseconds / 1000:.0f} s", data={"thinkingMs": milliseconds})
        )

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
