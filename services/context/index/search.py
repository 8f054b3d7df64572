"""Which passages answer a question: by meaning, and by words where words are telling.

Pure ranking over an open index; it embeds nothing and knows no settings. Meaning is an exact
scan of all passages; the best are then compared sentence by sentence, because one sentence
often answers what its passage only touches. Words find passages that meaning missed (names,
error codes), but only past a gate: ungated, a match of two common words would outrank the
right passage. The final score is a weighted sum, so that a strong match stays strong; ranks
alone (reciprocal rank fusion) found the right passage first 80 times in 100, this sum 89.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log
from typing import TYPE_CHECKING

import numpy as np

from ...passages import Passage, Sentence
from ..chunk import Chunk
from ..words import content_words, singular
from .index import Index, compare

if TYPE_CHECKING:
    from numpy.typing import NDArray

CANDIDATES = 100
"""Passages of each ranking that are looked at more closely."""

GATE = 0.5
"""The share of the known words from which a passage found by words alone is a candidate."""

# The weights were measured with `python -m benchmarks.retrieval` and on the half of the questions
# of `benchmarks.answers` that is tuned on; the result moves little between 0.25 and 0.3, 0.7 and
# 0.75, 0.15 and 0.25. BM25 as one more voice, plain or with heavier titles, as a score or as a
# share of the best, loses up to ten of the 182 shipped questions and wins three elsewhere: what it
# knew and this did not are rare words in titles.
OF_PASSAGE, OF_SENTENCE, OF_WORDS = 0.25, 0.75, 0.25

OF_COMPANY = 0.3
"""For standing in a document of which other passages are found, too: the mean of its best."""
COMPANY = 3

# For the share of the question's words, by rarity, that name the document by its whole title, or
# stand in a title or heading. "Kyoto" nearly decides where to eat in Kyoto; that one page of a
# hundred about SQLite is called "About SQLite" tells nothing about a question on it.
OF_DOCUMENT_NAME, OF_TITLE = 0.15, 0.05

OF_IDENTIFIER = 0.15
"""For a section whose heading begins with an identifier that the question has: "trustProxy" is
explained under that heading, and only used elsewhere."""

OF_CODES = 0.2
"""For holding the question's numbers and codes: a code is the right one or it is not, and to
the model all codes look alike."""

_CODE_WORD = re.compile(r"[\w$@/.-]*\w")
_IS_CODE = re.compile(r"[a-z][A-Z]|_|\w\.\w")

MOST_WORDS = 64
"""Words of a question that are looked up: a pasted page need not be."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A row of the index, its cosine with the question, and its coverage of it.

    `rarity` has the weight of each of the question's words, 0 to 1, for all hits alike.
    """

    row: int
    score: float
    coverage: float
    rarity: Mapping[str, float]


def search(
    index: Index,
    scores: "NDArray[np.float32]",
    vector: "NDArray[np.float32]",
    question: str,
    top_k: int,
) -> list[Hit]:
    """Return the `top_k` best passages, best first; the same question, the same order.

    `scores` are the cosines of all rows with the question, `vector` is its unit vector.
    Passages that repeat another word for word are found once.
    """
    scores = scores.copy()
    scores[index.copies] = -np.inf
    words = content_words(question)[:MOST_WORDS]
    by_meaning = best(scores, CANDIDATES)
    by_words = [row for row in index.with_any(words, CANDIDATES) if np.isfinite(scores[row])]
    held, rarity = _word_shares(index, words, {*by_meaning, *by_words})
    asked = _weigh_asked(rarity)
    candidates = {*by_meaning, *(row for row in by_words if held[row].known >= GATE)}
    identifiers = _find_identifiers(question)
    rows = sorted(candidates)
    spoken = dict(zip(rows, index.best_sentences(rows, vector), strict=True)) if rows else {}
    cosines = dict(zip(rows, scores[rows].tolist(), strict=True))
    named = {title: _share_named(asked, title) for title in {index.documents[row] for row in rows}}
    value = {
        row: OF_PASSAGE * cosines[row]
        + OF_SENTENCE * spoken[row]
        + OF_WORDS * held[row].coverage
        + OF_CODES * held[row].codes
        + OF_DOCUMENT_NAME * named[index.documents[row]]
        + OF_TITLE * _share_said(asked, index.documents[row], index.sections[row])
        + OF_IDENTIFIER * (_read_identifier(index.sections[row]) in identifiers)
        for row in candidates
    }
    company = _weigh_company(index, value)
    ranked = sorted(
        candidates, key=lambda row: (-value[row] - OF_COMPANY * company[index.addresses[row]], row)
    )
    return [Hit(row, cosines[row], held[row].coverage, rarity) for row in ranked[:top_k]]


def passages(index: Index, hits: Sequence[Hit], vector: "NDArray[np.float32]") -> list[Passage]:
    """Return the hits as passages, with every sentence compared to the question."""
    if not hits:
        return []
    rows = index.rows([hit.row for hit in hits])
    spans = [index.sentence_rows(hit.row) for hit in hits]
    vectors = index.unit_sentences(spans)
    similarities = np.clip(compare(vectors, vector), -1, 1).tolist()
    found: list[Passage] = []
    at = 0
    for row, hit, span in zip(rows, hits, spans, strict=True):
        own = slice(at, at + span.stop - span.start)
        found.append(_make_passage(row.chunk, hit, vectors[own], similarities[own]))
        at = own.stop
    return found


def best(scores: "NDArray[np.float32]", count: int) -> list[int]:
    """Return the rows of the highest finite scores, highest first, ties by row."""
    if count < len(scores):
        floor = np.partition(scores, -count)[-count]
        rows = np.flatnonzero(scores >= floor)
    else:
        rows = np.arange(len(scores))
    rows = rows[np.isfinite(scores[rows])]
    order = np.lexsort((rows, -scores[rows]))[:count]
    return [int(row) for row in rows[order]]


@dataclass(frozen=True, slots=True)
class _WordShares:
    """Shares of the question's words a passage holds, 0 to 1, weighted by rarity (IDF).

    `coverage` is the share of all words, `known` of those the index knows (a word no passage
    holds cannot tell them apart), `codes` of the codes and numbers.
    """

    coverage: float
    known: float
    codes: float


def _word_shares(
    index: Index, words: Sequence[str], rows: set[int]
) -> tuple[dict[int, _WordShares], dict[str, float]]:
    """Return what each of `rows` holds of `words`, and how rare each word is, 0 to 1."""
    every = dict.fromkeys(rows, 0.0)
    codes = dict.fromkeys(rows, 0.0)
    rarity: dict[str, float] = {}
    total = total_known = total_codes = 0.0
    highest = _idf(0, index.manifest.passages)
    for word in words:
        holders = index.holders(word)
        weight = _idf(len(holders), index.manifest.passages)
        rarity[word] = weight / highest
        is_code = len(word) >= 3 and any(character.isdigit() for character in word)
        total += weight
        total_known += weight * bool(holders)
        total_codes += weight * is_code
        for row in holders & rows:
            every[row] += weight
            codes[row] += weight * is_code
    shares = {
        row: _WordShares(
            _share(every[row], total),
            _share(every[row], total_known),
            _share(codes[row], total_codes),
        )
        for row in rows
    }
    return shares, rarity


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _weigh_asked(rarity: Mapping[str, float]) -> dict[str, float]:
    """Return the share of all that is asked of each word, in the singular."""
    total = sum(rarity.values())
    return {singular(word): _share(weight, total) for word, weight in rarity.items()}


def _share_named(asked: Mapping[str, float], title: str) -> float:
    """Return the share of the question that is all the content words of `title`; else 0."""
    telling = _telling_words(title)
    return sum(map(asked.__getitem__, telling)) if telling <= asked.keys() else 0.0


def _share_said(asked: Mapping[str, float], *titles: str) -> float:
    """Return the share of the question that stands in any of `titles`."""
    said = _telling_words(*titles)
    if said.isdisjoint(asked):  # of most titles nothing was asked
        return 0.0
    return sum(weight for word, weight in asked.items() if word in said)


# Each question looks at a few hundred titles, and they are the same ones again and again.
@lru_cache(maxsize=1 << 14)
def _telling_words(*titles: str) -> frozenset[str]:
    return frozenset(singular(word) for title in titles for word in content_words(title))


def _find_identifiers(question: str) -> frozenset[str]:
    """Find the names of code in a question: camelCase, with_underscores, dotted.names."""
    return frozenset(
        word.casefold() for word in _CODE_WORD.findall(question) if _IS_CODE.search(word)
    )


@lru_cache(maxsize=1 << 14)
def _read_identifier(heading: str) -> str:
    """Read the first word of a heading as an identifier: "decorate(name, value)" has decorate."""
    found = _CODE_WORD.search(heading)
    return found[0].casefold() if found and not heading[: found.start()].strip("`.@") else ""


def _weigh_company(index: Index, value: Mapping[int, float]) -> dict[str, float]:
    """Weigh each document by the best of its passages, as a share of `COMPANY` whole ones."""
    of_document: dict[str, list[float]] = {}
    for row, one in value.items():
        of_document.setdefault(index.addresses[row], []).append(one)
    return {
        address: sum(sorted(ones, reverse=True)[:COMPANY]) / COMPANY
        for address, ones in of_document.items()
    }


def _idf(holders: int, passages: int) -> float:
    """The weight BM25 gives a word (Robertson and Sparck Jones), never negative."""
    return log(1 + (passages - holders + 0.5) / (holders + 0.5))


def _make_passage(
    chunk: Chunk, hit: Hit, vectors: "NDArray[np.float32]", similarities: Sequence[float]
) -> Passage:
    return Passage(
        id=chunk.id,
        title=chunk.title,
        uri=chunk.uri,
        text=chunk.text,
        score=hit.score,
        coverage=hit.coverage,
        sentences=tuple(
            Sentence(text, similarity, own, start)
            for text, similarity, own, (start, _) in zip(
                chunk.sentences, similarities, vectors, chunk.spans, strict=True
            )
        ),
        rarity=hit.rarity,
    )
