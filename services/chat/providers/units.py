"""Cut passages into what an answer may quote as one: a unit.

A unit is a sentence; or a whole short item (an option and its default, a row of a table), whose
last words are often the ones asked for; or a lead-in ("... and it looks like this:") together with
what it leads to. A question and a heading are no units: the words after them are what
answers.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...passages import Passage, Sentence

SHORT_LINE = 45
"""Words up to which a line is quoted whole."""

LEAD_WORDS = 90
LEAD_LINES = 7
"""Words and lines that a lead-in may draw along; a listing counts as one line."""

CODE_LINES = 25
"""Lines of a listing that may be quoted."""

HEADING_WORDS = 7
"""Words up to which an unclosed line may be a heading."""

ANSWER_OF_QUESTION = 0.95
"""The share of a question's or heading's likeness that the words after it inherit."""

SHORTEST = 10
"""Characters; what is shorter is a heading or an exclamation, in any script."""


_ITEM = re.compile(r"`|\S+(?: \([^)]*\))? ?(?:[–—:-]) ")
_RIDER = re.compile(r"(?:defaults?|required|optional|deprecated)\b", re.IGNORECASE)

LEANING = re.compile(
    r"(?:it|its|they|their|them|this|that|these|those|he|she|his|her|both|such|another|however"
    r"|moreover|therefore|also|then|but|and|so|or)\b",
    re.IGNORECASE,
)
"""What begins so leans on what stands before it."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What is quoted as one, from `start` to `end` of its passage's text.

    `rank` counts passages from 1, `position` units within one from 0. `sentence` is the one of
    its sentences that is most like the question, `similarity` how much it is.
    """

    rank: int
    position: int
    start: int
    end: int
    text: str
    sentence: Sentence
    similarity: float


def is_code(text: str) -> bool:
    """Tell whether a sentence is a listing."""
    return text.startswith("```")


def cut_units(passage: Passage, rank: int) -> list[Unit]:
    """Cut one passage into its units, in order."""
    lines = list(_split_lines(passage))
    units: list[Unit] = []
    asked = 0.0
    at = 0
    while at < len(lines):
        parts = lines[at]
        at += 1
        if is_code(parts[0].text):
            continue
        if _is_question(parts) or _is_heading(parts, lines[at] if at < len(lines) else None):
            asked = max(part.similarity for part in parts)
            continue
        if parts[-1].text.endswith(":"):
            led, at = _follow(lines, at)
            if not led:
                continue
            groups = [[part] for part in parts[:-1]] + [[parts[-1], *led]]
        elif len(parts) > 1 and _count_words(parts) <= SHORT_LINE and _is_item(parts):
            groups = [parts]
        else:
            groups = [[part] for part in parts]
        for group in groups:
            unit = _make_unit(passage, rank, len(units), group, asked)
            if unit is not None:
                units.append(unit)
                asked = 0.0
    return units


def find_listing(passage: Passage, after: int) -> tuple[int, int] | None:
    """Find the listing that follows the place `after` in the text of a passage."""
    for sentence in passage.sentences:
        if sentence.start >= after and is_code(sentence.text):
            is_short = sentence.text.count("\n") <= CODE_LINES + 1
            between = passage.text[after : sentence.start]
            return (
                (sentence.start, sentence.start + len(sentence.text))
                if is_short and not between.strip()
                else None
            )
    return None


def _split_lines(passage: Passage) -> Iterator[list[Sentence]]:
    line: list[Sentence] = []
    end = 0
    for sentence in passage.sentences:
        if line and ("\n" in passage.text[end : sentence.start] or is_code(sentence.text)):
            yield line
            line = []
        line.append(sentence)
        end = sentence.start + len(sentence.text)
    if line:
        yield line


def _follow(lines: Sequence[list[Sentence]], at: int) -> tuple[list[Sentence], int]:
    """Return what the lines from `at` on say after a lead-in, and where the next one begins."""
    led: list[Sentence] = []
    words = 0
    first = at
    while at < len(lines) and at - first < LEAD_LINES:
        line = lines[at]
        if is_code(line[0].text):
            if not led and line[0].text.count("\n") <= CODE_LINES + 1:
                return line, at + 1
            break
        words += _count_words(line)
        if (led and words > LEAD_WORDS) or line[-1].text.endswith(":") or _is_question(line):
            break
        if led and _count_words(line) > SHORT_LINE:
            break
        led.extend(line)
        at += 1
    return led, at


def _make_unit(
    passage: Passage, rank: int, position: int, group: Sequence[Sentence], asked: float
) -> Unit | None:
    start = group[0].start
    end = group[-1].start + len(group[-1].text)
    best = max((part for part in group if not is_code(part.text)), key=lambda one: one.similarity)
    text = passage.text[start:end] if _has_places(passage) else " ".join(p.text for p in group)
    if len(text.strip()) < SHORTEST:
        return None
    similarity = max(best.similarity, ANSWER_OF_QUESTION * asked)
    return Unit(rank, position, start, end, text, best, similarity)


def _has_places(passage: Passage) -> bool:
    """Tell whether the sentences say where they stand; a recording's do not."""
    return len(passage.sentences) < 2 or passage.sentences[1].start > 0


def _is_question(parts: Sequence[Sentence]) -> bool:
    return re.search(r"[?？؟][\"”»)]*$", parts[-1].text.rstrip()) is not None


def _is_item(parts: Sequence[Sentence]) -> bool:
    """Tell whether the sentences of a line belong together: a name, what it is, its default."""
    return _ITEM.match(parts[0].text) is not None or any(
        _RIDER.match(part.text) for part in parts[1:]
    )


def _is_heading(parts: Sequence[Sentence], following: Sequence[Sentence] | None) -> bool:
    """Tell whether a line only names what the next one says: short, unclosed, before a longer."""
    if len(parts) != 1 or following is None or is_code(following[0].text):
        return False
    words = _count_words(parts)
    return (
        words <= HEADING_WORDS
        and parts[0].text.rstrip()[-1:].isalnum()
        and _count_words(following) > 2 * words
    )


def _count_words(parts: Sequence[Sentence]) -> int:
    return sum(len(part.text.split()) for part in parts)
