"""Judge how well units of the passages answer a question, and whether any does.

Scores combine meaning (cosines, computed when the passages were found) and words, weighted by
their rarity in the index. Nothing is embedded here, and nothing a passage says is obeyed: its
text is only ever compared.
"""

import math
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from ...passages import Passage
from ..words import collect_stems, find_names, is_number, split_words, stem
from .units import Unit, cut_units

MEANING, COVERAGE, PASSAGE = 0.5, 0.5, 0.3
"""What a unit's score is made of: its cosine, the question's words in it, its passage."""

NAMED = 0.3
"""What a unit gains in a passage that says a name of the question, times the name's rarity. A
name that every document has tells none apart; one that few have nearly decides."""

TITLE_SHARE = 0.8
"""What a word counts that stands only in the passage's title, not in the unit."""

UNKNOWN_RARITY = 0.5
"""The rarity of a word when the passages come without an index: those of a recording."""

# Whether the documents answer at all: a logistic regression with five features, fitted with
# all-MiniLM-L6-v2 on half of the questions of `benchmarks.answers` (171, over four sets of
# documents), the shipped questions, and the same questions with the passages that answer them
# taken away. The other half is held back and measured there. Another embedding model has other
# cosines: its own figures belong here.
BIAS = -7.77
LIKENESS = 5.73
"""The cosine of the best unit's passage with the question."""
CONTRAST = 11.35
"""How far the best unit's cosine stands out from the fourth one's: "Lisbon" is in all of them."""
SAID = 3.15
"""The share of the question's words, by rarity, that the best unit and its title say."""
ABOUT = 1.21
"""The same for the words that are not the name of something, and all the passages."""
LENGTH = 2.93
"""For every five of these words: a long question is never said word for word."""

LEAST = 0.32
"""The probability from which the question is answered."""

LEAST_UNKNOWN = 0.9
"""The same when the question has a year or a code that no passage says (E1042 is not E1043), or
a name that no document says: a guide to Tokyo does not answer for Nairobi."""

LEAST_UNSAID = 0.5
"""The same when no passage says any word of what it asks: "vegetarian" in Seoul."""

LEAST_ACROSS_LANGUAGES = 0.36
"""The cosine of the best unit from which a question in another language than the documents is
answered, measured with the multilingual model: there are no words to tell."""

RARE = 0.7
"""The rarity from which a word is evidence by itself, where all that is asked is said: "What is
banchan?" Of 333 passages no more than three have such a word."""

UNKNOWN = 0.999
"""The rarity of a word that the index does not have."""

TYPICAL_CONTRAST = 0.1
"""The least contrast of passages with fewer than four units: there is little to stand out from."""

_MONTH = (
    r"(?:january|february|march|april|may|june|july|august|september|october|november|december)"
)
_DAY_OF_MONTH = re.compile(rf"\b\d{{1,2}}(?:st|nd|rd|th)?(?= (?:of )?{_MONTH}\b)", re.IGNORECASE)
"""A day is said in many ways ("New Year's Eve"); the month is the word of it that tells."""

