"""How an index is written in S3 Vectors: the record, the keys of passages, packed vectors.

A record beside the passages says which generation of them holds. A passage carries the first
generation it belongs to and the first it does not, so an ingest may add and end passages while
questions are answered, and one write of the record turns all of it over.
"""

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import SetupError
from ...json_input import parse_json
from .store import Facts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RECORD_FORMAT = 1
"""The version of what is written below."""

RECORD = "record"
"""The key of the record. It belongs to no generation, so no question finds it."""

FOR_EVER = 2**31
"""The end of a passage that has none."""

_URL = re.compile(
    r"s3vectors://([a-z0-9][a-z0-9-]{1,61}[a-z0-9])/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])"
)


@dataclass(frozen=True, slots=True)
class VectorLocation:
    """A vector bucket and an index in it."""

    bucket: str
    index: str

    def __str__(self) -> str:
        return f"s3vectors://{self.bucket}/{self.index}"

    @property
    def names(self) -> dict[str, str]:
        """How a request names it."""
        return {"vectorBucketName": self.bucket, "indexName": self.index}


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexRecord:
    """What the index says of itself. `titles` are telling words of titles, as many as fit."""

    generation: int
    recipe: int
    model: str
    dimension: int
    passages: int
    documents: int
    titles: frozenset[str]

    @property
    def facts(self) -> Facts:
        """What every index says."""
        return Facts(self.model, self.dimension, self.passages, self.documents, RECORD_FORMAT)


def read_vectors_url(url: str) -> VectorLocation:
    """Read ``s3vectors://bucket/index``. Raises `SetupError` for anything else."""
    found = _URL.fullmatch(url)
    if found is None:
        raise SetupError(
            f"{url!r} is no index in S3 Vectors. Write it as s3vectors://bucket/index."
        )
    return VectorLocation(found[1], found[2])


@dataclass(frozen=True, slots=True)
class PassageKey:
    """A passage as its key has it: which generations it belongs to, and what it says."""

    since: int
    until: int
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.since}-{self.until}-{self.fingerprint}"


def generation_filter(generation: int) -> dict[str, Any]:
    """Return the filter for the passages that belong to `generation`."""
    return {"$and": [{"since": {"$lte": generation}}, {"until": {"$gt": generation}}]}


def fingerprint_of(key: str) -> str:
    """Return what identifies a passage in its key."""
    return key.rpartition("-")[2]


def read_record(client: Any, location: VectorLocation) -> IndexRecord | None:
    """Return the record, or None when nothing was written yet.

    Raises boto3's own errors, and `SetupError` for a record that is not understood.
    """
    found = client.get_vectors(**location.names, keys=[RECORD], returnMetadata=True)["vectors"]
    if not found:
        return None
    try:
        said = parse_json(found[0]["metadata"]["text"])
        known = {RECORD_FORMAT: IndexRecord}[said.pop("format")]
        return known(**{**said, "titles": frozenset(said["titles"])})
    except (KeyError, TypeError, ValueError) as error:
        raise SetupError(
            f"The record of {location} is damaged or of another version. Make a new index."
        ) from error


def pack_rows(rows: "NDArray[np.floating]") -> str:
    """Return unit rows as text: a byte a number, which moves a cosine by less than 0.002."""
    import numpy as np

    highest = np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-12)
    return base64.b64encode(np.round(rows / highest * 127).astype(np.int8).tobytes()).decode()


def unpack_rows(text: str, dimension: int) -> "NDArray[np.float16]":
    """Return the rows that `pack_rows` made text of, of length one again."""
    import numpy as np

    rows = np.frombuffer(base64.b64decode(text), np.int8).reshape(-1, dimension).astype(np.float32)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return rows.astype(np.float16)
