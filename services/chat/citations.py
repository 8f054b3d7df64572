"""Whether an answer says what its citations say: each ``[n]`` against the n-th passage.

By words and numbers, as evidence is weighed, without a model: it finds citations of passages
that are not there, numbers that the passage does not have, and sentences that share next to
nothing with what they cite. It does not understand a negation, and says nothing about truth.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ..passages import Passage
from .words import content_stems, folded, stem, words_of

SUPPORTED = 0.5
"""The least share of a sentence's content words that the cited passages have to say. Answers of
the extractive engine have 1.0 by making; a paraphrase keeps its names, numbers and most nouns."""

LONGEST = 100_000
"""Characters of an answer that are checked: a model that never stops is not read to the end."""

_MARK = re.compile(r"\[(\d{1,4}(?:\s*,\s*\d{1,4})*)\]")
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])[\"”»)]*\s+|\n+")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


Reason = Literal["missing", "number", "unsupported"]


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A citation that does not hold, and why.

    `citation` is the number it names; `mark` says which citation of the answer it is, from 1.
    "missing": there is no such passage. "number": the passage lacks a number of the sentence.
    "unsupported": it says too little of the sentence.
    """

    citation: int
    mark: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Grounding:
    """What came of the check. `score` is the share of citations that hold, 0 to 1."""

    score: float
    citations: int
    unmatched: tuple[Unmatched, ...]


def check(answer: str, passages: Sequence[Passage]) -> Grounding | None:
    """Check every citation of `answer`; None when there is none to check."""
    cited = list(_citations(answer[:LONGEST]))
    # Only what is cited is read: it costs about a millisecond a passage.
    read = {
        number: _Read(passages[number - 1])
        for number in {number for _, numbers in cited for number in numbers}
        if 0 < number <= len(passages)
    }
    reasons = [
        (number, _fault(sentence, number, numbers, read))
        for sentence, numbers in cited
        for number in numbers
    ]
    if not reasons:
        return None
    unmatched = tuple(
        Unmatched(number, mark, reason)
        for mark, (number, reason) in enumerate(reasons, 1)
        if reason is not None
    )
    score = round(1 - len(unmatched) / len(reasons), 3)
    return Grounding(score, len(reasons), unmatched)


class _Read:
    """What a passage says: its words, stemmed, and its numbers."""

    def __init__(self, passage: Passage) -> None:
        text = f"{passage.title} {passage.text}"
        self.words = _words(text)
        self.numbers = _numbers(text)


def _fault(
    sentence: str, number: int, numbers: Sequence[int], read: Mapping[int, _Read]
) -> Reason | None:
    """Why the citation `number` of `sentence`, which cites all of `numbers`, does not hold."""
    if number not in read:
        return "missing"
    together = [read[other] for other in numbers if other in read]
    counted = _numbers(sentence)
    if counted - set[str]().union(*(passage.numbers for passage in together)):
        return "number"
    words = {word for word in _words(sentence) if not word.isdecimal()}
    said = set[str]().union(*(passage.words for passage in together))
    if len(words & said) < SUPPORTED * len(words):
        return "unsupported"
    # One of several carries its own part, or it is there for show.
    cited = read[number]
    shows = words & cited.words or counted & cited.numbers or not words
    return None if shows else "unsupported"


def _citations(answer: str) -> Iterator[tuple[str, list[int]]]:
    """Each cited sentence, and the numbers of its marks."""
    start = 0
    before = ""
    for group in _groups(answer):
        said = answer[start : group[0].start()]
        start = group[-1].end()
        sentence = _last_sentence(said)
        # Marks that stand alone, after the full stop or on a line, belong to what came before.
        before = sentence if words_of(sentence) else before
        yield before, [int(number) for mark in group for number in mark[1].split(",")]


def _groups(answer: str) -> Iterator[list[re.Match[str]]]:
    """Marks that stand next to each other, together."""
    group: list[re.Match[str]] = []
    for mark in _MARK.finditer(answer):
        if group and answer[group[-1].end() : mark.start()].strip():
            yield group
            group = []
        group.append(mark)
    if group:
        yield group


def _last_sentence(said: str) -> str:
    parts = [part for part in _SENTENCE_END.split(said.strip()) if words_of(part)]
    return parts[-1] if parts else ""


def _words(text: str) -> set[str]:
    # Scripts that put no spaces between words are compared by pairs of characters.
    wide = [word for word in words_of(text) if any(map(_is_wide, word))]
    pairs = {word[at : at + 2] for word in wide for at in range(max(1, len(word) - 1))}
    return (content_stems(text) - {stem(word) for word in wide}) | pairs


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


def _numbers(text: str) -> set[str]:
    # 1,000 and 1000 are one number, and so are 8.50 and 8.5.
    return {_plain(number) for number in _NUMBER.findall(folded(text))}


def _plain(number: str) -> str:
    number = number.replace(",", "")
    if number.count(".") == 1:
        number = number.rstrip("0").rstrip(".")
    return number.lstrip("0") or "0"
