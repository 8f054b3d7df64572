"""Ingest to wherever an index may be: into a folder, and from there to S3 or S3 Vectors.

The folder stays on this machine, below the data directory, so that the next ingest embeds only
what changed. Where it is missing, an index in S3 is fetched first for the same reason.
"""

import asyncio
import hashlib
import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import aws
from ...embedding import Embedder
from ...errors import SetupError
from ..stores.s3 import Location, fetch_index, read_url
from ..stores.s3_vectors_writer import publish_vectors
from ..stores.s3_writer import publish
from ..stores.vector_format import VectorLocation, read_vectors_url
from . import build as ingesting
from .build import IndexWritten, ingest


@dataclass(frozen=True, slots=True)
class IndexUpload:
    """The finished index is on its way to `place`."""

    place: str


@dataclass(frozen=True, slots=True)
class IndexPublished:
    """`place` says what the index says; `changed` unless it did before. The last step."""

    place: str
    changed: bool


PublishStep = ingesting.IngestStep | IndexUpload | IndexPublished


async def ingest_to(
    docs: Path,
    index: str,
    embedder: Embedder,
    *,
    work: Path,
    client: Callable[[str], Any] = aws.client,
) -> AsyncGenerator[PublishStep, None]:
    """Make the index that `index` names from the documents below `docs`, and yield what happens.

    `index` is a folder, ``s3://bucket/prefix`` or ``s3vectors://bucket/index``; `work` is where
    the folder behind the latter two is kept. Raises what `ingest` raises, and `SetupError` or
    `RetrievalError` when the place cannot be written. Close it, as `ingest`.
    """
    place = _location_of(index)
    folder = Path(index) if place is None else _mirror(work, index)
    if isinstance(place, Location) and not folder.exists():
        await asyncio.to_thread(_start_from, place, folder, client)
    written = False
    async with aclosing(ingest(docs, folder, embedder)) as steps:
        async for step in steps:
            written = written or isinstance(step, IndexWritten)
            yield step
    if place is None or not written:
        return
    yield IndexUpload(str(place))
    yield IndexPublished(str(place), await asyncio.to_thread(_send, folder, place, client))


def _location_of(index: str) -> Location | VectorLocation | None:
    scheme, separator, _ = index.partition("://")
    if not separator:
        return None
    if scheme == "s3":
        return read_url(index)
    if scheme == "s3vectors":
        return read_vectors_url(index)
    raise SetupError(
        f"{index!r} is no place for an index. Name a folder, s3://bucket/prefix or"
        " s3vectors://bucket/index."
    )


def _mirror(work: Path, index: str) -> Path:
    name = hashlib.sha256(index.encode()).hexdigest()[:16]
    return work.absolute() / "indexes" / name


def _start_from(place: Location, folder: Path, client: Callable[[str], Any]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    # No index there yet, or one that is damaged: then there is nothing to start from.
    with (
        suppress(SetupError),
        fetch_index(place, cache=folder.parent / "fetched", client=client) as it,
    ):
        shutil.copytree(it, draft)
        draft.rename(folder)


def _send(folder: Path, place: Location | VectorLocation, client: Callable[[str], Any]) -> bool:
    if isinstance(place, VectorLocation):
        return publish_vectors(folder, place, client=client)
    return publish(folder, place, client=client)
