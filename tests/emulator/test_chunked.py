"""Chunked bodies, read as h11 reads them, however they are cut."""

from itertools import pairwise

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.chunked import ChunkedDecoder, MalformedBodyError

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKS = st.lists(st.binary(min_size=1, max_size=300), max_size=8)
TRAILERS = st.lists(
    st.tuples(
        st.from_regex(r"[a-z][a-z-]{0,9}", fullmatch=True),
        st.from_regex(r"[!-~]{1,20}", fullmatch=True),
    ),
    max_size=3,
    unique_by=lambda pair: pair[0],
)


def encode_chunks(chunks: list[bytes], trailers: list[tuple[str, str]]) -> bytes:
    body = b"".join(b"%X\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    fields = "".join(f"{name}: {value}\r\n" for name, value in trailers)
    return body + b"0\r\n" + fields.encode() + b"\r\n"


def ours(pieces: list[bytes]) -> tuple[bytes, dict[str, str], bytes]:
    """Content, trailers and what is left over."""
    decoder, buffer, content = ChunkedDecoder(), bytearray(), b""
    for piece in pieces:
        buffer += piece
        if not decoder.done:
            content += decoder.take(buffer)
    assert decoder.done
    return content, decoder.trailers, bytes(buffer)


def theirs(wire: bytes) -> tuple[bytes, dict[str, str]]:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(HEAD + wire)
    content, trailers = b"", {}
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Data):
            content += event.data
        elif isinstance(event, h11.EndOfMessage):
            trailers = {name.decode(): value.decode() for name, value in event.headers}
            return content, trailers


@given(CHUNKS, TRAILERS, st.binary(max_size=20), st.data())
def test_any_cut_of_the_bytes_gives_what_h11_gives(
    chunks: list[bytes], trailers: list[tuple[str, str]], rest: bytes, data: st.DataObject
) -> None:
    """Whole, byte by byte, or cut anywhere; what follows the body is left alone."""
    wire = encode_chunks(chunks, trailers)
    expected = (*theirs(wire), rest)
    assert ours([wire + rest]) == expected
    assert ours([bytes([byte]) for byte in wire] + [rest]) == expected
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    edges = [0, *cuts, len(wire)]
    pieces = [wire[a:b] for a, b in pairwise(edges)]
    assert ours([*pieces, rest]) == expected


@pytest.mark.parametrize(
    "wire",
    [
        b"+1\r\na\r\n",
        b"0x1\r\na\r\n",
        b"1_0\r\n",
        b" 1\r\na\r\n",
        b"\r\n",
        b"-1\r\n",
        b"g\r\n",
        b"1\r\nab\r\n",
        b"1\na\n",
        b"11111111111111111\r\n",
        b"1" * 5000,
        b"0\r\nno field\r\n\r\n",
        b"1 ;a\r\nx\r\n",
        b"1\t;a\r\nx\r\n",
        b"1 \r\nx\r\n",
        b"1;\x7f\r\nx\r\n",
        b"1;\x0b\r\nx\r\n",
    ],
)
def test_what_is_not_chunked_is_refused(wire: bytes) -> None:
    """Sizes are hexadecimal digits and nothing else, lines end in CR LF.

    A blank before an extension is refused by llhttp and `make serve` too, though RFC 9112 would
    have it read: bytes that one reader takes and another does not are a place to hide in.
    """
    with pytest.raises(MalformedBodyError):
        ChunkedDecoder().take(bytearray(wire))


@pytest.mark.parametrize(
    "wire",
    [b"1;a=b\r\nx\r\n0\r\n\r\n", b'1;a="\xe9 ;"\r\nx\r\n0;b\r\n\r\n', b"0001\r\nx\r\n0\r\n\r\n"],
)
def test_extensions_are_ignored(wire: bytes) -> None:
    """RFC 9112, 7.1.1: a recipient ignores chunk extensions it does not know."""
    assert ours([wire]) == (b"x", {}, b"")
