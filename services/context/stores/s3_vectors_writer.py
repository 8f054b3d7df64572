"""Put a finished index into S3 Vectors, passage by passage, and turn it over in one step.

Only what changed is written. What is added belongs to the next generation, which no reader asks for
yet; what goes is marked as ended with it; then the record names it. A run that is cut short at any
point leaves the generation that holds whole, and the next run finds what was written already.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import aws
from ...errors import SetupError
from ..index.index import Index, Row, open_index
from ..index.manifest import check_hashes
from .aws_errors import is_missing, translate_error
from .store import read_facts
from .vector_format import (
    FOR_EVER,
    RECORD,
    RECORD_FORMAT,
    IndexRecord,
    PassageKey,
    VectorLocation,
    fingerprint_of,
    pack_rows,
    read_record,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

PUT, DELETED, LISTED, GOT = 100, 500, 1000, 100
"""Vectors in one request: 100 with their metadata stay well under the service's 20 MiB."""

METADATA = 38_000
"""Bytes of metadata a passage may have; the service takes 40 KB."""

TITLES = 24_000
"""Bytes of title words the record may have."""

NOT_FILTERED = ("id", "uri", "title", "document", "text", "spans", "sentences")


def publish_vectors(
    index: Path, location: VectorLocation, *, client: Callable[[str], Any] = aws.client
) -> bool:
    """Make `location` say what the index in the folder `index` says; False when it does already.

    The vector index is made when it is not there; its bucket must be. Blocks. Raises `SetupError`
    when it may not be written or has another dimension, `RetrievalError` when it is not reached.
    """
    with open_index(index) as opened:
        check_hashes(index, opened.manifest)
        try:
            return _publish(client("s3vectors"), location, opened)
        except Exception as error:
            action = "write it (s3vectors:PutVectors, ListVectors, GetVectors, DeleteVectors)"
            raise translate_error(error, str(location), action) from error


def _publish(client: Any, location: VectorLocation, index: Index) -> bool:
    _ensure_index(client, location, index.manifest.dimension)
    record = read_record(client, location)
    now = record.generation if record else 0
    there = _list_keys(client, location)
    ended = [key for key in there if key.until <= now]
    _delete(client, location, ended)
    there -= set(ended)
    wanted = {_fingerprint(index, row): row.row for row in _rows(index)}
    going = _end_unwanted(client, location, there, wanted, now)
    missing = _find_missing(there, wanted)
    _add(client, location, index, missing, now + 1)
    # What a run that was cut short has added already is new as well.
    changed = missing or any(k.since > now and k.fingerprint in wanted for k in there)
    next_record = _record_of(index, now)
    if record == next_record and not going and not changed:
        return False
    _write_record(client, location, _record_of(index, now + 1))
    return True


def _ensure_index(client: Any, location: VectorLocation, dimension: int) -> None:
    try:
        found = client.get_index(**location.names)["index"]
    except Exception as error:
        if not is_missing(error):
            raise
        _make(client, location, dimension)
        return
    if (found["dimension"], found["distanceMetric"]) != (dimension, "cosine"):
        raise SetupError(
            f"{location} is for vectors of {found['dimension']} numbers compared by"
            f" {found['distanceMetric']}; these have {dimension}, compared by cosine. Name another."
        )


def _make(client: Any, location: VectorLocation, dimension: int) -> None:
    try:
        client.create_index(
            **location.names,
            dataType="float32",
            dimension=dimension,
            distanceMetric="cosine",
            metadataConfiguration={"nonFilterableMetadataKeys": list(NOT_FILTERED)},
        )
    except Exception as error:
        if not is_missing(error):
            raise
        raise SetupError(
            f"There is no vector bucket {location.bucket} in this Region. Make it: aws s3vectors"
            f" create-vector-bucket --vector-bucket-name {location.bucket}"
        ) from error


def _list_keys(client: Any, location: VectorLocation) -> set[PassageKey]:
    """Return the keys of all passages: what is there, without reading any of it."""
    found: set[PassageKey] = set()
    token: dict[str, str] = {}
    while True:
        page = client.list_vectors(**location.names, maxResults=LISTED, **token)
        for one in page["vectors"]:
            since, _, rest = one["key"].partition("-")
            until, _, fingerprint = rest.partition("-")
            if since.isdecimal() and until.isdecimal():
                found.add(PassageKey(int(since), int(until), fingerprint))
            elif one["key"] != RECORD:
                raise SetupError(f"{location} holds other vectors than an index. Name another.")
        if not page.get("nextToken"):
            return found
        token = {"nextToken": page["nextToken"]}


