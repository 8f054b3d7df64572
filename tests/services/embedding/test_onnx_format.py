"""ONNX's file format, as far as it is read and written here."""

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.embedding.local import find_weights
from services.embedding.onnx_format import (
    FLOAT,
    INT8,
    INT64,
    read_tensors,
    write_input,
    write_integers,
    write_model,
    write_node,
    write_tensor,
)

BYTES = {FLOAT: 4, INT8: 1, INT64: 8, 9: 1}


def test_the_tensors_of_the_weights_are_where_their_sizes_say() -> None:
    """Each has its numbers, and as many as its dimensions multiply to."""
    tensors = read_tensors(memoryview(find_weights().read_bytes()))
    assert tensors["inner.embeddings.word_embeddings.weight_q"].dims == (30522, 384)
    for tensor in tensors.values():
        assert tensor.length == prod(tensor.dims) * BYTES[tensor.kind], tensor.name


@given(
    st.text(min_size=1, max_size=300),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40),
    st.integers(0, 2**40),
)
def test_what_is_written_is_read_again(name: str, numbers: list[int], size: int) -> None:
    """Names of any letters, numbers of any size, and other parts of a model around them."""
    tensor = write_integers(name, (len(numbers), size), numbers)
    node = write_node("Gather", [name, "rows"], "out", "", {"axis": 300, "epsilon": 0.5})
    whole = write_model(
        [node], [tensor], [write_input("rows", INT64, 2)], [write_input("out", FLOAT, 1)], {"": 17}
    )
    (found,) = read_tensors(memoryview(whole)).values()
    assert (found.name, found.dims, found.kind) == (name, (len(numbers), size), INT64)
    place = whole[found.offset : found.offset + found.length]
    assert place == b"".join(one.to_bytes(8, "little", signed=True) for one in numbers)
    assert write_tensor(found, "elsewhere") == tensor


@pytest.mark.parametrize("damaged", [b"\x3b", b"\x3a\x05\x2b", b"\x3a\x80"])
def test_what_is_no_protobuf_is_refused(damaged: bytes) -> None:
    """Groups, which protobuf gave up, and a number that does not end."""
    with pytest.raises((ValueError, IndexError)):
        read_tensors(memoryview(damaged))
