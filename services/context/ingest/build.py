"""Ingest: a folder of documents into an index, one step at a time.

A generator of what happens to each document; the command prints it, tests read it. Only
documents that changed are read and embedded again. What cannot be read is refused by name
and the rest goes on. It knows nothing of terminals.
"""

import hashlib
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...embedding import Embedder
from ...errors import SetupError
from ..chunk import Chunk
from ..index.index import Index, open_index
from ..index.manifest import INDEX_FILES, Manifest, check_hashes, check_model, current_path
from ..index.writer import (
    EmbeddedDocument,
    IndexWriter,
    keep,
    key_of,
    load_kept,
    remove_work_folder,
    setup_errors,
    work_folder,
)
from .chunks import RECIPE
from .discover import (
    DocumentFile,
    DocumentRefused,
    FileSkipped,
    printable,
)
from .documents import UnreadableError
from .furniture import Furniture
from .passages import find_entries, find_folder_furniture, read_chunks, read_file

BATCH = 32
"""Texts embedded between two steps of a progress bar."""

KEEP_EVERY = 2_000
"""Texts after which the vectors of a document are kept, should the ingest be cut short."""


@dataclass(frozen=True, slots=True)
class DocumentCount:
    """How many documents there are; the first step."""

    documents: int


@dataclass(frozen=True, slots=True)
class EmbeddingProgress:
    """How much of one document is embedded, 0 to 1."""

    source: str
    fraction: float


@dataclass(frozen=True, slots=True)
class DocumentRead:
    """A document that is in the new index; `reused` when nothing had to be embedded for it."""

    source: str
    passages: int
    reused: bool


@dataclass(frozen=True, slots=True)
class DocumentDoubted:
    """A document that was read, and what may have gone wrong with it."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class IndexWritten:
    """The new index is in place; the last step."""

    path: Path
    manifest: Manifest


IngestStep = (
    DocumentCount
    | FileSkipped
    | DocumentRefused
    | EmbeddingProgress
    | DocumentDoubted
    | DocumentRead
    | IndexWritten
)


async def ingest(docs: Path, index: Path, embedder: Embedder) -> AsyncGenerator[IngestStep, None]:
    """Make `index` from the documents below `docs`, and yield what happens.

    Ends with `IndexWritten`; when no document could be read it ends without, and nothing changed.
    Raises `SetupError` when `docs` is no folder or the index cannot be written. Close it: the
    work folder stays locked until its end.
    """
    index = _check_target(index)
    entries = find_entries(docs, index)
    sources = [entry.source for entry in entries if isinstance(entry, DocumentFile)]
    yield DocumentCount(len(sources))
    for entry in entries:
        if not isinstance(entry, DocumentFile):
            yield entry
    if not sources:
        return
    with (
        work_folder(index) as folder,
        setup_errors(index),
        _open_reusable(index, embedder) as old,
        IndexWriter(folder, embedder.model, embedder.dimension, RECIPE) as writer,
    ):
        run = _IngestRun(embedder, old, folder, writer, find_folder_furniture(docs, sources))
        for source in sources:
            async for step in _add(docs, source, run):
                yield step
        if not writer.passages:
            return
        manifest = writer.finish(index)
        remove_work_folder(folder)
    yield IndexWritten(index, manifest)


@dataclass(frozen=True, slots=True)
class _IngestRun:
    """What one ingest works with: `old` gives vectors, `folder` keeps them, `writer` takes them."""

    embedder: Embedder
    old: Index | None
    folder: Path
    writer: IndexWriter
    furniture: Furniture


def _check_target(index: Path) -> Path:
    """Return the absolute path of `index`, which must be free or hold nothing but an index."""
    index = index.resolve()
    if not index.exists():
        return index
    if not index.is_dir():
        raise SetupError(f"{index} is a file. Choose a folder for the index with --index.")
    # The folder is replaced as a whole: anything else in it would be lost.
    others = sorted(path.name for path in index.iterdir() if path.name not in INDEX_FILES)
    if others:
        raise SetupError(
            f"{index} holds other things than an index ({printable(others[0])})."
            " Choose a new or empty folder with --index."
        )
    return index


async def _add(docs: Path, source: str, run: _IngestRun) -> AsyncGenerator[IngestStep, None]:
    """Put one document into the new index: from the old one, from what was kept, or afresh."""
    embedder, old, folder, writer = run.embedder, run.old, run.folder, run.writer
    try:
        data = read_file(docs / source)
        digest = hashlib.sha256(data).hexdigest()
        if old is not None and _has_current(old, source, digest):
            document = _reuse(old, source)
            writer.add(source, digest, document)
            yield DocumentRead(source, len(document.chunks), reused=True)
            return
        chunks, doubts = read_chunks(source, data, run.furniture)
    except UnreadableError as error:
        yield DocumentRefused(source, error.message)
        return
    for doubt in doubts:
        yield DocumentDoubted(source, doubt)
    key = key_of(embedder.model, chunks)
    document, kept = load_kept(folder, key, chunks, embedder.dimension) or (
        EmbeddedDocument(chunks, *_allocate(chunks, embedder.dimension)),
        0,
    )
    total = len(document.vectors) + len(document.sentences)
    reused = kept == total
    async for done in _embed(document, kept, embedder):
        yield EmbeddingProgress(source, done / total)
        # A large document that is cut short goes on from here.
        if done == total or done - kept >= KEEP_EVERY:
            keep(folder, key, document, done)
            kept = done
    writer.add(source, digest, document)
    yield DocumentRead(source, len(chunks), reused=reused)


def _allocate(chunks: Sequence[Chunk], dimension: int) -> tuple[np.ndarray, np.ndarray]:
    count = sum(len(chunk.spans) for chunk in chunks)
    # Half precision for sentences: there are six times as many, and 0.001 decides nothing.
    return np.empty((len(chunks), dimension), "<f4"), np.empty((count, dimension), "<f2")


async def _embed(
    document: EmbeddedDocument, done: int, embedder: Embedder
) -> AsyncGenerator[int, None]:
    """Fill the arrays of `document` from text number `done` on; yield how many are done."""
    meanings = [chunk.meaning for chunk in document.chunks]
    sentences = [text for chunk in document.chunks for text in chunk.statements]
    for texts, vectors, before in (
        (meanings, document.vectors, 0),
        (sentences, document.sentences, len(meanings)),
    ):
        for start in range(max(0, done - before), len(texts), BATCH):
            part = texts[start : start + BATCH]
            vectors[start : start + len(part)] = await embedder.embed(part)
            done = before + start + len(part)
            yield done


@contextmanager
def _open_reusable(index: Path, embedder: Embedder) -> Iterator[Index | None]:
    """Yield the old index when its vectors still mean the same and every byte is as written."""
    try:
        old = open_index(index)
    except SetupError:
        yield None
        return
    with old:
        try:
            check_hashes(current_path(index), old.manifest)
            check_model(index, old.manifest, embedder.model, embedder.dimension)
        except SetupError:
            usable = False
        else:
            usable = old.manifest.recipe == RECIPE
        yield old if usable else None


def _has_current(old: Index, source: str, digest: str) -> bool:
    known = old.manifest.sources.get(source)
    return known is not None and known.sha256 == digest


def _reuse(old: Index, source: str) -> EmbeddedDocument:
    rows = list(old.rows_of(source))
    chunks = [row.chunk for row in rows]
    first, last = rows[0].row, rows[-1].row
    spoken = slice(old.sentence_rows(first).start, old.sentence_rows(last).stop)
    return EmbeddedDocument(chunks, old.vectors[first : last + 1], old.sentences[spoken])