def _end_unwanted(
    client: Any, location: VectorLocation, there: set[PassageKey], wanted: dict[str, int], now: int
) -> bool:
    """End what is not wanted any more with the next generation; say whether anything is."""
    after = now + 1
    # Added by a run that was cut short, for documents that changed again since.
    _delete(client, location, [k for k in there if k.since > now and k.fingerprint not in wanted])
    going = [k for k in there if k.since <= now and k.fingerprint not in wanted]
    held = [k for k in going if k.until == FOR_EVER]
    for part in _parts(held, GOT):
        found = client.get_vectors(
            **location.names, keys=list(map(str, part)), returnData=True, returnMetadata=True
        )["vectors"]
        copies = []
        for one in found:
            since = int(one["metadata"]["since"])
            key = PassageKey(since, after, fingerprint_of(one["key"]))
            copies.append({**one, "key": str(key), "metadata": {**one["metadata"], "until": after}})
        # The copy first: a reader sees that both are one, and none would be a loss.
        client.put_vectors(**location.names, vectors=copies)
        _delete(client, location, part)
    return bool(going)


def _find_missing(there: set[PassageKey], wanted: dict[str, int]) -> list[tuple[str, int]]:
    lasting = {key.fingerprint for key in there if key.until == FOR_EVER}
    return [(mark, row) for mark, row in wanted.items() if mark not in lasting]


def _add(
    client: Any,
    location: VectorLocation,
    index: Index,
    missing: Sequence[tuple[str, int]],
    generation: int,
) -> None:
    """Put what is not there, from the next generation on."""
    for part in _parts(missing, PUT):
        rows = index.rows([row for _, row in part])
        vectors = [
            {
                "key": str(PassageKey(generation, FOR_EVER, mark)),
                "data": {"float32": index.vectors[row.row].astype(float).tolist()},
                "metadata": {"since": generation, "until": FOR_EVER, **_metadata(index, row)},
            }
            for (mark, _), row in zip(part, rows, strict=True)
        ]
        client.put_vectors(**location.names, vectors=vectors)


def _metadata(index: Index, row: Row) -> dict[str, str]:
    """What is kept with a passage; sentences are joined in pairs until it fits."""
    chunk = row.chunk
    spans = list(chunk.spans)
    rows = index.sentences[index.sentence_rows(row.row)].astype(np.float32)
    while True:
        kept = {
            "id": chunk.id,
            "uri": chunk.uri,
            "title": chunk.title,
            "document": chunk.document,
            "text": chunk.text,
            "spans": json.dumps(spans, separators=(",", ":")),
            "sentences": pack_rows(rows),
        }
        size = len(json.dumps(kept, ensure_ascii=False).encode())
        if size <= METADATA or len(spans) == 1:
            return kept
        pairs = range(0, len(spans), 2)
        spans = [(spans[one][0], spans[min(one + 1, len(spans) - 1)][1]) for one in pairs]
        rows = _pair_rows(rows)


def _pair_rows(rows: "NDArray[np.float32]") -> "NDArray[np.float32]":
    sums = np.add.reduceat(rows, range(0, len(rows), 2), axis=0)
    unit: NDArray[np.float32] = sums / np.maximum(
        np.linalg.norm(sums, axis=1, keepdims=True), 1e-12
    )
    return unit


def _write_record(client: Any, location: VectorLocation, record: IndexRecord) -> None:
    said = {
        "format": RECORD_FORMAT,
        "generation": record.generation,
        "recipe": record.recipe,
        "model": record.model,
        "dimension": record.dimension,
        "passages": record.passages,
        "documents": record.documents,
        "titles": sorted(record.titles),
    }
    # A vector of no meaning: its metadata belong to no generation, so it is never compared.
    vector = [1.0] + [0.0] * (record.dimension - 1)
    text = json.dumps(said, ensure_ascii=False)
    client.put_vectors(
        **location.names,
        vectors=[
            {
                "key": RECORD,
                "data": {"float32": vector},
                "metadata": {"since": 0, "until": 0, "text": text},
            }
        ],
    )


def _record_of(index: Index, generation: int) -> IndexRecord:
    from ..followups import title_words

    facts = read_facts(index.manifest)
    titles: list[str] = []
    room = TITLES
    for word in sorted(title_words(set(index.documents)), key=lambda word: (len(word), word)):
        room -= len(word.encode()) + 4
        if room < 0:
            break
        titles.append(word)
    return IndexRecord(
        generation=generation,
        recipe=index.manifest.recipe,
        model=facts.model,
        dimension=facts.dimension,
        passages=facts.passages,
        documents=facts.documents,
        titles=frozenset(titles),
    )


def _rows(index: Index) -> Iterator[Row]:
    for part in _parts(range(index.manifest.passages), PUT):
        yield from index.rows(part)


def _fingerprint(index: Index, row: Row) -> str:
    """Return a name for all that is kept of a passage: the same passage, the same name."""
    digest = hashlib.sha256(f"{RECORD_FORMAT}\0{index.manifest.model}\0".encode())
    chunk = row.chunk
    for text in (chunk.id, chunk.uri, chunk.title, chunk.document, chunk.text, str(chunk.spans)):
        data = text.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    digest.update(index.vectors[row.row].tobytes())
    digest.update(index.sentences[index.sentence_rows(row.row)].tobytes())
    return digest.hexdigest()[:40]


def _delete(client: Any, location: VectorLocation, keys: Sequence[PassageKey]) -> None:
    for part in _parts(keys, DELETED):
        client.delete_vectors(**location.names, keys=list(map(str, part)))


def _parts(items: Sequence[Any], size: int) -> Iterator[Any]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
