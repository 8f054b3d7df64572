"""An index in S3 Vectors, for corpora that outgrow files: asked, never fetched.

The service finds the passages whose meaning is nearest; their texts and the vectors of their
sentences come along as metadata. Those few become a small index in memory, which is then ranked
like any other: words count among the candidates, but cannot find what meaning missed.
"""

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ... import aws
from ...errors import SetupError
from ...passages import DocumentText, Passage
from .aws_errors import translate_error
from .store import Facts
from .vector_format import (
    IndexRecord,
    VectorLocation,
    generation_filter,
    read_record,
    unpack_rows,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..index.index import Index

NEAREST = 60
"""Passages that are looked at more closely; the service gives 100 at most."""

FRESH = 60.0
"""Seconds the record is believed. What an ingest ends stays until the next one, so a reader who
still asks for the generation before misses nothing."""

ACTION = "read it (s3vectors:QueryVectors, s3vectors:GetVectors)"


class S3VectorsStore:
    """The store of an index in S3 Vectors. `client` makes or finds the boto3 client."""

    is_remote = True

    def __init__(
        self,
        location: VectorLocation,
        *,
        client: Callable[[str], Any] = aws.client,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = str(location)
        self._location = location
        self._client = client
        self._clock = clock

    def inspect(self) -> Facts:
        """Read the record."""
        return self._record().facts

    def open(self) -> "VectorSearch":
        """Nothing is fetched: questions are asked there."""
        return VectorSearch(self._location, self._client, self._record, self._clock)

    def _record(self) -> IndexRecord:
        try:
            record = read_record(self._client("s3vectors"), self._location)
        except Exception as error:
            raise translate_error(error, self.name, ACTION) from error
        if record is None:
            raise SetupError(
                f"There is nothing in {self.name} yet. Fill it: make ingest"
                f" DOCS=<your documents> INDEX={self.name}"
            )
        return record


class VectorSearch:
    """An index in S3 Vectors, being asked."""

    def __init__(
        self,
        location: VectorLocation,
        client: Callable[[str], Any],
        record: Callable[[], IndexRecord],
        clock: Callable[[], float],
    ) -> None:
        self._location = location
        self._client = client
        self._read = record
        self._clock = clock
        self._known = record()
        self._read_at = clock()
        self.titles = self._known.titles
        self.document_titles: tuple[str, ...] = ()
        self.headings: tuple[str, ...] = ()

    def correct(self, question: str) -> str:
        """Return the question as it is: the service knows vectors, no words."""
        return question

    def find(self, text: str, vector: "NDArray[np.float32]", top_k: int) -> Sequence[Passage]:
        """Ask for the nearest passages, and rank them by their sentences and words."""
        if self._clock() - self._read_at > FRESH:
            self._known, self._read_at = self._read(), self._clock()
        try:
            answer = self._client("s3vectors").query_vectors(
                **self._location.names,
                queryVector={"float32": vector.tolist()},
                topK=NEAREST,
                filter=generation_filter(self._known.generation),
                returnMetadata=True,
                returnDistance=True,
            )
        except Exception as error:
            raise translate_error(error, str(self._location), ACTION) from error
        # A passage that an ingest left twice when it was cut short is one: see `twins`.
        nearest = sorted(answer["vectors"], key=lambda one: (one["distance"], one["key"]))
        if not nearest:
            return []
        return _rank(nearest, text, vector, top_k)

    def read_document(self, passage: str) -> DocumentText | None:  # noqa: ARG002
        """Return None: the service finds passages, and cannot list those of a document."""
        return None

    def close(self) -> None:
        """Nothing is open: the client is the process's."""


def _rank(
    nearest: Sequence[Mapping[str, Any]],
    text: str,
    vector: "NDArray[np.float32]",
    top_k: int,
) -> list[Passage]:
    import numpy as np

    from ..index.search import passages, search

    scores = np.array([1 - one["distance"] for one in nearest], np.float32)
    with _in_memory([one["metadata"] for one in nearest], len(vector)) as index:
        hits = search(index, scores, vector, text, top_k)
        return passages(index, hits, vector)


def _in_memory(found: Sequence[Mapping[str, Any]], dimension: int) -> "Index":
    """Return the passages that were found as an index of their own, in the same order."""
    import numpy as np

    from ..index.index import INDEX_SCHEMA, Index
    from ..index.manifest import Manifest

    spoken = [unpack_rows(one["sentences"], dimension) for one in found]
    sql = sqlite3.connect(":memory:")
    sql.executescript(INDEX_SCHEMA)
    first = 0
    twins: dict[tuple[str, str], int] = {}
    for row, (one, rows) in enumerate(zip(found, spoken, strict=True)):
        values = (one["id"], "", one["uri"], one["title"], one["document"], one["text"])
        twin = twins.setdefault((one["title"], one["text"]), row)
        sql.execute(
            "INSERT INTO passages VALUES (?,?,?,?,?,?,?,?,?,?)",
            (row, *values, one["spans"], first, twin),
        )
        first += len(rows)
    sql.execute("INSERT INTO words(words) VALUES ('rebuild')")
    manifest = Manifest(
        recipe=0,
        model="",
        dimension=dimension,
        passages=len(found),
        sentences=first,
        files={},
        sources={},
    )
    vectors = np.empty((len(found), 0), np.float32)
    return Index(manifest, vectors, np.concatenate(spoken), sql)
