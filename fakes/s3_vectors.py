"""What moto's S3 Vectors lacks: QueryVectors, pages of ListVectors, and the service's limits.

Limits as "S3 Vectors limitations and restrictions" of the S3 user guide has them. It works on
moto's own memory and is called by `fakes.aws`.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

ACCOUNT, PARTITION = "123456789012", "aws"
PAYLOAD = 20 * 1024 * 1024
METADATA, FILTERABLE = 40 * 1024, 2 * 1024

# moto forgets what CreateIndex says of metadata.
_not_filterable: dict[tuple[str, str], set[str]] = {}


class InvalidError(Exception):
    """The service would answer with a ValidationException."""


def answer(name: str, body: bytes) -> Any | None:
    """Check a call, and answer it where moto cannot; None leaves it to moto.

    Raises `InvalidError`.
    """
    check = _CHECKS.get(name)
    if check is None:
        return None
    _must(len(body) <= PAYLOAD, "the payload is larger than 20 MiB")
    return check(json.loads(body))


def _create(body: Mapping[str, Any]) -> None:
    said = body.get("metadataConfiguration", {}).get("nonFilterableMetadataKeys", [])
    _must(len(said) <= 10, "more than 10 non-filterable metadata keys")
    _not_filterable[body["vectorBucketName"], body["indexName"]] = set(said)


def _put(body: Mapping[str, Any]) -> None:
    vectors = body["vectors"]
    _must(1 <= len(vectors) <= 500, "vectors: from 1 to 500")
    hidden = _not_filterable.get((body["vectorBucketName"], body["indexName"]), set())
    for one in vectors:
        _must(1 <= len(one["key"]) <= 1024, "key: from 1 to 1024 characters")
        _must(any(one["data"]["float32"]), "a zero vector has no cosine")
        metadata = one.get("metadata", {})
        _must(len(metadata) <= 50, "more than 50 metadata keys")
        _must(_size(metadata) <= METADATA, "more than 40 KB of metadata")
        shown = {key: value for key, value in metadata.items() if key not in hidden}
        _must(_size(shown) <= FILTERABLE, "more than 2 KB of filterable metadata")


def _get(body: Mapping[str, Any]) -> None:
    _must(1 <= len(body["keys"]) <= 100, "keys: from 1 to 100")


def _delete(body: Mapping[str, Any]) -> None:
    _must(1 <= len(body["keys"]) <= 500, "keys: from 1 to 500")


def _list(body: Mapping[str, Any]) -> Any:
    most = body.get("maxResults", 500)
    _must(1 <= most <= 1000, "maxResults: from 1 to 1000")
    index = _index(body)
    if index is None:
        return None
    keys = sorted(index.vectors)
    start = int(body.get("nextToken") or 0)
    page = [_show(index.vectors[key], body) for key in keys[start : start + most]]
    more = {"nextToken": str(start + most)} if start + most < len(keys) else {}
    return {"vectors": page, **more}


def _query(body: Mapping[str, Any]) -> Any:
    most = body["topK"]
    _must(1 <= most <= 100, "topK: from 1 to 100")
    index = _index(body)
    if index is None:
        raise InvalidError("The specified index could not be found")
    asked = np.array(body["queryVector"]["float32"], np.float64)
    _must(len(asked) == index.dimension, "the query vector has another dimension")
    _must(bool(np.any(asked)), "a zero vector has no cosine")
    hidden = _not_filterable.get((body["vectorBucketName"], body["indexName"]), set())
    wanted = body.get("filter")
    found = []
    for one in index.vectors.values():
        if wanted is not None and not _passes(wanted, one.metadata or {}, hidden):
            continue
        own = np.array(one.data["float32"], np.float32).astype(np.float64)
        cosine = float(own @ asked / (np.linalg.norm(own) * np.linalg.norm(asked)))
        found.append((1 - cosine, one))
    found.sort(key=lambda pair: (pair[0], pair[1].key))
    vectors = []
    for distance, one in found[:most]:
        shown = _show(one, {"returnMetadata": body.get("returnMetadata")})
        vectors.append({**shown, **({"distance": distance} if body.get("returnDistance") else {})})
    return {"vectors": vectors, "distanceMetric": index.distance_metric}


def _passes(wanted: Mapping[str, Any], metadata: Mapping[str, Any], hidden: set[str]) -> bool:
    for key, condition in wanted.items():
        if key in ("$and", "$or"):
            each = [_passes(one, metadata, hidden) for one in condition]
            if not (all(each) if key == "$and" else any(each)):
                return False
            continue
        _must(key not in hidden, f"{key} is not filterable")
        rules = condition if isinstance(condition, dict) else {"$eq": condition}
        if not all(_OPERATORS[name](metadata.get(key), value) for name, value in rules.items()):
            return False
    return True


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda own, value: own == value,
    "$ne": lambda own, value: own != value,
    "$in": lambda own, value: own in value,
    "$lt": lambda own, value: own is not None and own < value,
    "$lte": lambda own, value: own is not None and own <= value,
    "$gt": lambda own, value: own is not None and own > value,
    "$gte": lambda own, value: own is not None and own >= value,
}


def _index(body: Mapping[str, Any]) -> Any | None:
    from moto.s3vectors.models import s3vectors_backends

    for bucket in s3vectors_backends[ACCOUNT][PARTITION].vector_buckets.values():
        if bucket.vector_bucket_name == body["vectorBucketName"]:
            for index in bucket.indexes.values():
                if index.index_name == body["indexName"]:
                    return index
    return None  # moto has the right words for it


def _show(one: Any, body: Mapping[str, Any]) -> dict[str, Any]:
    shown = {"key": one.key}
    if body.get("returnData"):
        shown["data"] = one.data
    if body.get("returnMetadata"):
        shown["metadata"] = one.metadata
    return shown


def _size(metadata: Mapping[str, Any]) -> int:
    return len(json.dumps(metadata, ensure_ascii=False).encode()) if metadata else 0


def _must(holds: bool, message: str) -> None:
    if not holds:
        raise InvalidError(message)


_CHECKS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "CreateIndex": _create,
    "PutVectors": _put,
    "GetVectors": _get,
    "DeleteVectors": _delete,
    "ListVectors": _list,
    "QueryVectors": _query,
}
