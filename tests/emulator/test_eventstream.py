"""Frames, against golden bytes and against botocore's own reader."""

import zlib

from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from emulator.eventstream import invoke_complete, payload_chunk

HI = bytes.fromhex(
    "0000006c0000005ab25efdcf0b3a6576656e742d7479706507000c5061796c6f61644368756e6b0d3a636f6e"
    "74656e742d747970650700186170706c69636174696f6e2f6f637465742d73747265616d0d3a6d6573736167"
    "652d747970650700056576656e74486984e6c0cb"
)
DONE = bytes.fromhex(
    "00000066000000541f56c8690b3a6576656e742d7479706507000e496e766f6b65436f6d706c6574650d3a63"
    "6f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d74797065"
    "0700056576656e747b7d7006d467"
)


def test_the_golden_frames() -> None:
    """Byte for byte what an SDK was seen to accept."""
    assert payload_chunk(b"Hi") == HI
    assert invoke_complete(b"{}") == DONE
    assert zlib.crc32(HI[:-4]) == int.from_bytes(HI[-4:])


@given(st.lists(st.binary(max_size=2000), max_size=5), st.integers(1, 50))
def test_botocore_reads_them_however_they_are_cut(payloads: list[bytes], size: int) -> None:
    """Any chunking of any payloads."""
    wire = b"".join(payload_chunk(payload) for payload in payloads) + invoke_complete(b"{}")
    buffer = EventStreamBuffer()
    seen = []
    for start in range(0, len(wire), size):
        buffer.add_data(wire[start : start + size])
        seen += [(event.headers[":event-type"], event.payload) for event in buffer]
    assert seen == [("PayloadChunk", p) for p in payloads] + [("InvokeComplete", b"{}")]
