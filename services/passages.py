"""What retrieval hands to the answer: passages and their sentences.

Shared by `services.context`, which finds them, and `services.chat`, which reads them;
neither imports the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from .progress import Report, no_report

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a passage.

    `similarity` is its cosine with the question, -1 to 1; `vector` is its unit vector
    (shape ``(dimension,)``, float32), by which an answer avoids saying one thing twice; `start`
    is where it begins in the text of its passage.
    """

    text: str
    similarity: float
    vector: "NDArray[np.float32]"
    start: int = 0


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document that may hold the answer.

    `score` is the cosine of the passage with the question, -1 to 1; passages come in rank
    order, which a lexical match may change. `coverage` is the share of the question's words,
    weighted by their rarity (IDF), that the passage contains, 0 to 1. `rarity` has the weight
    of each of the question's words over the whole index, 0 (every passage says it) to 1 (none
    does); the passages of one search share it. `has_document` says that the library can read the
    whole document of the passage. `shares_words` is False where the question is in another
    language than the documents: then only meaning tells. `is_foreign` says that the question looks
    to be in another language, with a model that knows one. `asked` is what was searched for: the
    question with what it takes over from the earlier ones, and its slips mended.
    """

    id: str
    title: str
    uri: str
    text: str
    score: float
    coverage: float
    sentences: tuple[Sentence, ...]
    rarity: Mapping[str, float] = field(default_factory=dict)
    has_document: bool = False
    shares_words: bool = True
    is_foreign: bool = False
    asked: str = ""


@dataclass(frozen=True, slots=True)
class DocumentText:
    """The text of an indexed document: its passages in order, and which one was asked for."""

    id: str
    title: str
    uri: str
    passages: tuple[Passage, ...]


class Retriever(Protocol):
    """A library that finds passages; `services.context.Library` is one."""

    async def retrieve(
        self,
        question: str,
        top_k: int,
        *,
        previous: str | None = None,
        report: Report = no_report,
    ) -> tuple[Passage, ...]:
        """Return up to `top_k` passages for `question`, best first.

        `previous` holds the earlier questions of the conversation, one a line, the newest last.
        """
