"""What a question is about, and how much of it words say, weighted by rarity in the index.

Nothing a passage says is obeyed: its text is only ever compared.
"""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache

from ...passages import Passage
from ..topics import collect_heading_stems, collect_said, collect_topics
from ..words import MONTH, collect_stems, find_names, split_words, stem
from .units import Unit

UNKNOWN_RARITY = 0.5
"""The rarity of a word when the passages come without an index: those of a recording."""

_DAY_OF_MONTH = re.compile(rf"\b\d{{1,2}}(?:st|nd|rd|th)?(?= (?:of )?{MONTH}\b)", re.IGNORECASE)
"""A day is said in many ways ("New Year's Eve"); the month is the word of it that tells."""

_HOW_MUCH = re.compile(r"\bhow (many|much|long|often|far)\b", re.IGNORECASE)
"""Words that ask, which are words of their own elsewhere: nothing is said of "many"."""

_KEPT_WHERE = re.compile(
    r"^\W*where (?:is|are|does|do|can)\b.*\b(kept|keep|stored|store|saved|located|placed|found|find"
    r"|lies?|lives?|put)\b",
    re.IGNORECASE,
)
"""Words for being somewhere: a place is said without them."""

_ENDINGS = frozenset(
    ("", "a", "an", "er", "ers", "es", "ese", "i", "ian", "ic", "ish", "ist", "n", "o", "s", "y")
)


MARK = " › "
"""What stands between the headings of a passage's title."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A unit that may be quoted, and what it is worth.

    Scores are logarithms: of two units, one that has 1 more is e times as likely to answer.
    `has_fact` tells whether it has the fact that is asked for, where one is.
    """

    unit: Unit
    score: float
    has_fact: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """The words of a question, as stems: all with a meaning, names, and those that ask."""

    words: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    rarity: Mapping[str, float]
    asking: frozenset[str] = frozenset()

    @property
    def about(self) -> tuple[str, ...]:
        """The words that are not part of a name, and do not ask."""
        others = {word for name in self.names for word in name} | self.asking
        return tuple(word for word in self.words if word not in others)


def read_subject(question: str, passages: Sequence[Passage]) -> Subject:
    """Find what a question is about. Words of the first document's title are a name, too."""
    words, names_said, asking = _read_words(question)
    names = list(names_said)
    known = {word for name in names for word in name}
    title = collect_stems(document_of(passages[0])) if passages else set()
    names += [(word,) for word in words if word in title and word not in known]
    rarity: dict[str, float] = {}
    for word, weight in (passages[0].rarity if passages else {}).items():
        for part in split_words(word):
            rarity[stem(part)] = max(weight, rarity.get(stem(part), 0.0))
    return Subject(words, tuple(names), rarity, asking)


# An answer looks at its question from half a dozen sides.
@lru_cache(maxsize=1 << 9)
def _read_words(
    question: str,
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...], frozenset[str]]:
    """Read the words of a question, its names, and those that ask; as stems."""
    text = _DAY_OF_MONTH.sub("", question)
    asking = frozenset(
        stem(found[1].casefold())
        for pattern in (_HOW_MUCH, _KEPT_WHERE)
        for found in pattern.finditer(text)
    )
    spoken = [stem(word) for word in split_words(text) if collect_stems(word)]
    words = tuple(dict.fromkeys([*spoken, *sorted(collect_topics(text))]))
    names = tuple(tuple(stem(word) for word in name) for name in find_names(question))
    return words, names, asking


def is_said(word: str, said: AbstractSet[str]) -> bool:
    """Tell whether stems have `word` or a form of it: "Japanese" is said by "Japan"."""
    if word in said:
        return True
    start = word[:4]
    return len(word) >= 5 and any(other[:4] == start and is_form(word, other) for other in said)


def is_said_whole(name: Sequence[str], said: AbstractSet[str]) -> bool:
    """Tell whether stems have all words of a name."""
    return all(is_said(word, said) for word in name)


def document_of(passage: Passage) -> str:
    """Return the title of the document that a passage stands in."""
    return passage.title.split(MARK, maxsplit=1)[0]


def collect_stems_of(passage: Passage) -> frozenset[str]:
    """Collect the stems of what a passage says, title included."""
    return collect_said(f"{passage.title} {passage.text}")


def collect_title_stems(passage: Passage) -> frozenset[str]:
    """Collect the stems of a passage's title, with other words for what its headings name."""
    document, _, headings = passage.title.partition(MARK)
    return collect_stems(document) | collect_heading_stems(headings)


def compute_share(subject: Subject, words: Sequence[str], said: AbstractSet[str]) -> float:
    """Return the share of `words`, by rarity, that are said."""
    total = sum(subject.rarity.get(word, UNKNOWN_RARITY) for word in words)
    held = sum(subject.rarity.get(word, UNKNOWN_RARITY) for word in words if word in said)
    return held / total if total else 1.0


def is_form(name: str, word: str) -> bool:
    """Tell whether two stems are forms of one word."""
    # "Italian" is said by "Italy", but "Iceland" not by "island".
    if len(name) < 5 or len(word) < 5 or name[:4] != word[:4]:
        return False
    shared = 4
    while name[shared : shared + 1] == word[shared : shared + 1] != "":
        shared += 1
    return name[shared:] in _ENDINGS and word[shared:] in _ENDINGS
