"""Entries as bytes, for stores that keep a batch of them in one place.

    blob     = codec (u8) body            codec 0: body as it is; 1: deflated (RFC 1950)
    body     = entry*
    entry    = terminal (u8) kind-length (u16) payload-length (u32) kind (UTF-8) payload

Big-endian. The sequence numbers are not in it: the store that keeps the blob knows the first one.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator

from .log import Entry

_HEAD = struct.Struct(">BHI")
_PLAIN, _DEFLATED = b"\0", b"\1"

# Events repeat their field names, so most batches shrink to a third; a store asks money by size.
_WORTH_DEFLATING = 512


def pack(entries: Iterable[Entry]) -> bytes:
    """Entries as one blob. The same entries are always the same bytes."""
    parts: list[bytes] = []
    for entry in entries:
        kind = entry.kind.encode("utf-8")
        parts += (_HEAD.pack(entry.terminal, len(kind), len(entry.payload)), kind, entry.payload)
    body = b"".join(parts)
    if len(body) >= _WORTH_DEFLATING:
        deflated = zlib.compress(body, 1)
        if len(deflated) < len(body):
            return _DEFLATED + deflated
    return _PLAIN + body


def unpack(blob: bytes, first: int) -> list[Entry]:
    """The entries of a blob, numbered from `first`. Raises `ValueError` for bytes of no blob."""
    try:
        return list(_entries(_body(blob), first))
    except (struct.error, zlib.error, UnicodeDecodeError) as error:
        raise ValueError("not a blob of entries") from error


def _body(blob: bytes) -> bytes:
    codec, body = blob[:1], blob[1:]
    if codec == _DEFLATED:
        return zlib.decompress(body)
    if codec != _PLAIN:
        raise ValueError("not a blob of entries")
    return body


def _entries(body: bytes, seq: int) -> Iterator[Entry]:
    place = 0
    while place < len(body):
        terminal, kind_size, payload_size = _HEAD.unpack_from(body, place)
        start = place + _HEAD.size
        middle, place = start + kind_size, start + kind_size + payload_size
        if place > len(body):
            raise ValueError("not a blob of entries")
        yield Entry(seq, body[start:middle].decode("utf-8"), body[middle:place], bool(terminal))
        seq += 1


def to_bytes(text: str) -> bytes:
    """Text as bytes, whatever is in it: half a surrogate pair is no reason to forget a turn."""
    return text.encode("utf-8", "surrogatepass")


def to_text(kept: bytes) -> str:
    """The text of `to_bytes`."""
    return kept.decode("utf-8", "surrogatepass")
