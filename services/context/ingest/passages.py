"""Read a folder of documents, up to the passages; it knows no vectors and no index."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from ...errors import SetupError
from ..chunk import Chunk
from .chunks import chunk
from .discover import LARGEST, DocumentFile, FoundEntry, discover
from .documents import Document, UnreadableError, title_from_name
from .furniture import Furniture, find_furniture, remove_furniture, sample
from .readers import READERS


def find_entries(docs: Path, index: Path) -> list[FoundEntry]:
    if not docs.is_dir():
        raise SetupError(f"{docs} is not a folder. Name the folder that holds your documents.")
    return list(discover(docs, leave_out=index))


def read_file(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST:
            raise UnreadableError(f"is larger than {LARGEST >> 20} MB; split it")
        return path.read_bytes()
    except OSError as error:
        raise UnreadableError(f"cannot be opened ({error.strerror})") from error


def find_folder_furniture(docs: Path, sources: Sequence[str]) -> Furniture:
    """Look at some pages of the folder for what they all repeat."""
    documents = []
    for source in sample([source for source in sources if not source.lower().endswith(".pdf")]):
        with suppress(UnreadableError):
            documents.append(_read_document(source, read_file(docs / source)))
    return find_furniture(documents)


def _read_document(source: str, data: bytes) -> Document:
    if not data.strip():
        raise UnreadableError("is empty")
    path = Path(source)
    read = READERS[path.suffix.lower()]
    try:
        return read(data, title_from_name(path.stem))
    except UnreadableError:
        raise
    except Exception as error:
        raise UnreadableError(f"could not be parsed ({type(error).__name__})") from error


def read_chunks(source: str, data: bytes, furniture: Furniture) -> tuple[list[Chunk], list[str]]:
    """Return the passages of a document, and what is doubtful about them."""
    document = _read_document(source, data)
    document = remove_furniture(document, furniture, title_from_name(Path(source).stem))
    chunks = chunk(document, quote(source, safe="/"))
    if not chunks:
        raise UnreadableError("holds no text")
    lost = sum(chunk.text.count("\ufffd") for chunk in chunks)
    doubts = list(document.doubts)
    if lost:
        doubts.append(f"holds {lost:,} characters that were lost before it came here")
    return chunks, doubts


def read_folder(docs: Path) -> Iterator[list[Chunk] | None]:
    """Yield the passages of each document below `docs`, without an index; None for a refused one.

    Raises `SetupError` when `docs` is no folder.
    """
    sources = [e.source for e in find_entries(docs, docs / "none") if isinstance(e, DocumentFile)]
    furniture = find_folder_furniture(docs, sources)
    for source in sources:
        try:
            yield read_chunks(source, read_file(docs / source), furniture)[0]
        except UnreadableError:
            yield None
