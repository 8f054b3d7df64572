"""The manifest: what an index says about itself, and the checks that it tells the truth.

Standard library only, so that a cold start can refuse a wrong index before it pays for
numpy. An index is a directory of three data files and `manifest.json`; it holds no absolute
path, and nothing writes to it after it was made.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from ...errors import SetupError
from ...json_input import parse_json

INDEX_FORMAT = 1
"""The version of the files below. An index of another version is refused, never guessed at."""

MANIFEST = "manifest.json"
VECTORS = "vectors.npy"  # float32, (passages, dimension), unit rows
SENTENCES = "sentences.npy"  # float16, (sentences, dimension), unit rows
CHUNKS = "chunks.sqlite"  # texts, metadata, full-text search
DATA_FILES = (VECTORS, SENTENCES, CHUNKS)
INDEX_FILES = frozenset({MANIFEST, *DATA_FILES})

INGEST_AGAIN = "Make it again: make ingest DOCS=<your documents> INDEX={path}"


@dataclass(frozen=True, slots=True)
class DataFile:
    """The size and hash of one data file."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class IndexedDocument:
    """One document of the index: the hash of its bytes, and how many passages it gave."""

    sha256: str
    passages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What `manifest.json` holds.

    `recipe` is the version of reading and chunking; `model` and `dimension` are those of the
    embedder; `sources` is keyed by the path below the documents' folder, "/" between parts.
    """

    format: int = INDEX_FORMAT
    recipe: int
    model: str
    dimension: int
    passages: int
    sentences: int
    created_by: str = "riverrun"
    files: Mapping[str, DataFile]
    sources: Mapping[str, IndexedDocument]

    def to_json(self) -> str:
        """Return the manifest as JSON, the same text for the same index."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of the index in the directory `path`.

    Raises `SetupError` when there is none, when it is damaged or of another format.
    """
    again = INGEST_AGAIN.format(path=path)
    try:
        data = (path / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise SetupError(f"There is no index in {path}. {again}") from None
    except OSError as error:
        raise SetupError(f"The index in {path} cannot be read: {error.strerror}.") from error
    return parse_manifest(data, path)


def parse_manifest(text: bytes, place: Path | str) -> Manifest:
    """Read the manifest of the index in `place`.

    Raises `SetupError` when it is damaged or of another format.
    """
    again = INGEST_AGAIN.format(path=place)
    try:
        data = parse_json(text)
    except ValueError as error:
        raise SetupError(f"The manifest of the index in {place} is damaged. {again}") from error
    version = data.get("format") if isinstance(data, dict) else None
    if version != INDEX_FORMAT:
        raise SetupError(
            f"The index in {place} has format {version!r}; "
            f"this version reads {INDEX_FORMAT}. {again}"
        )
    try:
        return _manifest(data)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SetupError(f"The manifest of the index in {place} is damaged. {again}") from error


def _manifest(data: dict[str, Any]) -> Manifest:
    numbers = {name: data[name] for name in ("recipe", "dimension", "passages", "sentences")}
    if not all(type(number) is int and number > 0 for number in numbers.values()):
        raise ValueError("a count is not a positive whole number")
    manifest = Manifest(
        **numbers,
        model=str(data["model"]),
        created_by=str(data["created_by"]),
        files={name: DataFile(**data["files"][name]) for name in DATA_FILES},
        sources={name: IndexedDocument(**source) for name, source in data["sources"].items()},
    )
    if sum(source.passages for source in manifest.sources.values()) != manifest.passages:
        raise ValueError("the sources do not add up")
    return manifest


def check_sizes(path: Path, manifest: Manifest) -> None:
    """Raise `SetupError` when a data file is missing or truncated. Costs three `stat` calls."""
    again = INGEST_AGAIN.format(path=path)
    for name, expected in manifest.files.items():
        try:
            size = (path / name).stat().st_size
        except OSError as error:
            raise SetupError(f"{path / name} is missing from the index. {again}") from error
        if size != expected.bytes:
            raise SetupError(
                f"{path / name} is damaged: {size:,} bytes instead of {expected.bytes:,}. {again}"
            )


def check_hashes(path: Path, manifest: Manifest) -> None:
    """Raise `SetupError` when any byte of a data file changed. Reads all of them."""
    check_sizes(path, manifest)
    for name, expected in manifest.files.items():
        if hash_file(path / name) != expected.sha256:
            again = INGEST_AGAIN.format(path=path)
            raise SetupError(f"{path / name} is damaged: its hash differs. {again}")


class ModelFacts(Protocol):
    """What an index says of the model that made its vectors."""

    @property
    def model(self) -> str:
        """The embedder's own name for it."""
        ...

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        ...


def check_model(place: Path | str, made: ModelFacts, model: str, dimension: int) -> None:
    """Raise `SetupError` when the index was made with another model: its vectors mean nothing."""
    if (made.model, made.dimension) != (model, dimension):
        raise SetupError(
            f"The index in {place} was made with {made.model} ({made.dimension} numbers a"
            f" vector), but the embedder is {model} ({dimension}). Set RIVERRUN_EMBEDDING and"
            f" RIVERRUN_EMBEDDING_MODEL to what made it. {INGEST_AGAIN.format(path=place)}"
        )


def previous_path(index: Path) -> Path:
    """Return where an ingest puts the old index while it puts the new one in its place."""
    return index.parent / f".{index.name}.previous"


def current_path(index: Path) -> Path:
    """Return the directory that holds the index now.

    A directory cannot replace another in one step, so an ingest cut short in the worst
    instant leaves the old index, whole, only at `previous_path`.
    """
    aside = previous_path(index)
    return aside if not index.exists() and aside.is_dir() else index


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
