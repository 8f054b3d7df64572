"""The network of all-MiniLM-L6-v2, written in onnxruntime's fused operators.

The graph in the weights' own file is a plain export: at each start onnxruntime made an embedding
table of 47 MB of it and looked for what can be fused, 0.2 s of processor, and fused little. This
is the same network as onnxruntime runs it best, over the same weights, whose table stays in int8.
It is written in two ways:

- in floating point, which any processor has: attention is one operator with its three products.
  It opens in less than half the time and gives the same vectors (to 1e-6, held by a test).
- in integers, where the processor multiplies them fast (`has_fast_integers`): the weights stay in
  int8, and what they are multiplied with is rounded to 8 bits, 32 numbers by one scale. An
  inference takes 60 % of the time, and a vector is turned by 0.0003 in cosine at most.

Large tensors are not copied: the graph names their places in the weights' file, which is mapped.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from .onnx_format import (
    FLOAT,
    INT32,
    INT64,
    UINT8,
    Tensor,
    write_input,
    write_integers,
    write_model,
    write_node,
    write_tensor,
)

LAYERS = 6
MATRICES = 6
"""Of each layer: query, key, value, attention's output, and the two of the dense part."""

HEADS = 12
EPSILON = 1e-12

FUSED = "com.microsoft"

WIDTH = 384
BLOCK = 32
"""Numbers that have one scale where products are of integers. With 64 a vector is turned by twice
as much (the right passage was second for one more question of 786) and hardly faster; with 128 it
is another one among other texts."""

EXACT = 4
"""The operator's name for integers that are multiplied and added up exactly (accuracy level)."""


