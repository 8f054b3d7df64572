"""How likely an answer has to be, by what the question asks and the passages lack.

What nothing says raises the bar: a guide to Tokyo does not answer for Nairobi, nor the climate for
tomorrow.
"""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from ...passages import Passage
from ..topics import is_topic
from ..words import collect_stems, find_names, is_number, split_words, stem
from .asked import counts, read_asked, read_counted
from .evidence import (
    UNKNOWN_RARITY,
    Evidence,
    Subject,
    collect_title_stems,
    is_said,
    is_said_whole,
)

LEAST = 0.32
"""The probability from which the question is answered."""

LEAST_UNKNOWN = 0.9
"""The same when the question has a year or a code that no passage says (E1042 is not E1043), or
a name that no document says: a guide to Tokyo does not answer for Nairobi."""

LEAST_UNSAID = 0.5
"""The same when no passage says any word of what it asks: "vegetarian" in Seoul."""

LEAST_UNSAID_KIND = 0.75
"""The same when they say the topic and nothing of which kind: "vegetarian food", where they have
food."""

LEAST_FOREIGN = 0.55
"""The same when it has a word that the whole index lacks: "gyms near the station"."""

LEAST_UNSAID_VERDICT = 0.9
"""The same when what is asked to be or not to be is said by no passage: "Is the metro safe?"."""

LEAST_VERDICT = 0.45
"""The same when yes or no is asked for: "Is it safe at night?" is near all that is of the night."""

LEAST_UNCOUNTED = 0.65
"""The same when it is asked how many there are of something that no passage counts."""

UNKNOWN = 0.999
"""The rarity of a word that the index does not have."""

_OF_NOW = re.compile(
    r"\b(?:today|tonight|tomorrow|yesterday|currently|right now|at the moment"
    r"|(?:this|next|last) (?:week|weekend|month))\b",
    re.IGNORECASE,
)
"""What no document knows unless it says so: the weather of tomorrow is not the climate."""

_PREDICATE = re.compile(r"(?:is|are|was|were)\b.{1,200}?([^\W\d_]+)\W*$", re.IGNORECASE)


def find_bar(
    question: str,
    passages: Sequence[Passage],
    subject: Subject,
    evidence: Sequence[Evidence],
    said: AbstractSet[str],
) -> float:
    """Return the probability from which the question is answered; `said` is what passages say."""
    if _names_unknown(question, passages, subject, said) or _asks_of_now(question, said):
        return LEAST_UNKNOWN
    is_verdict = read_asked(question) == "verdict"
    bars = [LEAST_VERDICT if is_verdict else LEAST]
    titled = frozenset[str]().union(*map(collect_title_stems, passages))
    unsaid = [word for word in subject.about if not is_said(word, said | titled)]
    if any(subject.rarity.get(word, 0.0) >= UNKNOWN for word in unsaid):
        bars.append(LEAST_FOREIGN)
    if is_verdict and _read_predicate(question) in unsaid:
        bars.append(LEAST_UNSAID_VERDICT)
    if subject.about and said.isdisjoint(subject.about):
        bars.append(LEAST_UNSAID)
    kinds = [word for word in subject.about if not is_topic(word)]
    if kinds and len(kinds) < len(subject.about) and set(kinds) <= set(unsaid):
        bars.append(LEAST_UNSAID_KIND)
    counted = read_counted(question)
    if counted and not any(counts(counted, item.unit.text) for item in evidence):
        bars.append(LEAST_UNCOUNTED)
    return max(bars)


def _read_predicate(question: str) -> str:
    """Return the stem of what a thing is asked to be: "safe" in "Is the metro safe?"."""
    found = _PREDICATE.match(question)
    return stem(found[1].casefold()) if found else ""


def _asks_of_now(question: str, said: AbstractSet[str]) -> bool:
    """Tell whether what is asked for is of a day that no passage names."""
    found = _OF_NOW.search(question)
    return found is not None and not collect_stems(found[0]) <= said


def _names_unknown(
    question: str, passages: Sequence[Passage], subject: Subject, said: AbstractSet[str]
) -> bool:
    """Tell whether a question names only what the index does not have, or a code of another."""
    names = [[stem(word) for word in name] for name in find_names(question)]
    rarities = [subject.rarity.get(word, UNKNOWN_RARITY) for name in names for word in name]
    if names and min(rarities) >= UNKNOWN and not any(is_said_whole(n, said) for n in names):
        return True
    codes = {word for name in find_names(question) for word in name if is_number(word)}
    if not codes:
        return False
    texts = (f"{passage.title} {passage.text}" for passage in passages)
    return not codes <= {word for text in texts for word in split_words(text)}
