"""Decide whether the passages answer a question at all, and what they lack.

A refusal that names what is missing is worth more than an answer that is about something else.
"""

import math
import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from ...passages import Passage
from ..topics import collect_said
from ..words import collect_stems, split_words, stem
from .asked import MUST_BE_SAID, Asked, holds, read_asked
from .bars import UNKNOWN, find_bar
from .evidence import (
    UNKNOWN_RARITY,
    Evidence,
    Subject,
    collect_stems_of,
    collect_title_stems,
    compute_share,
    document_of,
    is_said,
    is_said_whole,
    read_subject,
)
from .facts import find_lacking

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

LEAST_ACROSS_LANGUAGES = 0.36
"""The cosine of the best unit from which a question in another language than the documents is
answered, measured with the multilingual model: there are no words to tell."""

RARE = 0.7
"""The rarity from which a word is evidence by itself, where all that is asked is said: "What is
banchan?" Of 333 passages no more than three have such a word."""

TYPICAL_CONTRAST = 0.1
"""The least contrast of passages with fewer than four units: there is little to stand out from."""

_OF_KIND = collect_stems(
    "cost costs price fare fee pay ticket free charge expensive pricey cheap open close opening"
    " hours time"
)
"""Words that ask for a price or hours; a sentence with one says nothing of what they are of."""

MOST_KEYWORDS = 2
"""Words up to which a question may be nothing but what it is about: "wine", "street food"."""

_ASKING = frozenset(("many", "much", "long", "often", "far", "need", "there", "enough"))
"""Words that ask; to miss them in the documents tells nothing."""


def is_sufficient(question: str, passages: Sequence[Passage], evidence: Sequence[Evidence]) -> bool:
    """Tell whether the evidence is enough to answer from, or the honest answer is none."""
    if not evidence:
        return False
    if not passages[0].shares_words:
        return max(item.unit.similarity for item in evidence) >= LEAST_ACROSS_LANGUAGES
    subject = read_subject(question, passages)
    said = _collect_said(subject, passages)
    names = [is_said_whole(name, said) for name in subject.names]
    if not subject.about and names and all(names):
        return True  # "Tell me about Rome": all that is said of Rome answers
    if find_lacking(question, subject, passages, evidence):
        return False
    if _says_rare_word(subject, passages, evidence) or _says_keywords(question, subject, evidence):
        return True
    least = find_bar(question, passages, subject, evidence, said)
    is_likely = compute_probability(question, passages, evidence) >= least
    return is_likely and not _lacks_asked(question, subject, evidence)


def read_added(own: str, question: str, passages: Sequence[Passage]) -> tuple[str, ...]:
    """Return what a question asks about beside what it goes on from; nothing if it stands alone.

    `question` is the whole of it: "What are the sights of Rome? Which one is the cheapest?"
    """
    goes_on = own != question and question.endswith(own)
    return read_subject(own, passages).about if goes_on else ()


def is_any_said(words: Sequence[str], passages: Sequence[Passage]) -> bool:
    """Tell whether the passages say a word, or are titled so in other words."""
    said = _collect_topics(passages).union(*map(collect_stems_of, passages))
    return any(is_said(word, said) for word in words)


def _collect_said(subject: Subject, passages: Sequence[Passage]) -> AbstractSet[str]:
    """Collect the stems of what is said, with other words for a heading if no word is left then.

    Under "Eating" stands what the food is like, but nothing of vegan food.
    """
    said = frozenset[str]().union(*map(collect_stems_of, passages))
    with_topics = said | _collect_topics(passages)
    return with_topics if with_topics.issuperset(subject.about) else said


def _collect_topics(passages: Sequence[Passage]) -> frozenset[str]:
    return frozenset[str]().union(*map(collect_title_stems, passages))


def _lacks_asked(question: str, subject: Subject, evidence: Sequence[Evidence]) -> bool:
    """Tell whether a price or hours are asked for that no unit has."""
    asked = read_asked(question)
    return asked in MUST_BE_SAID and not _says_asked(asked, subject, evidence)


def _says_asked(asked: Asked, subject: Subject, evidence: Sequence[Evidence]) -> bool:
    """Tell whether one unit has a thing of the kind asked for, and says of what."""
    about = set(subject.about) - _OF_KIND or set(subject.words) - _OF_KIND
    return any(
        holds(asked, item.unit.text) and not about.isdisjoint(collect_said(item.unit.text))
        for item in evidence
    )


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
    everything = _collect_said(subject, passages)
    title = collect_stems(passage.title) | (collect_title_stems(passage) & everything)
    said = collect_said(best.text) | title
    return (
        passage.score,
        contrast,
        compute_share(subject, [one for one in subject.words if one not in subject.asking], said),
        compute_share(subject, subject.about, everything),
        len(subject.about) / 5,
    )


def find_unsaid(question: str, passages: Sequence[Passage]) -> tuple[list[str], list[str]]:
    """Return the names of a question that the passages say, and the words they do not, as asked."""
    subject = read_subject(question, passages)
    everything = _collect_topics(passages).union(*map(collect_stems_of, passages))
    titles = set[str]().union(*(collect_stems(document_of(one)) for one in passages))
    names = {word for name in subject.names for word in name}
    said, unsaid = [], []
    for word in dict.fromkeys(re.findall(r"[^\W_]+(?:[-'’][^\W_]+)*", question)):
        for part in {stem(one) for one in split_words(word)} & set(subject.words) - _ASKING:
            if part in names and part in titles:
                said.append(word)
            elif not is_said(part, everything) and not part.isdecimal():
                unsaid.append(word)
    # What the whole index lacks is what is missing; a word that it has elsewhere may be.
    unknown = [word for word in unsaid if _is_unknown(word, subject)]
    return list(dict.fromkeys(said)), list(dict.fromkeys(unknown or unsaid))


def _is_unknown(word: str, subject: Subject) -> bool:
    parts = {stem(one) for one in split_words(word)}
    return any(subject.rarity.get(part, UNKNOWN_RARITY) >= UNKNOWN for part in parts)


def _says_keywords(question: str, subject: Subject, evidence: Sequence[Evidence]) -> bool:
    """Tell whether the question is a keyword or two, no names, and the best unit says them."""
    words = split_words(question)
    if (
        not words
        or subject.names
        or len(words) > MOST_KEYWORDS
        or set(map(stem, words)) != set(subject.words)
    ):
        return False
    best = max(evidence, key=lambda item: item.score).unit
    return collect_said(best.text).issuperset(subject.words)


def _says_rare_word(
    subject: Subject, passages: Sequence[Passage], evidence: Sequence[Evidence]
) -> bool:
    """Tell whether the best unit says all that is asked, and a rare word of it itself."""
    best = max(evidence, key=lambda item: item.score).unit
    said = collect_said(best.text)
    titled = said | collect_stems(passages[best.rank - 1].title)
    rarity = max((subject.rarity.get(w, 0.0) for w in subject.words if w in said), default=0.0)
    return (
        RARE <= rarity < UNKNOWN
        and bool(subject.about)
        and all(is_said(word, titled) for word in subject.about)
    )