NUMBERS = {"zero": 0, "half": 128}
LISTS = {
    "first": [0],
    "last": [2],
    "rows": [0, -1, BLOCK],
    **{f"part.{number}": [number * WIDTH] for number in range(4)},
    **{f"blocks.{length}": [1, length // BLOCK] for length in (WIDTH, 4 * WIDTH)},
}


def has_fast_integers(machine: str, cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Say whether this processor is of the kind that the network in integers was measured on.

    That is x86-64 with AVX-512's sums of products of bytes (VNNI), as Linux names it. Elsewhere
    the same answers come a little later: other kernels were found right, and not measured (arm64),
    or take as many instructions as floating point does (AVX2).
    """
    if machine not in ("x86_64", "AMD64"):
        return False
    with suppress(OSError), cpuinfo.open(encoding="ascii", errors="replace") as lines:
        flags = next((line for line in lines if line.startswith("flags")), "")
        return "avx512_vnni" in flags.split()
    return False


def write_graph(tensors: Mapping[str, Tensor], file: str, *, is_integer: bool) -> bytes:
    """Return the network as an ONNX model whose large tensors are places in `file`.

    It takes ``input_ids``, rows of one length filled up at their end, and ``lengths``, how much
    of each row counts. It gives ``states``, a vector for each token. With `is_integer` its
    products are of integers.
    """
    network = _Network(tensors, is_integer)
    state = network.embed()
    matrices = [name[:-2] for name in tensors if name.startswith("val_") and name.endswith("_q")]
    for layer in range(LAYERS):
        own = matrices[layer * MATRICES : (layer + 1) * MATRICES]
        output = "states" if layer == LAYERS - 1 else f"{layer}.states"
        state = network.transform(state, own, f"inner.encoder.layer.{layer}", output)
    return write_model(
        network.nodes,
        [write_tensor(tensors[name], file) for name in network.used]
        + [write_integers(name, (len(numbers),), numbers) for name, numbers in LISTS.items()]
        + [write_integers(name, (), [number]) for name, number in NUMBERS.items()],
        [write_input("input_ids", INT64, 2), write_input("lengths", INT32, 1)],
        [write_input(state, FLOAT, 3)],
        {"": 18, FUSED: 1},
    )


class _Network:
    """The nodes so far, and the tensors of the weights that they use."""

    def __init__(self, tensors: Mapping[str, Tensor], is_integer: bool) -> None:
        self._tensors = tensors
        self._multiply = self._multiply_integers if is_integer else self._multiply_floats
        self._attend = self._attend_apart if is_integer else self._attend_at_once
        self.nodes: list[bytes] = []
        self.used: dict[str, None] = {}

    def embed(self) -> str:
        """Add up the vectors of each token and of its place; return the name of what comes out."""
        at = "inner.embeddings"
        words = f"{at}.word_embeddings.weight"
        rows = self._apply("Gather", [f"{words}_q", "input_ids"], "words.q")
        scales = self._apply("Gather", [f"{words}_scale", "input_ids"], "words.scale")
        numbers = self._apply("Cast", [rows], "words.f", to=FLOAT)
        meant = self._apply("Mul", [numbers, scales], "words")
        kind = self._apply("Gather", [f"{at}.token_type_embeddings.weight", "zero"], "kind")
        places = self._unpack([f"{at}.position_embeddings.weight"], "places")
        length = self._apply("Shape", ["input_ids"], "length", start=1)
        places = self._apply("Slice", [places, "first", length, "first"], "places.used")
        together = self._apply("Add", [self._apply("Add", [meant, kind], "of.kind"), places], "sum")
        scale = [f"{at}.LayerNorm.weight", f"{at}.LayerNorm.bias"]
        return self._apply("LayerNormalization", [together, *scale], "embedded", epsilon=EPSILON)

    def transform(self, state: str, matrices: Sequence[str], at: str, output: str) -> str:
        """Add one layer: attention, and what is dense; return the name of what comes out."""
        query, key, value, out, up, down = matrices
        biases = [f"{at}.attention.self.{one}.bias" for one in ("query", "key", "value")]
        bias = self._apply("Concat", biases, f"{at}.bias", axis=0)
        attended = self._attend(state, [query, key, value], bias, f"{at}.attended")
        mixed = self._multiply(attended, [out], f"{at}.mixed")
        between = self._normalize(mixed, state, f"{at}.attention.output", f"{at}.between")
        wide = self._multiply(between, [up], f"{at}.wide")
        bent = self._apply("BiasGelu", [wide, f"{at}.intermediate.dense.bias"], f"{at}.bent", FUSED)
        narrow = self._multiply(bent, [down], f"{at}.narrow")
        return self._normalize(narrow, between, f"{at}.output", output)

    def _attend_at_once(self, state: str, matrices: Sequence[str], bias: str, output: str) -> str:
        inputs = [state, self._unpack(matrices, f"{output}.by"), bias, "lengths"]
        return self._apply("Attention", inputs, output, FUSED, num_heads=HEADS)

    def _attend_apart(self, state: str, matrices: Sequence[str], bias: str, output: str) -> str:
        together = self._multiply(state, matrices, f"{output}.products")
        parts = [
            self._apply("Slice", [together, f"part.{at}", f"part.{at + 1}", "last"], one)
            for at, one in enumerate([f"{output}.query", f"{output}.key", f"{output}.value"])
        ]
        inputs = [*parts, bias, "lengths"]
        return self._apply("MultiHeadAttention", inputs, output, FUSED, num_heads=HEADS)

    def _multiply_floats(self, state: str, matrices: Sequence[str], output: str) -> str:
        return self._apply("MatMul", [state, self._unpack(matrices, f"{output}.by")], output)

    def _multiply_integers(self, state: str, matrices: Sequence[str], output: str) -> str:
        sizes = [self._tensors[f"{name}_q"].dims for name in matrices]
        numbers, scales = self._join(matrices, f"{output}.by")
        # The operator wants columns as rows of blocks, of numbers without a sign: 128 is nothing.
        columns = self._apply("Transpose", [numbers], f"{output}.columns")
        unsigned = self._apply("Cast", [columns], f"{output}.unsigned", to=UINT8)
        half = self._apply("Cast", ["half"], f"{output}.half", to=UINT8)
        shifted = self._apply("BitwiseXor", [unsigned, half], f"{output}.shifted")
        blocks = self._apply("Reshape", [shifted, "rows"], f"{output}.blocks")
        each = self._apply("Transpose", [scales], f"{output}.each")
        scale = self._apply("Expand", [each, f"blocks.{sizes[0][0]}"], f"{output}.scales")
        return self._apply(
            "MatMulNBits",
            [state, blocks, scale],
            output,
            FUSED,
            K=sizes[0][0],
            N=sum(columns for _, columns in sizes),
            bits=8,
            block_size=BLOCK,
            accuracy_level=EXACT,
        )

    def _normalize(self, state: str, before: str, at: str, output: str) -> str:
        # SkipLayerNormalization is all of it, in three times the time (onnxruntime 1.32).
        with_bias = self._apply("Add", [state, f"{at}.dense.bias"], f"{output}.with_bias")
        together = self._apply("Add", [with_bias, before], f"{output}.together")
        scale = [f"{at}.LayerNorm.weight", f"{at}.LayerNorm.bias"]
        return self._apply("LayerNormalization", [together, *scale], output, epsilon=EPSILON)

    def _unpack(self, names: Sequence[str], output: str) -> str:
        """Multiply int8 columns by their scales: onnxruntime does it once, when it opens."""
        numbers, scale = self._join(names, output)
        unscaled = self._apply("Cast", [numbers], f"{output}.f", to=FLOAT)
        return self._apply("Mul", [unscaled, scale], output)

    def _join(self, names: Sequence[str], output: str) -> list[str]:
        """Put matrices side by side; return the names of their numbers and of their scales."""
        if len(names) == 1:
            return [f"{names[0]}_q", f"{names[0]}_scale"]
        return [
            self._apply("Concat", [f"{name}_{kind}" for name in names], f"{output}.{kind}", axis=1)
            for kind in ("q", "scale")
        ]

    def _apply(
        self,
        operator: str,
        inputs: Sequence[str],
        output: str,
        domain: str = "",
        **attributes: float,
    ) -> str:
        self.nodes.append(write_node(operator, inputs, output, domain, attributes))
        self.used.update((name, None) for name in inputs if name in self._tensors)
        return output
