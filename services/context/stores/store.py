"""What a store of an index is; one module beside this one implements each kind.

A store says cheaply what its index is made of, and opens it. Both block: they are called in
the library's own thread. Nothing here ranks, and nothing remote is touched before it is asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ...errors import RiverrunError
from ...passages import DocumentText, Passage
from ..index.manifest import INDEX_FORMAT, Manifest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class RetrievalError(RiverrunError):
    """The documents could not be searched. The cause is chained, for the log."""

    code = "retrieval_failed"
    retryable = True


@dataclass(frozen=True, slots=True)
class Facts:
    """What an index says of itself: who made its vectors, and how much there is."""

    model: str
    dimension: int
    passages: int
    documents: int
    format: int = INDEX_FORMAT


class OpenIndex(Protocol):
    """An index that can be searched. One thread at a time; `close` it."""

    document_titles: tuple[str, ...]
    """The titles of the documents, in order; none where the store cannot list them."""

    headings: tuple[str, ...]
    """What stands over the passages, document and section (`Paris: Museums`), each once."""

    titles: frozenset[str]
    """The telling words of the documents' titles, case-folded."""

    def correct(self, question: str) -> str:
        """Return `question` with its slips mended, as far as the words of the index tell."""
        ...

    def find(self, text: str, vector: "NDArray[np.float32]", top_k: int) -> Sequence[Passage]:
        """Return the `top_k` best passages for the question `text`, best first."""
        ...

    def read_document(self, passage: str) -> DocumentText | None:
        """Return the document of a passage, by the passage's id; None when it is not here."""
        ...

    def close(self) -> None:
        """Close files and connections."""
        ...


class IndexStore(Protocol):
    """Where an index is kept. Every call blocks.

    `name` is what the setting says. A remote store is not on this machine.
    """

    name: str
    is_remote: bool

    def inspect(self) -> Facts:
        """Read what the index is made of. Raises `SetupError`, or `RetrievalError` for now."""
        ...

    def open(self) -> OpenIndex:
        """Open the index. Raises the same."""
        ...


def read_facts(manifest: Manifest) -> Facts:
    """Return what a manifest says, without its list of documents."""
    return Facts(manifest.model, manifest.dimension, manifest.passages, len(manifest.sources))
