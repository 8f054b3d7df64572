"""Content codings that are undone before a stream leaves.

Function URLs were seen to decode streamed bodies themselves, and CloudFront to answer 502 to
them: a stream leaves as what it is, where the standard library can decode it. Other codings
pass, with their header.
"""

import zlib

from .head import Head, MisuseError

_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS


class Decoder:
    """Undoes gzip, or deflate with and without the zlib wrapper that its standard asks for."""

    __slots__ = ("_begun", "_inflate", "_may_be_raw")

    def __init__(self, *, may_be_raw: bool) -> None:
        self._inflate = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._may_be_raw = may_be_raw
        self._begun = b""

    def decode(self, frame: bytes, *, more: bool) -> bytes:
        """What `frame` says. Raises `MisuseError` for what the coding does not allow."""
        try:
            data = self._decompress(frame)
            return data if more else data + self._inflate.flush()
        except zlib.error as error:
            raise MisuseError("The body is not encoded as its Content-Encoding says.") from error

    def _decompress(self, frame: bytes) -> bytes:
        if not self._may_be_raw:
            return self._inflate.decompress(frame)
        self._begun += frame
        try:  # the first two bytes are the wrapper, or there is none
            data = self._inflate.decompress(frame)
            self._may_be_raw = len(self._begun) < 2
        except zlib.error:
            self._inflate, self._may_be_raw = zlib.decompressobj(_RAW), False
            data = self._inflate.decompress(self._begun)
        return data


def remove_coding(head: Head, coding: str) -> tuple[Head, Decoder | None]:
    """`head` without its coding and the decoder for its body; as it is for unknown codings."""
    if coding not in {"gzip", "x-gzip", "deflate", "identity"}:
        return head, None
    headers = tuple(pair for pair in head.headers if pair[0] != "content-encoding")
    decoder = None if coding == "identity" else Decoder(may_be_raw=coding == "deflate")
    return Head(head.status, headers), decoder
