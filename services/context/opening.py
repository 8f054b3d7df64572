"""Open what the settings name: the store of an index, and the library that searches it."""

from pathlib import Path

from ..embedding import open_embedder
from ..errors import SetupError
from ..settings import Settings
from .index.manifest import check_model
from .retrieval import Library
from .stores.folder import Folder
from .stores.store import Place


def open_context(settings: Settings) -> "Library":
    """Return the library `settings.index` names, after the checks that need no numpy.

    Raises `SetupError` when an index on this machine is missing, damaged, of another format or
    made with another embedding model, and when the embedder cannot be opened. The model, the
    arrays, and whatever is distant are opened on the first question, or by `Library.prepare`.
    """
    place = place_of(settings.index)
    facts = None if place.distant else place.look()
    embedder = open_embedder(settings)
    if facts is not None:
        check_model(place.name, facts, embedder.model, embedder.dimension)
    return Library(place, facts, embedder)


def place_of(index: str) -> Place:
    """Return the place that the setting `index` names. Raises `SetupError` for a bad name."""
    scheme, separator, _ = index.partition("://")
    if not separator:
        return Folder(Path(index))
    if scheme == "s3":
        from .stores.s3 import Bucket, read_url

        return Bucket(read_url(index))
    if scheme == "s3vectors":
        from .stores.s3_vectors import VectorIndex
        from .stores.vector_format import read_vectors_url

        return VectorIndex(read_vectors_url(index))
    raise SetupError(
        f"RIVERRUN_INDEX={index!r} is not known. It is a folder made by `make ingest`, or starts"
        " with s3:// or s3vectors://."
    )
