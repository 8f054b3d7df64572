"""An index, open for reading: arrays mapped from disk, texts and words from SQLite.

It answers exact questions (which rows, how similar, which words) and ranks nothing. Nothing
is ever written, not even a journal, so an index may live in a read-only zip or image.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ...errors import SetupError
from ...json_input import parse_json
from ..chunk import ARROW, Chunk
from .manifest import (
    CHUNKS,
    INGEST_AGAIN,
    SENTENCES,
    VECTORS,
    Manifest,
    check_sizes,
    current_path,
    read_manifest,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A row's number in `passages` is its row in vectors.npy; its sentences are the rows
# first_sentence, first_sentence + 1, ... of sentences.npy, one for each of `spans`.
# `twin` is the first row with the same title and text, its own number when there is none.
INDEX_SCHEMA = """
CREATE TABLE passages (
  row INTEGER PRIMARY KEY, id TEXT NOT NULL, source TEXT NOT NULL, uri TEXT NOT NULL,
  title TEXT NOT NULL, document TEXT NOT NULL, text TEXT NOT NULL, spans TEXT NOT NULL,
  first_sentence INTEGER NOT NULL, twin INTEGER NOT NULL
);
CREATE VIRTUAL TABLE words USING fts5(
  title, text, content='passages', content_rowid='row',
  tokenize='porter unicode61 remove_diacritics 2'
);
"""

ROWS = """
SELECT row, id, uri, title, document, text, spans FROM passages
WHERE row IN (SELECT value FROM json_each(?))
"""
TITLES = "SELECT first_sentence, uri, document, title FROM passages ORDER BY row"
ROWS_OF = """
SELECT row, id, uri, title, document, text, spans FROM passages WHERE source = ? ORDER BY row
"""


SCANNED_SENTENCES = 4_000
"""Sentences up to which all are compared with a question: to gather some of them costs more."""

KEPT_NUMBERS = 4_000_000
"""Numbers of sentence vectors up to which an index keeps them at full precision: 16 MB."""

KEPT_ROWS = 1024
"""Passages that are kept as they were read: a small index's are asked for again and again."""


@dataclass(frozen=True, slots=True)
class Row:
    """One passage of the index; its number is its row in the array of vectors."""

    row: int
    chunk: Chunk


