"""Where an index is kept: a folder, S3, or S3 Vectors.

A place can say cheaply what its index is made of, and open it. Both block: they are called in
the library's own thread. Nothing here ranks, and nothing distant is touched before it is asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ...errors import RiverrunError, SetupError
from ...passages import Passage
from ..followups import title_words
from ..index.manifest import (
    FORMAT,
    Manifest,
    check_sizes,
    present,
    read_manifest,
)
from ..words import content_words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..index.index import Index


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
    format: int = FORMAT


class Opened(Protocol):
    """An index that can be searched. One thread at a time; `close` it."""

    titles: frozenset[str]
    """The telling words of the documents' titles, case-folded."""

    def find(self, text: str, vector: "NDArray[np.float32]", top_k: int) -> Sequence[Passage]:
        """Return the `top_k` best passages for the question `text`, best first."""
        ...

    def close(self) -> None:
        """Let files and connections go."""
        ...


class Place(Protocol):
    """An index that is somewhere. Every call blocks.

    `name` is what the setting says. A `distant` one is not on this machine.
    """

    name: str
    distant: bool

    def look(self) -> Facts:
        """Say what the index is made of. Raises `SetupError`, or `RetrievalError` for now."""
        ...

    def open(self) -> Opened:
        """Open the index. Raises the same."""
        ...


class Folder:
    """A folder that `make ingest` wrote."""

    distant = False

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = present(path.expanduser())

    def look(self) -> Facts:
        """Read the manifest and compare sizes: nothing that needs numpy."""
        manifest = read_manifest(self._path)
        check_sizes(self._path, manifest)
        return facts_of(manifest)

    def open(self) -> "Files":
        """Open the files, read-only."""
        from ..index.index import open_index

        return Files(open_index(self._path))


class Files:
    """An index whose files are on this machine."""

    def __init__(self, index: "Index") -> None:
        self.index = index
        self.titles = title_words(set(index.documents))

    def find(self, text: str, vector: "NDArray[np.float32]", top_k: int) -> list[Passage]:
        """Search by meaning and by words."""
        from ..index.search import passages, search

        hits = search(self.index, self.index.vectors @ vector, vector, content_words(text), top_k)
        return passages(self.index, hits, vector)

    def close(self) -> None:
        """Close the database; the arrays unmap when the last reference goes."""
        self.index.close()


def facts_of(manifest: Manifest) -> Facts:
    """Return what a manifest says, without its list of documents."""
    return Facts(manifest.model, manifest.dimension, manifest.passages, len(manifest.sources))


def place_of(index: str) -> Place:
    """Return the place that the setting `index` names. Raises `SetupError` for a bad name."""
    scheme, separator, _ = index.partition("://")
    if not separator:
        return Folder(Path(index))
    if scheme == "s3":
        from .s3 import Bucket, read_url

        return Bucket(read_url(index))
    if scheme == "s3vectors":
        from .s3_vectors import VectorIndex, read_vectors_url

        return VectorIndex(read_vectors_url(index))
    raise SetupError(
        f"RIVERRUN_INDEX={index!r} is not known. It is a folder made by `make ingest`, or starts"
        " with s3:// or s3vectors://."
    )
