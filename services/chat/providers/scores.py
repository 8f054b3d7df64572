"""Score each unit of the passages by how likely it is the one that answers.

A linear model over what can be told without a language model: meaning (the cosines computed when
the passages were found), the question's words by their rarity, and signs in its wording. The
scores of a question's units are logarithms of shares: `share_out` makes them probabilities, by
which an answer knows how much to quote, and whether to answer.

The weights are fitted by `python -m benchmarks.fit` on the questions of `benchmarks.answers` that
were looked at, a unit being right that has the key fact; left out one set at a time, the model
does as well on it as on the others. They are MiniLM's: another model has other cosines.
"""

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache

from ...passages import Passage
from ..topics import collect_said
from .asked import holds, read_asked
from .definitions import is_definition, names_code_of, read_thing
from .evidence import (
    UNKNOWN_RARITY,
    Evidence,
    collect_title_stems,
    is_form,
    read_subject,
)
from .facts import has_fact, read_wanted
from .signs import find_asked_signs
from .units import LEANING, Unit, cut_units

UNIT_WEIGHTS = {
    "likeness": 5.6,
    "passage": 5.36,
    "rank": 1.62,
    "said": 4.06,
    "said itself": 1.04,
    "asked": 2.05,
    "fact": 1.6,
    "definition": 3.3,
    "code name": 2.77,
    "must": 3.73,
    "can": 1.13,
    "reason": 3.67,
    "default": 3.4,
    "limit": 1.13,
    "verdict": 0.82,
    "effect": 1.54,
    "way": 0.46,
    "leans": -0.46,
    "code": 1.3,
}
"""What each clue adds: a unit's cosine, its passage's, one by its rank; the share of the question's
words that it says with its title, and by itself; and what it has that is asked for."""

FORM, START = 0.8, 0.5
"""What a word counts that is said in another form, and one that only begins like a word there."""

STARTS = 4
"""Letters that words have to begin with in common: "recurse" and "recursion"."""


def weigh(question: str, passages: Sequence[Passage]) -> list[Evidence]:
    """Weigh every unit of `passages` as evidence, in the order of the passages."""
    return [
        Evidence(
            unit, sum(UNIT_WEIGHTS[name] * clue for name, clue in clues.items()), "fact" in clues
        )
        for unit, clues in read_unit_clues(question, passages)
    ]


def read_unit_clues(
    question: str, passages: Sequence[Passage]
) -> list[tuple[Unit, dict[str, float]]]:
    """Read what tells of each unit whether it answers; what is not there is 0."""
    subject = read_subject(question, passages)
    words = [
        (word, subject.rarity.get(word, UNKNOWN_RARITY))
        for word in subject.words
        if word not in subject.asking
    ]
    asked, thing = read_asked(question), read_thing(question)
    signs, wanted = find_asked_signs(question), read_wanted(question, subject)
    found = []
    for rank, passage in enumerate(passages, 1):
        titled = collect_title_stems(passage)
        title_starts = _collect_starts(titled)
        for unit in cut_units(passage, rank):
            said = collect_said(unit.text)
            starts = _collect_starts(said)
            has = {
                "asked": asked is not None and holds(asked, unit.text),
                "fact": wanted is not None and has_fact(wanted, unit.text, passage),
                "definition": thing is not None and is_definition(thing, unit.text),
                "leans": LEANING.match(unit.text) is not None,
                "code name": names_code_of(question, unit.text),
                **{sign.name: sign.says.search(unit.text) is not None for sign in signs},
            }
            clues = {
                "likeness": unit.similarity,
                "passage": passage.score,
                "rank": 1 / rank,
                "said": _weigh_words(words, said | titled, starts, title_starts),
                "said itself": _weigh_words(words, said, starts),
                **{name: 1.0 for name, is_there in has.items() if is_there},
            }
            found.append((unit, clues))
    return found


def share_out(evidence: Sequence[Evidence]) -> list[float]:
    """Return of each unit how likely it is that it answers, if one does."""
    best = max((item.score for item in evidence), default=0.0)
    weights = [math.exp(item.score - best) for item in evidence]
    total = sum(weights)
    return [weight / total for weight in weights]


def _weigh_words(
    words: Sequence[tuple[str, float]], said: AbstractSet[str], *starts: Mapping[str, Sequence[str]]
) -> float:
    """Return the share of the words that is said, by rarity; a form of one counts less."""
    total = sum(rarity for _, rarity in words)
    if not total:
        return 0.0
    held = 0.0
    for word, rarity in words:
        if word in said:
            held += rarity
        elif alike := [other for one in starts for other in one.get(word[:STARTS], ())]:
            held += rarity * (FORM if any(is_form(word, other) for other in alike) else START)
    return held / total


@lru_cache(maxsize=1 << 13)
def _collect_starts(said: frozenset[str]) -> Mapping[str, Sequence[str]]:
    """Return the words by the letters that they begin with."""
    starts: dict[str, list[str]] = {}
    for word in said:
        if len(word) >= STARTS:
            starts.setdefault(word[:STARTS], []).append(word)
    return starts
