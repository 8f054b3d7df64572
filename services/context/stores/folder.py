"""A folder of this machine that holds an index."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ...passages import DocumentText, Passage
from ..followups import title_words
from ..index.manifest import check_sizes, current_path, read_manifest
from ..spelling import correct, count_words
from .store import Facts, read_facts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..index.index import Index


SPELLED = 5_000
"""Passages whose words a slip is mended to: a few megabytes of text, read at the first slip."""


class FolderStore:
    """A folder that `make ingest` wrote."""

    is_remote = False

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = current_path(path.expanduser())

    def inspect(self) -> Facts:
        """Read the manifest and compare sizes: nothing that needs numpy."""
        manifest = read_manifest(self._path)
        check_sizes(self._path, manifest)
        return read_facts(manifest)

    def open(self) -> "OpenFiles":
        """Open the files, read-only."""
        from ..index.index import open_index

        return OpenFiles(open_index(self._path))


class OpenFiles:
    """An index whose files are on this machine."""

    def __init__(self, index: "Index") -> None:
        self.index = index
        self.document_titles = tuple(dict.fromkeys(index.documents))
        pairs = zip(index.documents, index.sections, strict=True)
        self.headings = tuple(
            dict.fromkeys(f"{document}: {section}" for document, section in pairs if section)
        )
        self.titles = title_words(self.document_titles)

    def correct(self, question: str) -> str:
        """Mend what neither the index nor English knows, and one of them nearly does."""
        return correct(question, self.index.has_word, lambda: self._words)

    @cached_property
    def _words(self) -> Mapping[str, int]:
        return count_words(self.index.read_texts(SPELLED))

    def find(self, text: str, vector: "NDArray[np.float32]", top_k: int) -> list[Passage]:
        """Search by meaning and by words."""
        from ..index.index import compare
        from ..index.search import passages, search

        hits = search(self.index, compare(self.index.vectors, vector), vector, text, top_k)
        found = passages(self.index, hits, vector)
        return [replace(passage, has_document=True) for passage in found]

    def read_document(self, passage: str) -> DocumentText | None:
        """Read all passages of the document that `passage` stands in, in order."""
        source = self.index.source_of(passage)
        if source is None:
            return None
        chunks = [row.chunk for row in self.index.rows_of(source)]
        passages = tuple(
            Passage(one.id, one.title, one.uri, one.text, 0.0, 0.0, ()) for one in chunks
        )
        first = chunks[0]
        return DocumentText(passage, first.document, first.uri.partition("#")[0], passages)

    def close(self) -> None:
        """Close the database; the arrays unmap when the last reference goes."""
        self.index.close()
