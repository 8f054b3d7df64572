"""Frames of application/vnd.amazon.eventstream, as InvokeWithResponseStream sends them.

A frame is: total length, headers length, CRC-32 of those eight bytes, headers, payload,
CRC-32 of everything before. All big-endian. Writes only; SDKs read.
"""

import struct
import zlib
from collections.abc import Mapping

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_STRING = 7


def payload_chunk(data: bytes) -> bytes:
    """Bytes of the function's response."""
    return _frame(_PAYLOAD_CHUNK, data)


def invoke_complete(document: bytes) -> bytes:
    """The end of the stream; `document` is JSON, with `ErrorCode` when the function failed."""
    return _frame(_INVOKE_COMPLETE, document)


def _headers(pairs: Mapping[str, str]) -> bytes:
    out = b""
    for name, value in pairs.items():
        out += struct.pack("!B", len(name)) + name.encode("ascii")
        out += struct.pack("!BH", _STRING, len(value)) + value.encode("utf-8")
    return out


def _frame(headers: bytes, payload: bytes) -> bytes:
    lengths = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    message = b"".join((lengths, struct.pack("!I", zlib.crc32(lengths)), headers, payload))
    return message + struct.pack("!I", zlib.crc32(message))


_PAYLOAD_CHUNK = _headers(
    {
        ":event-type": "PayloadChunk",
        ":content-type": "application/octet-stream",
        ":message-type": "event",
    }
)
_INVOKE_COMPLETE = _headers(
    {
        ":event-type": "InvokeComplete",
        ":content-type": "application/json",
        ":message-type": "event",
    }
)
