"""As much of ONNX's file format as it takes to write a graph over the weights of another file.

ONNX is protobuf (onnx.proto3): a message is a row of fields, each a number, a kind and a value.
The library `onnx` would write it as well, and is 20 MB that no answer needs.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

FLOAT, UINT8, INT8, INT32, INT64 = 1, 2, 3, 6, 7
"""Kinds of numbers (TensorProto.DataType)."""

COPIED = 1 << 17
"""Bytes up to which a tensor is copied into the graph; a larger one is read where it is."""

_INTEGER, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
"""Kinds of values (protobuf's wire types)."""

_IR_VERSION = 8


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of a file: its message, and where in the file its numbers are."""

    name: str
    message: bytes | memoryview
    dims: tuple[int, ...]
    kind: int
    offset: int
    length: int


def read_tensors(file: memoryview) -> dict[str, Tensor]:
    """Return the tensors of an ONNX file by name, in their order. Their numbers are not read."""
    found: dict[str, Tensor] = {}
    for of_model, start, end in _read_fields(file, 0, len(file)):
        if of_model == 7:  # ModelProto.graph
            for of_graph, first, last in _read_fields(file, start, end):
                if of_graph == 5:  # GraphProto.initializer
                    tensor = _read_tensor(file, first, last)
                    found[tensor.name] = tensor
    return found


def write_model(
    nodes: Sequence[bytes],
    tensors: Sequence[bytes],
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
    versions: Mapping[str, int],
) -> bytes:
    """Return a model (ModelProto) of parts that are written; `versions` are of operator sets."""
    parts = ((1, nodes), (5, tensors), (11, inputs), (12, outputs))
    graph = _write_text(2, "graph")
    graph += b"".join(_write(number, one) for number, ones in parts for one in ones)
    sets = (_write_text(1, name) + _write_integer(2, one) for name, one in versions.items())
    return (
        _write_integer(1, _IR_VERSION) + _write(7, graph) + b"".join(_write(8, one) for one in sets)
    )


def write_node(
    operator: str,
    inputs: Sequence[str],
    output: str,
    domain: str,
    attributes: Mapping[str, float],
) -> bytes:
    """Return a node (NodeProto): one operator on what has these names."""
    node = b"".join(_write_text(1, name) for name in inputs)
    node += _write_text(2, output) + _write_text(3, output) + _write_text(4, operator)
    for name, value in attributes.items():
        if isinstance(value, int):
            number = _write_integer(3, value) + _write_integer(20, 2)
        else:
            number = _tag(2, _FOUR) + struct.pack("<f", value) + _write_integer(20, 1)
        node += _write(5, _write_text(1, name) + number)
    return node + _write_text(7, domain)


def write_tensor(tensor: Tensor, file: str) -> bytes:
    """Return a tensor (TensorProto): itself, or the name of `file` and its place there."""
    if tensor.length <= COPIED:
        return bytes(tensor.message)
    place = {"location": file, "offset": str(tensor.offset), "length": str(tensor.length)}
    return (
        _write_shape(tensor.dims, tensor.kind, tensor.name)
        + b"".join(_write(13, _write_text(1, k) + _write_text(2, v)) for k, v in place.items())
        + _write_integer(14, 1)  # TensorProto.EXTERNAL
    )


def write_integers(name: str, dims: Sequence[int], numbers: Sequence[int]) -> bytes:
    """Return a tensor of a few integers."""
    raw = struct.pack(f"<{len(numbers)}q", *numbers)
    return _write_shape(dims, INT64, name) + _write(9, raw)


def write_input(name: str, kind: int, dimensions: int) -> bytes:
    """Return what goes in or comes out (ValueInfoProto), of any size in each dimension."""
    sizes = b"".join(_write(1, _write_text(2, f"{name}.{at}")) for at in range(dimensions))
    tensor = _write_integer(1, kind) + _write(2, sizes)
    return _write_text(1, name) + _write(2, _write(1, tensor))


def _write_shape(dims: Sequence[int], kind: int, name: str) -> bytes:
    sizes = b"".join(_write_integer(1, size) for size in dims)
    return sizes + _write_integer(2, kind) + _write_text(8, name)


def _write(number: int, value: bytes) -> bytes:
    return _tag(number, _BYTES) + _write_varint(len(value)) + value


def _write_text(number: int, text: str) -> bytes:
    return _write(number, text.encode())


def _write_integer(number: int, value: int) -> bytes:
    return _tag(number, _INTEGER) + _write_varint(value)


def _tag(number: int, kind: int) -> bytes:
    return _write_varint(number << 3 | kind)


def _write_varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _read_tensor(file: memoryview, start: int, end: int) -> Tensor:
    dims: list[int] = []
    name, kind, offset, length = "", 0, start, 0
    for number, first, last in _read_fields(file, start, end):
        if number == 1:  # sizes, one by one or packed
            at = first
            while at < last:
                size, at = _read_varint(file, at)
                dims.append(size)
        elif number == 2:
            kind, _ = _read_varint(file, first)
        elif number == 8:
            name = str(file[first:last], "utf-8")
        elif number == 9:
            offset, length = first, last - first
    return Tensor(name, file[start:end], tuple(dims), kind, offset, length)


def _read_fields(file: memoryview, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the fields of a message: their number, and where their value begins and ends."""
    at = start
    while at < end:
        tag, at = _read_varint(file, at)
        kind = tag & 7
        if kind == _INTEGER:
            _, last = _read_varint(file, at)
        elif kind == _BYTES:
            size, at = _read_varint(file, at)
            last = at + size
        elif kind in (_EIGHT, _FOUR):
            last = at + (8 if kind == _EIGHT else 4)
        else:
            raise ValueError(f"no protobuf: kind {kind} at byte {at}")
        yield tag >> 3, at, last
        at = last


def _read_varint(file: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = file[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
