"""What no document of an index can answer: what none names, and what is of today."""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from ...passages import Passage
from ..words import collect_stems, find_names, is_number, split_words, stem
from .evidence import UNKNOWN_RARITY, Subject, is_said_whole

UNKNOWN = 0.999
"""The rarity of a word that the index does not have."""

_OF_NOW = re.compile(
    r"\b(?:today|tonight|tomorrow|yesterday|currently|right now|at the moment"
    r"|(?:this|next|last) (?:week|weekend|month))\b",
    re.IGNORECASE,
)
"""What no document knows unless it says so: the weather of tomorrow is not the climate."""


def asks_of_now(question: str, said: AbstractSet[str]) -> bool:
    """Tell whether what is asked for is of a day that no passage names."""
    found = _OF_NOW.search(question)
    return found is not None and not collect_stems(found[0]) <= said


def names_unknown(
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