class Index:
    """An open index. One thread at a time; `close` it, or use it as a context manager."""

    def __init__(
        self,
        manifest: Manifest,
        vectors: "NDArray[np.float32]",
        sentences: "NDArray[np.float16]",
        connection: sqlite3.Connection,
    ) -> None:
        self.manifest = manifest
        self.vectors = vectors
        self.sentences = sentences
        self._sql = connection
        twins = connection.execute("SELECT row FROM passages WHERE twin != row ORDER BY row")
        self.copies: NDArray[np.int64] = np.array([row for (row,) in twins], np.int64)
        """Rows that repeat an earlier one word for word."""
        known = connection.execute(TITLES)
        firsts, uris, documents, titles = zip(*known, strict=True)
        self.addresses = [uri.partition("#")[0] for uri in uris]
        """The address of each row's document."""
        self.documents: Sequence[str] = documents
        """The title of each row's document."""
        self.sections = [title.partition(ARROW)[2].rpartition(ARROW)[2] for title in titles]
        """The innermost heading of each row, empty for what stands under the title alone."""
        self._bounds = (*firsts, manifest.sentences)
        self._unit_sentences: NDArray[np.float32] | None = None
        self._rows: dict[int, Row] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database. The arrays unmap when the last reference goes."""
        self._sql.close()

    def rows(self, numbers: Sequence[int]) -> list[Row]:
        """Return the passages with these row numbers, in this order."""
        missing = [number for number in numbers if number not in self._rows]
        if missing:
            found = self._sql.execute(ROWS, (json.dumps(missing),))
            known = {number: self._rows[number] for number in numbers if number in self._rows}
            known |= {values[0]: _row(values) for values in found}
            if len(self._rows) + len(missing) > KEPT_ROWS:
                self._rows.clear()
            self._rows.update(known)
        return [self._rows[number] for number in numbers]

    def rows_of(self, source: str) -> Iterator[Row]:
        """Yield the passages of one document, in order."""
        for values in self._sql.execute(ROWS_OF, (source,)):
            yield _row(values)

    def source_of(self, passage: str) -> str | None:
        """Return the document of the passage with the id `passage`, None when there is none."""
        found = self._sql.execute("SELECT source FROM passages WHERE id = ?", (passage,)).fetchone()
        return str(found[0]) if found else None

    def with_any(self, words: Sequence[str], limit: int) -> list[int]:
        """Return the rows that hold at least one of `words`, best BM25 first."""
        if not words:
            return []
        found = self._sql.execute(
            "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank, rowid LIMIT ?",
            (" OR ".join(map(_quote, words)), limit),
        )
        return [row for (row,) in found]

    def has_word(self, word: str) -> bool:
        """Tell whether any row holds `word`, or a form of it."""
        query = "SELECT 1 FROM words WHERE words MATCH ? LIMIT 1"
        return self._sql.execute(query, (_quote(word),)).fetchone() is not None

    def read_texts(self, limit: int) -> Iterator[str]:
        """Yield the titles and texts of the first `limit` rows."""
        for title, text in self._sql.execute(
            "SELECT title, text FROM passages ORDER BY row LIMIT ?", (limit,)
        ):
            yield f"{title} {text}"

    def holders(self, word: str) -> set[int]:
        """Return the rows that hold `word`, or a form of it with the same stem."""
        query = "SELECT rowid FROM words WHERE words MATCH ?"
        return {row for (row,) in self._sql.execute(query, (_quote(word),))}

    def unit_sentences(self, spans: Sequence[slice]) -> "NDArray[np.float32]":
        """Return these rows of `sentences` at full precision and of length one.

        Those of a small index are made once and kept; each question would make most of them
        again.
        """
        if self.sentences.size > KEPT_NUMBERS:
            return _normalize(np.concatenate([self.sentences[span] for span in spans]))
        kept = self._keep_sentences()
        return np.concatenate([kept[span] for span in spans])

    def _keep_sentences(self) -> "NDArray[np.float32]":
        if self._unit_sentences is None:
            self._unit_sentences = _normalize(self.sentences)
        return self._unit_sentences

    def best_sentences(self, rows: Sequence[int], vector: "NDArray[np.float32]") -> list[float]:
        """Return the highest cosine of any sentence of each row, in one multiplication."""
        if self.manifest.sentences <= SCANNED_SENTENCES:
            similarities = compare(self._keep_sentences(), vector)
            of_all = np.maximum.reduceat(similarities, self._bounds[:-1])
            highest: list[float] = of_all[list(rows)].tolist()
            return highest
        spans = [self.sentence_rows(row) for row in rows]
        starts = np.cumsum([0, *(span.stop - span.start for span in spans[:-1])])
        gathered = compare(self.unit_sentences(spans), vector)
        best: list[float] = np.maximum.reduceat(gathered, starts).tolist()
        return best

    def sentence_rows(self, row: int) -> slice:
        """Return which rows of `sentences` belong to the passage `row`."""
        return slice(self._bounds[row], self._bounds[row + 1])


def compare(rows: "NDArray[np.float32]", vector: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """Return the cosine of each unit row with a unit vector.

    Row by row in this thread: a product of a matrix wakes the threads of BLAS, which spin for the
    cores that streams and inferences need (6 ms of processor time a question, against 1).
    """
    cosines: NDArray[np.float32] = np.vecdot(rows, vector)
    return cosines


def open_index(path: Path) -> Index:
    """Open the index in the directory `path`, read-only.

    Makes the cheap checks: files, sizes, shapes, counts. Raises `SetupError` when one fails.
    """
    path = current_path(path)
    manifest = read_manifest(path)
    check_sizes(path, manifest)
    connection = None
    try:
        vectors = _map_array(path / VECTORS, "<f4", (manifest.passages, manifest.dimension))
        sentences = _map_array(path / SENTENCES, "<f2", (manifest.sentences, manifest.dimension))
        connection = _connect(path / CHUNKS)
        _check_counts(connection, manifest)
        return Index(manifest, vectors, sentences, connection)
    except (OSError, ValueError, TypeError, EOFError, SyntaxError, sqlite3.Error) as error:
        if connection is not None:
            connection.close()
        raise SetupError(
            f"The index in {path} is damaged. {INGEST_AGAIN.format(path=path)}"
        ) from error


def _normalize(stored: "NDArray[np.float16]") -> "NDArray[np.float32]":
    vectors: NDArray[np.float32] = stored.astype(np.float32)
    # Half precision leaves a row a little off its length.
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return vectors


def _map_array(path: Path, dtype: str, shape: tuple[int, int]) -> "NDArray[Any]":
    array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.shape != shape or array.dtype != np.dtype(dtype):
        raise ValueError(f"{path.name} holds {array.dtype} {array.shape}")
    return np.asarray(array)  # a plain view of the map: slicing it costs a third


def _connect(path: Path) -> sqlite3.Connection:
    # immutable: no locks and no journal are looked for, as no one writes to an index in place.
    # The caller sees to it that one thread at a time uses it, so the thread check can rest.
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    return sqlite3.connect(uri, uri=True, check_same_thread=False)


def _check_counts(connection: sqlite3.Connection, manifest: Manifest) -> None:
    with closing(connection.cursor()) as cursor:
        first, last, passages = cursor.execute(
            "SELECT min(row), max(row), count(*) FROM passages"
        ).fetchone()
        indexed = cursor.execute("SELECT count(*) FROM words_docsize").fetchone()[0]
    if (first, last, passages, indexed) != (0, passages - 1, manifest.passages, passages):
        raise ValueError("the database and the manifest disagree about the number of passages")


def _quote(word: str) -> str:
    # A string in FTS5's query language: nothing inside it is an operator.
    return '"' + word.replace('"', '""') + '"'


def _row(values: tuple[Any, ...]) -> Row:
    row, name, uri, title, document, text, spans = values
    cuts = tuple((int(start), int(end)) for start, end in parse_json(spans))
    return Row(row, Chunk(name, uri, title, document, text, cuts))
