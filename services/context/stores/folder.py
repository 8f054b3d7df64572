"""A folder of this machine that holds an index."""

from pathlib import Path
from typing import TYPE_CHECKING

from ...passages import Passage
from ..followups import title_words
from ..index.manifest import check_sizes, present, read_manifest
from ..words import content_words
from .store import Facts, facts_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..index.index import Index


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
