"""Weigh how well sentences of the passages answer a question, and whether any does.

Scores combine meaning (cosines, computed when the passages were found) and words. Nothing is
embedded here, and nothing a passage says is obeyed: its text is only ever compared.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...passages import Passage, Sentence
from ..words import collect_stems, find_names, is_number, split_words, stem

MEANING, COVERAGE, PASSAGE = 0.75, 0.25, 0.1
"""What a sentence's score is made of: its cosine, the question's words in it, its passage."""

SUBJECT = 0.1
"""What a sentence gains in a passage whose title says something the question names."""

TITLE_SHARE = 0.5
"""What a word counts that stands only in the passage's title, not in the sentence."""

# The thresholds were measured with all-MiniLM-L6-v2 on the shipped guide: 333 passages, 212
# questions it answers, 93 it does not. Another embedding model needs its own.

WEAKEST = 0.29
"""The least `Evidence.strength` to answer from. Answerable questions had 0.30 and more. The
others had 0.18 in the middle and 0.28 at most, but for those that brush against something in
the guide (bread, bicycles, the weather); these get what it says about that."""

WEAKEST_NAMED = 0.25
"""The least cosine when the question names something and a passage says it: short questions
about codes and proper names sit low, and the name itself is evidence. On short passages of
prose 0.25 loses one answer in forty; 0.30 would lose six."""

WEAKEST_UNSAID = 0.60
"""The least `Evidence.strength` when the question names something that no passage says. "The
best restaurants in Nairobi" is 0.56 like a guide to Tokyo, which is still no answer."""

WEAKEST_DESCRIBED = 0.45
DESCRIBING_WORDS = 4
"""So much will do if the question has so many words of its own besides the name: "windmills and
fields of tulips near the Dutch capital" is like what it describes, whatever it calls it."""

_ENDINGS = frozenset(
    ("", "a", "an", "er", "ers", "es", "ese", "i", "ian", "ic", "ish", "ist", "n", "o", "s", "y")
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence that may be quoted: where it stands, and what it is worth.

    `rank` counts passages from 1, `position` sentences within one from 0. `strength` is the
    mean of the sentence's and its passage's cosine with the question: a chance likeness of one
    sentence does not come with a likeness of its surroundings.
    """

    sentence: Sentence
    rank: int
    position: int
    score: float
    strength: float


def weigh(question: str, passages: Sequence[Passage]) -> list[Evidence]:
    """Weigh every sentence of `passages` as evidence, in the order of the passages."""
    wanted, names = collect_stems(question), find_names(question)
    found = [
        (rank, passage, position, sentence, collect_stems(sentence.text) & wanted)
        for rank, passage in enumerate(passages, 1)
        for position, sentence in enumerate(passage.sentences)
    ]
    rarity = _compute_rarity(wanted, [words for *_, words in found])
    total = sum(rarity.values()) or 1.0
    titles = [collect_stems(passage.title) & wanted for passage in passages]
    subjects = _rank_naming_texts(names, [passage.title for passage in passages])
    evidence = []
    for rank, passage, position, sentence, words in found:
        coverage = _sum_weights(words, titles[rank - 1], rarity) / total
        score = MEANING * sentence.similarity + COVERAGE * coverage + PASSAGE * passage.score
        score += SUBJECT if rank in subjects else 0.0
        strength = (sentence.similarity + passage.score) / 2
        evidence.append(Evidence(sentence, rank, position, score, strength))
    return evidence


def select_sufficient(
    question: str, passages: Sequence[Passage], evidence: Sequence[Evidence]
) -> list[Evidence]:
    """Select the evidence to answer from; empty when all of it is too weak.

    A question that names something is answered from passages that say it, if there are any.
    """
    names = find_names(question)
    texts = [f"{passage.title} {passage.text}" for passage in passages]
    named = _rank_naming_texts(names, texts)
    everything = frozenset(word for text in texts for word in split_words(text))
    numbers = {word for name in names for word in name if is_number(word)}
    if named and numbers <= everything:
        evidence = [item for item in evidence if item.rank in named]
        enough = any(item.sentence.similarity >= WEAKEST_NAMED for item in evidence)
    else:
        least = _find_threshold(question, names)
        enough = any(item.strength >= least for item in evidence)
    return list(evidence) if enough else []


def _find_threshold(question: str, names: Sequence[tuple[str, ...]]) -> float:
    if not names:
        return WEAKEST
    described = collect_stems(question) - {stem(word) for name in names for word in name}
    return WEAKEST_DESCRIBED if len(described) >= DESCRIBING_WORDS else WEAKEST_UNSAID


def _rank_naming_texts(names: Sequence[tuple[str, ...]], texts: Sequence[str]) -> set[int]:
    """Return the ranks, from 1, of the texts that contain all of some name."""
    if not names:
        return set()
    said = [frozenset(split_words(text)) for text in texts]
    return {
        rank
        for rank, words in enumerate(said, 1)
        if any(all(_is_said(word, words) for word in name) for name in names)
    }


def _compute_rarity(wanted: Iterable[str], sentences: Sequence[set[str]]) -> dict[str, float]:
    # The passages at hand are all there is to count in: a word in every sentence tells nothing
    # apart, a word in none is the rarest and lowers every coverage alike.
    seen = Counter(word for words in sentences for word in words)
    return {word: math.log(1 + len(sentences) / (1 + seen[word])) for word in wanted}


def _sum_weights(words: set[str], title: set[str], rarity: Mapping[str, float]) -> float:
    said = sum(rarity[word] for word in words)
    return said + TITLE_SHARE * sum(rarity[word] for word in title - words)


def _is_said(name: str, said: frozenset[str]) -> bool:
    return name in said or any(_is_form(name, word) for word in said)


def _is_form(name: str, word: str) -> bool:
    # "Japanese" is said by "Japan" and "Italian" by "Italy", but "Iceland" not by "island".
    if len(name) < 5 or len(word) < 5 or name[:4] != word[:4]:
        return False
    shared = 4
    while name[shared : shared + 1] == word[shared : shared + 1] != "":
        shared += 1
    return name[shared:] in _ENDINGS and word[shared:] in _ENDINGS
