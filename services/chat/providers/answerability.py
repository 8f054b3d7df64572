"""Decide whether the passages answer a question at all, and what they lack.

A refusal that names what is missing is worth more than an answer that is about something else.
"""

import math
import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from ...passages import Passage
from ...wording import read_comparison
from ..topics import collect_said, is_topic
from ..words import collect_stems, split_words, stem
from .asked import MUST_BE_SAID, counts, read_asked, read_counted
from .beyond import UNKNOWN, asks_of_now, names_unknown
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
from .scores import share_out, weigh

ANSWER_WEIGHTS = {
    "bias": -6.92,
    "likeness": 5.4,
    "contrast": 2.47,
    "said": 2.23,
    "said by a passage": 1.23,
    "length": 1.7,
    "choice": 1.33,
    "lacks attribute": -0.76,
    "lacks fact": -2.2,
    "counts nothing": -1.32,
    "lacks kind": -3.08,
    "price or hours": -2.44,
    "person": -0.94,
}
"""Whether the answer has what is asked for: a logistic regression, fitted like the scores of units
(`python -m benchmarks.fit`) on the same questions, those that the documents do not answer, and,
for less, those that they do with the passages that answer taken away."""

LEAST = 0.36
"""The probability from which the question is answered."""

LEAST_UNKNOWN = 0.9
"""The same when the question has a year or a code that no passage says (E1042 is not E1043), a
name that no document says (a guide to Tokyo does not answer for Nairobi), or asks for a day that
none names: the climate does not answer for tomorrow."""

LEAST_UNSAID = 0.55
"""The same when it is asked whether a thing is so, in words that nothing on it says (safe, legal),
or for an attribute of it that stands nowhere (its capital)."""

LEAST_ACROSS_LANGUAGES = 0.36
"""The cosine of the best unit from which a question in another language than the documents is
answered, measured with the multilingual model: there are no words to tell."""

TYPICAL_CONTRAST = 0.1
"""The least contrast of passages with fewer than four units: there is little to stand out from."""

MOST_KEYWORDS = 2
"""Words up to which a question may be nothing but what it is about: "wine", "street food"."""

_WHETHER = re.compile(r"^\W*(?:is|are|was|were)\b", re.IGNORECASE)

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
    if _says_keywords(question, subject, evidence):
        return True
    least = _find_least(question, passages, evidence)
    comparison = read_comparison(question)
    if comparison is None or not comparison.topic:
        return compute_probability(question, passages, evidence) >= least
    # No passage says both things: each was searched for alone, in what they are compared.
    return all(
        compute_probability(side, passages, weigh(side, passages)) >= least
        for side in comparison.searches
    )


def _find_least(question: str, passages: Sequence[Passage], evidence: Sequence[Evidence]) -> float:
    subject = read_subject(question, passages)
    said = _collect_said(subject, passages)
    if names_unknown(question, passages, subject, said) or asks_of_now(question, said):
        return LEAST_UNKNOWN
    lacking = find_lacking(question, subject, evidence)
    if lacking is not None and lacking.is_attribute:
        return LEAST_UNSAID
    if not _WHETHER.match(question):
        return LEAST
    own = [one for one in passages if _says_names(subject, one)]
    known = frozenset[str]().union(*map(collect_stems_of, own), _collect_topics(own))
    return LEAST if all(is_said(word, known) for word in subject.about) else LEAST_UNSAID


def _says_names(subject: Subject, passage: Passage) -> bool:
    """Tell whether a passage is of what is named: safe trams in Bergen make none so in Oslo."""
    said = collect_stems_of(passage)
    return not subject.names or any(is_said_whole(name, said) for name in subject.names)


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


def compute_probability(
    question: str, passages: Sequence[Passage], evidence: Sequence[Evidence]
) -> float:
    """Compute how likely it is that an answer of the passages has what is asked for, 0 to 1."""
    clues = read_answer_clues(question, passages, evidence)
    total = ANSWER_WEIGHTS["bias"] + sum(
        ANSWER_WEIGHTS[name] * clue for name, clue in clues.items()
    )
    return 1 / (1 + math.exp(-total))


def read_answer_clues(
    question: str, passages: Sequence[Passage], evidence: Sequence[Evidence]
) -> dict[str, float]:
    """Read what tells whether the passages answer; what is not there is 0."""
    subject = read_subject(question, passages)
    everything = _collect_said(subject, passages)
    best = max(evidence, key=lambda item: item.score).unit
    passage = passages[best.rank - 1]
    title = collect_stems(passage.title) | (collect_title_stems(passage) & everything)
    words = [word for word in subject.words if word not in subject.asking]
    likeness = sorted((item.unit.similarity for item in evidence), reverse=True)
    contrast = likeness[0] - likeness[min(3, len(likeness) - 1)]
    shares = sorted(share_out(evidence), reverse=True)
    asked = read_asked(question)
    known = everything | _collect_topics(passages)
    unsaid = [word for word in subject.about if not is_said(word, known)]
    lacking = find_lacking(question, subject, evidence)
    has = {
        "lacks fact": lacking is not None and not lacking.is_attribute,
        "lacks attribute": lacking is not None and lacking.is_attribute,
        "counts nothing": _counts_nothing(question, evidence),
        "lacks kind": _lacks_kind(subject, unsaid),
        "price or hours": asked in MUST_BE_SAID,
        "person": asked == "person" and not any(item.has_fact for item in evidence),
    }
    return {
        "likeness": likeness[0],
        "contrast": contrast if len(likeness) > 3 else max(contrast, TYPICAL_CONTRAST),
        "said": compute_share(subject, words, collect_said(best.text) | title),
        "said by a passage": max(
            compute_share(subject, words, collect_stems_of(passage)) for passage in passages
        ),
        "length": len(subject.about) / 5,
        "choice": shares[0] - (shares[1] if len(shares) > 1 else 0.0),
        **{name: 1.0 for name, is_there in has.items() if is_there},
    }


def _counts_nothing(question: str, evidence: Sequence[Evidence]) -> bool:
    """Tell whether it is asked how many there are of something that no unit counts."""
    counted = read_counted(question)
    return counted is not None and not any(counts(counted, item.unit.text) for item in evidence)


def _lacks_kind(subject: Subject, unsaid: Sequence[str]) -> bool:
    """Tell whether the topic is said and nothing of which kind: "vegetarian food", of food."""
    kinds = [word for word in subject.about if not is_topic(word)]
    has_topic = len(kinds) < len(subject.about)
    return has_topic and bool(kinds) and set(kinds) <= set(unsaid)


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
