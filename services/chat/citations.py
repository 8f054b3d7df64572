"""Check an answer against its citations: each ``[n]`` with the n-th passage.

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
from .words import collect_stems, fold, split_words, stem

MIN_SHARED_WORDS = 0.5
"""The least share of a sentence's content words that the cited passages must contain. Answers of
the extractive engine have 1.0 by construction; a paraphrase keeps names, numbers and most nouns."""

MAX_CHECKED_CHARACTERS = 100_000
"""The rest of a longer answer is not checked."""

_MARK = re.compile(r"\[(\d{1,4}(?:\s*,\s*\d{1,4})*)\]")
_WORD = re.compile(r"\S+")
_CODE = re.compile(r"(`{3,}).*?\1|`[^`\n]*`", re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])[\"”»)]*\s+|\n+")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


Reason = Literal["missing", "number", "unsupported"]


@dataclass(frozen=True, slots=True)
class UnmatchedCitation:
    """A citation that its passage does not support, and why.

    `citation` is the number it names; `mark` says which citation of the answer it is, from 1.
    "missing": there is no such passage. "number": the passage lacks a number of the sentence.
    "unsupported": it says too little of the sentence.
    """

    citation: int
    mark: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Grounding:
    """The result of the check. `score` is the share of citations that hold, 0 to 1."""

    score: float
    citations: int
    unmatched: tuple[UnmatchedCitation, ...]


def check_citations(answer: str, passages: Sequence[Passage]) -> Grounding | None:
    """Check every citation of `answer`; return None when it has none."""
    prose = _hide_code_brackets(answer[:MAX_CHECKED_CHARACTERS])
    cited = list(_iterate_citations(prose))
    # Only what is cited is read: it costs about a millisecond a passage.
    read = {
        number: _CitedPassage(passages[number - 1])
        for number in {number for _, numbers in cited for number in numbers}
        if 0 < number <= len(passages)
    }
    reasons = [
        (number, _find_fault(sentence, number, numbers, read))
        for sentence, numbers in cited
        for number in numbers
    ]
    if not reasons:
        return None
    unmatched = tuple(
        UnmatchedCitation(number, mark, reason)
        for mark, (number, reason) in enumerate(reasons, 1)
        if reason is not None
    )
    score = round(1 - len(unmatched) / len(reasons), 3)
    return Grounding(score, len(reasons), unmatched)


def find_quotes(answer: str, passages: Sequence[Passage]) -> dict[int, list[tuple[int, int]]]:
    """Find what `answer` quotes: by citation, the places of its sentences in the passage's text.

    A passage that is cited but not quoted word for word has an empty list.
    """
    prose = _hide_code_brackets(answer[:MAX_CHECKED_CHARACTERS])
    found: dict[int, list[tuple[int, int]]] = {}
    for sentence, numbers in _iterate_citations(prose):
        for number in numbers:
            if 0 < number <= len(passages):
                places = found.setdefault(number, [])
                place = _find_place(sentence, passages[number - 1].text)
                if place is not None and place not in places:
                    places.append(place)
    return {number: sorted(places) for number, places in found.items()}


def _find_place(sentence: str, text: str) -> tuple[int, int] | None:
    """Find where `sentence` stands in `text`, whatever the white space and marks around it."""
    bare = re.sub(r"^(?:[-*] |\| |#+ )+", "", sentence.strip())
    for candidate in (bare, bare.rstrip("."), bare.partition(": ")[2]):
        start = text.find(candidate) if candidate else -1
        if start >= 0:
            return start, start + len(candidate)
        if candidate and (place := _find_across_lines(candidate, text)):
            return place
    return None


def _find_across_lines(sentence: str, text: str) -> tuple[int, int] | None:
    """Find `sentence` in `text` where only the white space between its words differs."""
    words = [(found.start(), found.end()) for found in _WORD.finditer(text)]
    joined = " ".join(text[start:end] for start, end in words)
    wanted = " ".join(sentence.split())
    at = joined.find(wanted)
    if at < 0:
        return None
    first = joined.count(" ", 0, at)
    last = first + wanted.count(" ")
    start = words[first][0] + at - (joined.rfind(" ", 0, at) + 1)
    behind = joined.find(" ", at + len(wanted))
    rest = (behind if behind >= 0 else len(joined)) - (at + len(wanted))
    return start, words[last][1] - rest


def _hide_code_brackets(answer: str) -> str:
    # In code "items[0]" is an element, no citation.
    return _CODE.sub(lambda code: re.sub(r"[\[\]]", " ", code[0]), answer)


class _CitedPassage:
    """The stemmed words of a passage, and its numbers."""

    def __init__(self, passage: Passage) -> None:
        text = f"{passage.title} {passage.text}"
        self.words = _collect_words(text)
        self.numbers = _collect_numbers(text)


def _find_fault(
    sentence: str, number: int, numbers: Sequence[int], read: Mapping[int, _CitedPassage]
) -> Reason | None:
    """Return why citation `number` of `sentence`, which cites `numbers`, does not hold."""
    if number not in read:
        return "missing"
    together = [read[other] for other in numbers if other in read]
    counted = _collect_numbers(sentence)
    if counted - set[str]().union(*(passage.numbers for passage in together)):
        return "number"
    words = {word for word in _collect_words(sentence) if not word.isdecimal()}
    said = set[str]().union(*(passage.words for passage in together))
    if len(words & said) < MIN_SHARED_WORDS * len(words):
        return "unsupported"
    # One of several carries its own part, or it is there for show.
    cited = read[number]
    shows = words & cited.words or counted & cited.numbers or not words
    return None if shows else "unsupported"


def _iterate_citations(answer: str) -> Iterator[tuple[str, list[int]]]:
    """Yield each cited sentence and the numbers of its marks."""
    start = 0
    before = ""
    for group in _group_marks(answer):
        said = answer[start : group[0].start()]
        start = group[-1].end()
        sentence = _find_last_sentence(said)
        # Marks that stand alone, after the full stop or on a line, belong to what came before.
        before = sentence if split_words(sentence) else before
        yield before, [int(number) for mark in group for number in mark[1].split(",")]


def _group_marks(answer: str) -> Iterator[list[re.Match[str]]]:
    """Yield groups of marks that stand next to each other."""
    group: list[re.Match[str]] = []
    for mark in _MARK.finditer(answer):
        if group and answer[group[-1].end() : mark.start()].strip():
            yield group
            group = []
        group.append(mark)
    if group:
        yield group


def _find_last_sentence(said: str) -> str:
    parts = [part for part in _SENTENCE_END.split(said.strip()) if split_words(part)]
    return parts[-1] if parts else ""


def _collect_words(text: str) -> frozenset[str]:
    # Scripts that put no spaces between words are compared by pairs of characters.
    if text.isascii():
        return collect_stems(text)
    wide = [word for word in split_words(text) if not word.isascii() and any(map(_is_wide, word))]
    pairs = {word[at : at + 2] for word in wide for at in range(max(1, len(word) - 1))}
    return (collect_stems(text) - {stem(word) for word in wide}) | pairs


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


def _collect_numbers(text: str) -> set[str]:
    # 1,000 and 1000 are one number, and so are 8.50 and 8.5.
    return {_normalize_number(number) for number in _NUMBER.findall(fold(text))}


def _normalize_number(number: str) -> str:
    number = number.replace(",", "")
    if number.count(".") == 1:
        number = number.rstrip("0").rstrip(".")
    return number.lstrip("0") or "0"