_ENDINGS = frozenset(
    ("", "a", "an", "er", "ers", "es", "ese", "i", "ian", "ic", "ish", "ist", "n", "o", "s", "y")
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A unit that may be quoted, and what it is worth."""

    unit: Unit
    score: float


@dataclass(frozen=True, slots=True)
class Subject:
    """The words of a question, as stems: all that carry meaning, and those that are names."""

    words: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    rarity: Mapping[str, float]

    @property
    def about(self) -> tuple[str, ...]:
        """The words that are not part of a name."""
        named = {word for name in self.names for word in name}
        return tuple(word for word in self.words if word not in named)


def read_subject(question: str, passages: Sequence[Passage]) -> Subject:
    """Find what a question is about. Words of the first document's title are a name, too."""
    text = _DAY_OF_MONTH.sub("", question)
    words = tuple(dict.fromkeys(stem(w) for w in split_words(text) if collect_stems(w)))
    names = [tuple(stem(word) for word in name) for name in find_names(question)]
    known = {word for name in names for word in name}
    title = collect_stems(_document_of(passages[0])) if passages else set()
    names += [(word,) for word in words if word in title and word not in known]
    rarity: dict[str, float] = {}
    for word, weight in (passages[0].rarity if passages else {}).items():
        for part in split_words(word):
            rarity[stem(part)] = max(weight, rarity.get(stem(part), 0.0))
    return Subject(words, tuple(names), rarity)


def weigh(question: str, passages: Sequence[Passage]) -> list[Evidence]:
    """Weigh every unit of `passages` as evidence, in the order of the passages."""
    subject = read_subject(question, passages)
    titles = [collect_stems(passage.title) for passage in passages]
    names = [_weigh_names(subject, passage) for passage in passages]
    evidence = []
    for rank, passage in enumerate(passages, 1):
        for unit in cut_units(passage, rank):
            said = collect_stems(unit.text)
            coverage = _share(subject, subject.words, said)
            in_title = _share(subject, subject.words, titles[rank - 1] - said)
            score = MEANING * unit.similarity + COVERAGE * (coverage + TITLE_SHARE * in_title)
            score += PASSAGE * passage.score + NAMED * names[rank - 1]
            evidence.append(Evidence(unit, score))
    return evidence


def is_sufficient(question: str, passages: Sequence[Passage], evidence: Sequence[Evidence]) -> bool:
    """Tell whether the evidence is enough to answer from, or the honest answer is none."""
    if not evidence:
        return False
    if not passages[0].shares_words:
        return max(item.unit.similarity for item in evidence) >= LEAST_ACROSS_LANGUAGES
    subject = read_subject(question, passages)
    said = set[str]().union(*(_stems_of(one) for one in passages))
    names = [is_said_whole(name, said) for name in subject.names]
    if not subject.about and any(names):
        return True  # "Tell me about Rome": all that is said of Rome answers
    if _says_rare_word(subject, passages, evidence):
        return True
    least = LEAST
    if subject.about and said.isdisjoint(subject.about):
        least = LEAST_UNSAID
    if _names_unknown(question, passages, subject, said):
        least = LEAST_UNKNOWN
    return compute_probability(question, passages, evidence) >= least


def compute_probability(
    question: str, passages: Sequence[Passage], evidence: Sequence[Evidence]
) -> float:
    """Compute how likely it is that the passages answer the question, 0 to 1."""
    subject = read_subject(question, passages)
    features = read_features(subject, passages, evidence)
    weights = (LIKENESS, CONTRAST, SAID, ABOUT, LENGTH)
    total = BIAS + sum(weight * one for weight, one in zip(weights, features, strict=True))
    return 1 / (1 + math.exp(-total))


def read_features(
    subject: Subject, passages: Sequence[Passage], evidence: Sequence[Evidence]
) -> tuple[float, float, float, float, float]:
    """Read the five features of the decision, in the order of their weights above."""
    best = max(evidence, key=lambda item: item.score).unit
    passage = passages[best.rank - 1]
    likeness = sorted((item.unit.similarity for item in evidence), reverse=True)
    contrast = likeness[0] - likeness[min(3, len(likeness) - 1)]
    if len(likeness) < 4:
        contrast = max(contrast, TYPICAL_CONTRAST)
    everything = set[str]().union(*(_stems_of(one) for one in passages))
    said = collect_stems(best.text) | collect_stems(passage.title)
    return (
        passage.score,
        contrast,
        _share(subject, subject.words, said),
        _share(subject, subject.about, everything),
        len(subject.about) / 5,
    )


def find_unsaid(question: str, passages: Sequence[Passage]) -> tuple[list[str], list[str]]:
    """Return the names of a question that the passages say, and the words they do not, as asked."""
    subject = read_subject(question, passages)
    everything = set[str]().union(*(_stems_of(one) for one in passages))
    titles = set[str]().union(*(collect_stems(_document_of(one)) for one in passages))
    names = {word for name in subject.names for word in name}
    said, unsaid = [], []
    for word in dict.fromkeys(re.findall(r"[^\W_]+(?:[-'’][^\W_]+)*", question)):
        for part in {stem(one) for one in split_words(word)} & set(subject.words):
            if part in names and part in titles:
                said.append(word)
            elif not is_said(part, everything) and not part.isdecimal():
                unsaid.append(word)
    return list(dict.fromkeys(said)), list(dict.fromkeys(unsaid))


def is_said(word: str, said: AbstractSet[str]) -> bool:
    """Tell whether stems have `word` or a form of it: "Japanese" is said by "Japan"."""
    return word in said or any(_is_form(word, other) for other in said)


def is_said_whole(name: Sequence[str], said: AbstractSet[str]) -> bool:
    """Tell whether stems have all words of a name."""
    return all(is_said(word, said) for word in name)


def _document_of(passage: Passage) -> str:
    return passage.title.split(" › ", maxsplit=1)[0]


def _says_rare_word(
    subject: Subject, passages: Sequence[Passage], evidence: Sequence[Evidence]
) -> bool:
    """Tell whether the best unit says all that is asked, and a rare word of it itself."""
    best = max(evidence, key=lambda item: item.score).unit
    said = collect_stems(best.text)
    titled = said | collect_stems(passages[best.rank - 1].title)
    rarity = max((subject.rarity.get(w, 0.0) for w in subject.words if w in said), default=0.0)
    return (
        RARE <= rarity < UNKNOWN
        and bool(subject.about)
        and all(is_said(word, titled) for word in subject.about)
    )


def _names_unknown(
    question: str, passages: Sequence[Passage], subject: Subject, said: AbstractSet[str]
) -> bool:
    """Tell whether a question names only what the index does not have, or a code of another."""
    names = [[stem(word) for word in name] for name in find_names(question)]
    rarities = [subject.rarity.get(word, UNKNOWN_RARITY) for name in names for word in name]
    if names and min(rarities) >= UNKNOWN and not any(is_said_whole(n, said) for n in names):
        return True
    codes = {word for name in find_names(question) for word in name if is_number(word)}
    texts = (f"{passage.title} {passage.text}" for passage in passages)
    return not codes <= {word for text in texts for word in split_words(text)}


def _weigh_names(subject: Subject, passage: Passage) -> float:
    """Return the rarity of the rarest name of the question that a passage says."""
    stems = _stems_of(passage)
    return max(
        (
            max(subject.rarity.get(word, UNKNOWN_RARITY) for word in name)
            for name in subject.names
            if is_said_whole(name, stems)
        ),
        default=0.0,
    )


def _stems_of(passage: Passage) -> frozenset[str]:
    return collect_stems(f"{passage.title} {passage.text}")


def _share(subject: Subject, words: Sequence[str], said: AbstractSet[str]) -> float:
    """Return the share of `words`, by rarity, that are said."""
    total = sum(subject.rarity.get(word, UNKNOWN_RARITY) for word in words)
    held = sum(subject.rarity.get(word, UNKNOWN_RARITY) for word in words if word in said)
    return held / total if total else 1.0


def _is_form(name: str, word: str) -> bool:
    # "Italian" is said by "Italy", but "Iceland" not by "island".
    if len(name) < 5 or len(word) < 5 or name[:4] != word[:4]:
        return False
    shared = 4
    while name[shared : shared + 1] == word[shared : shared + 1] != "":
        shared += 1
    return name[shared:] in _ENDINGS and word[shared:] in _ENDINGS
