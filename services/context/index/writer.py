"""An index being written: beside the old one, and in its place only when it is whole.

Everything is written to a work folder next to the index. A run that is cut short leaves the
old index as it was, and leaves the vectors it had computed for the next run to pick up. It
knows passages and vectors, not where they come from.
"""

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

import numpy as np

from ...errors import SetupError
from ..chunk import Chunk
from .index import INDEX_SCHEMA
from .manifest import (
    CHUNKS,
    DATA_FILES,
    MANIFEST,
    SENTENCES,
    VECTORS,
    DataFile,
    IndexedDocument,
    Manifest,
    hash_file,
    previous_path,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class EmbeddedDocument:
    """The passages of one document with their vectors.

    `vectors` has a row for each chunk, `sentences` one for each sentence of each chunk in
    order; both float32 or float16, ``(n, dimension)``.
    """

    chunks: Sequence[Chunk]
    vectors: "NDArray[np.floating]"
    sentences: "NDArray[np.floating]"


@contextmanager
def work_folder(index: Path) -> Iterator[Path]:
    """Yield the locked work folder of `index`; until `forget`, it stays for the next run.

    Raises `SetupError` when it cannot be made, or when another ingest holds it.
    """
    folder = index.parent / f".{index.name}.work"
    with setup_errors(index):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("wb")
    with lock:
        _lock(lock, index)
        yield folder


@contextmanager
def setup_errors(index: Path) -> Iterator[None]:
    """Turn what a disk can refuse into one message that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        # SQLite says "disk I/O error" or "database or disk is full", and no errno.
        raise SetupError(
            f"The index {index} could not be written ({error}). Free some space and run this again;"
            " what was there before is untouched."
        ) from error
    except OSError as error:
        raise SetupError(
            f"The index {index} could not be written ({error.strerror or error}). Free some space,"
            " or choose a folder you may write to with --index; what was there before is untouched."
        ) from error


class IndexWriter:
    """Takes embedded documents in order, then becomes an index. Memory: one document.

    A context manager: leaving it closes every file and keeps no half-made index.
    """

    def __init__(self, folder: Path, model: str, dimension: int, recipe: int) -> None:
        self._new = folder / "new"
        self._model, self._dimension, self._recipe = model, dimension, recipe
        self._sources: dict[str, IndexedDocument] = {}
        self._first_of: dict[bytes, int] = {}
        self.passages = 0
        self._sentences = 0
        self._open = ExitStack()

    def __enter__(self) -> Self:
        shutil.rmtree(self._new, ignore_errors=True)
        self._new.mkdir()
        self._vector_file = self._array(VECTORS, "<f4")
        self._sentence_file = self._array(SENTENCES, "<f2")
        self._sql = sqlite3.connect(self._new / CHUNKS)
        self._open.callback(self._sql.close)
        # A crash throws this file away, so it needs no journal.
        self._sql.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;" + INDEX_SCHEMA)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        shutil.rmtree(self._new, ignore_errors=True)

    def add(self, source: str, sha256: str, document: EmbeddedDocument) -> None:
        """Add one document. Documents come in the order of their paths."""
        first = self._sentences
        for chunk in document.chunks:
            row = self.passages
            twin = self._first_of.setdefault(_fingerprint(chunk), row)
            self._sql.execute(
                "INSERT INTO passages VALUES (?,?,?,?,?,?,?,?,?,?)",
                (
                    row,
                    chunk.id,
                    source,
                    chunk.uri,
                    chunk.title,
                    chunk.document,
                    chunk.text,
                    json.dumps(chunk.spans, separators=(",", ":")),
                    first,
                    twin,
                ),
            )
            first += len(chunk.spans)
            self.passages += 1
        self._vector_file.write(document.vectors.astype("<f4").tobytes())
        self._sentence_file.write(document.sentences.astype("<f2").tobytes())
        self._sentences += len(document.sentences)
        self._sources[source] = IndexedDocument(sha256, len(document.chunks))

    def finish(self, index: Path) -> Manifest:
        """Complete the new index and put it where `index` is. Returns its manifest."""
        self._sql.execute("INSERT INTO words(words) VALUES ('rebuild')")
        self._sql.execute("INSERT INTO words(words) VALUES ('optimize')")
        self._sql.commit()
        self._sql.execute("VACUUM")
        self._header(self._vector_file, "<f4", self.passages)
        self._header(self._sentence_file, "<f2", self._sentences)
        self._open.close()
        manifest = Manifest(
            recipe=self._recipe,
            model=self._model,
            dimension=self._dimension,
            passages=self.passages,
            sentences=self._sentences,
            files={name: _describe(self._new / name) for name in DATA_FILES},
            sources=self._sources,
        )
        (self._new / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        _sync(self._new)
        swap(self._new, index)
        return manifest

    def _array(self, name: str, dtype: str) -> IO[bytes]:
        file = self._open.enter_context((self._new / name).open("wb"))
        self._header(file, dtype, 0)
        return file

    def _header(self, file: IO[bytes], dtype: str, rows: int) -> None:
        # numpy pads this header so that the first axis can grow in place.
        shape = (rows, self._dimension)
        file.seek(0)
        np.lib.format.write_array_header_1_0(
            file, {"descr": dtype, "fortran_order": False, "shape": shape}
        )


def swap(new: Path, index: Path) -> None:
    """Put the directory `new` in the place of `index`.

    A directory cannot replace another in one step, so there is an instant in which the old
    one is only at `previous_path`; `open_index` looks there too. At every instant one of
    the two names holds a whole index.
    """
    aside = previous_path(index)
    if index.exists():
        shutil.rmtree(aside, ignore_errors=True)
        index.rename(aside)
    try:
        new.rename(index)
    except OSError:
        if aside.exists():
            aside.rename(index)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def keep(folder: Path, key: str, embedded: EmbeddedDocument, done: int) -> None:
    """Keep the vectors of one document for the next run, should this one be cut short.

    `done` of its texts are embedded: its passages first, then its sentences.
    """
    kept = folder / "kept"
    kept.mkdir(exist_ok=True)
    draft = kept / "draft"
    with draft.open("wb") as file:
        np.savez(
            file,
            vectors=embedded.vectors.astype("<f4"),
            sentences=embedded.sentences.astype("<f2"),
            done=np.int64(done),
        )
    draft.replace(kept / f"{key}.npz")


def load_kept(
    folder: Path, key: str, chunks: Sequence[Chunk], dimension: int
) -> tuple[EmbeddedDocument, int] | None:
    """Return what `keep` kept under `key` and how much is done, if it fits `chunks`."""
    path = folder / "kept" / f"{key}.npz"
    if not path.exists():
        return None
    with suppress(Exception):  # whatever is wrong with it, embedding again is right
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            vectors, sentences = arrays["vectors"], arrays["sentences"]
            done = int(arrays["done"])
        count = sum(len(chunk.spans) for chunk in chunks)
        fits = vectors.shape == (len(chunks), dimension) and sentences.shape == (count, dimension)
        if fits and 0 < done <= len(vectors) + len(sentences):
            return EmbeddedDocument(chunks, vectors, sentences), done
    return None


def remove_work_folder(folder: Path) -> None:
    """Remove the work folder: the index has it all now."""
    shutil.rmtree(folder, ignore_errors=True)


def key_of(model: str, chunks: Sequence[Chunk]) -> str:
    """Return a name for the vectors of `chunks`: the same texts and model, the same name."""
    digest = hashlib.sha256(model.encode())
    for chunk in chunks:
        for text in (chunk.meaning, *chunk.statements):
            data = text.encode()
            digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def _fingerprint(chunk: Chunk) -> bytes:
    return hashlib.sha256(f"{chunk.title}\0{chunk.text}".encode()).digest()


def _describe(path: Path) -> DataFile:
    return DataFile(path.stat().st_size, hash_file(path))


def _sync(folder: Path) -> None:
    """Have the bytes on the disk before the name points at them."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _lock(file: IO[bytes], index: Path) -> None:
    try:
        import fcntl
    except ImportError:  # no such locks on this system; one ingest at a time is up to its user
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise SetupError(
            f"Another ingest is writing {index}. Wait for it to end, then run this again."
        ) from error
