"""Open what the settings name: the store of an index, and the library that searches it."""

from pathlib import Path

from ..embedding import open_embedder
from ..errors import SetupError
from ..settings import Settings
from .index.manifest import check_model
from .retrieval import Library
from .stores.folder import FolderStore
from .stores.store import IndexStore


def open_context(settings: Settings) -> "Library":
    """Return the library `settings.index` names, after the checks that need no numpy.

    Raises `SetupError` when an index on this machine is missing, damaged, of another format or
    made with another embedding model, and when the embedder cannot be opened. The model, the
    arrays, and whatever is remote are opened on the first question, or by `Library.prepare`.
    """
    store = open_store(settings.index)
    facts = None if store.is_remote else store.inspect()
    embedder = open_embedder(settings)
    if facts is not None:
        check_model(store.name, facts, embedder.model, embedder.dimension)
    return Library(store, facts, embedder)


def open_store(index: str) -> IndexStore:
    """Return the store that the setting `index` names. Raises `SetupError` for a bad name."""
    scheme, separator, _ = index.partition("://")
    if not separator:
        return FolderStore(Path(index))
    if scheme == "s3":
        from .stores.s3 import S3Store, read_url

        return S3Store(read_url(index))
    if scheme == "s3vectors":
        from .stores.s3_vectors import S3VectorsStore
        from .stores.vector_format import read_vectors_url

        return S3VectorsStore(read_vectors_url(index))
    raise SetupError(
        f"RIVERRUN_INDEX={index!r} is not known. It is a folder made by `make ingest`, or starts"
        " with s3:// or s3vectors://."
    )
