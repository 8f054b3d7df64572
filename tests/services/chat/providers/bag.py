"""Passages for tests, with vectors that can be reasoned about.

A text's vector counts its words in buckets: two texts are as alike as the words they share.
"""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.chat.words import collect_stems
from services.passages import Passage, Sentence

DIMENSION = 512


def vector(text: str) -> NDArray[np.float32]:
    """The unit vector of `text`."""
    counts = np.full(DIMENSION, 1e-6, dtype=np.float32)
    for word in collect_stems(text):
        counts[zlib.crc32(word.encode()) % DIMENSION] += 1
    unit: NDArray[np.float32] = (counts / np.linalg.norm(counts)).astype(np.float32)
    return unit


def passage(question: str, title: str, *sentences: str) -> Passage:
    """A passage of these sentences, as retrieval would hand it over for `question`."""
    asked, text = vector(question), " ".join(sentences)
    starts = [sum(len(line) + 1 for line in sentences[:place]) for place in range(len(sentences))]
    return Passage(
        id=title,
        title=title,
        uri=f"{title.lower()}.md",
        text=text,
        score=float(asked @ vector(f"{title} {text}")),
        coverage=0.0,
        sentences=tuple(
            Sentence(line, float(asked @ vector(line)), vector(line), start)
            for line, start in zip(sentences, starts, strict=True)
        ),
    )


def passages(question: str, documents: Sequence[tuple[str, Sequence[str]]]) -> tuple[Passage, ...]:
    """Passages in rank order of their score."""
    found = [passage(question, title, *sentences) for title, sentences in documents]
    return tuple(sorted(found, key=lambda item: -item.score))
