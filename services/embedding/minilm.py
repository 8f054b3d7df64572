"""The network of all-MiniLM-L6-v2, written in onnxruntime's fused operators.

The graph in the weights' own file is a plain export: at each start onnxruntime made an embedding
table of 47 MB of it and looked for what can be fused, 0.2 s of processor, and fused little. This
is the same network as onnxruntime runs it best, over the same weights: the table stays in int8,
and attention is one operator with its three products. It opens in less than half the time and
gives the same vectors (to 1e-6, held by a test).

Large tensors are not copied: the graph names their places in the weights' file, which is mapped.
"""

from collections.abc import Mapping, Sequence

from .onnx_format import (
    FLOAT,
    INT32,
    INT64,
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


def write_graph(tensors: Mapping[str, Tensor], file: str) -> bytes:
    """Return the network as an ONNX model whose large tensors are places in `file`.

    It takes ``input_ids``, rows of one length filled up at their end, and ``lengths``, how much
    of each row counts. It gives ``states``, a vector for each token.
    """
    network = _Network(tensors)
    state = network.embed()
    matrices = [name[:-2] for name in tensors if name.startswith("val_") and name.endswith("_q")]
    for layer in range(LAYERS):
        own = matrices[layer * MATRICES : (layer + 1) * MATRICES]
        output = "states" if layer == LAYERS - 1 else f"{layer}.states"
        state = network.transform(state, own, f"inner.encoder.layer.{layer}", output)
    return write_model(
        network.nodes,
        [write_tensor(tensors[name], file) for name in network.used]
        + [write_integers("zero", (), [0]), write_integers("first", (1,), [0])],
        [write_input("input_ids", INT64, 2), write_input("lengths", INT32, 1)],
        [write_input(state, FLOAT, 3)],
        {"": 17, FUSED: 1},
    )


class _Network:
    """The nodes so far, and the tensors of the weights that they use."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors
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
        products = self._unpack([query, key, value], f"{at}.attention")
        attended = self._apply(
            "Attention",
            [state, products, bias, "lengths"],
            f"{at}.attended",
            FUSED,
            num_heads=HEADS,
        )
        mixed = self._multiply(attended, out, f"{at}.mixed")
        between = self._normalize(mixed, state, f"{at}.attention.output", f"{at}.between")
        wide = self._multiply(between, up, f"{at}.wide")
        bent = self._apply("BiasGelu", [wide, f"{at}.intermediate.dense.bias"], f"{at}.bent", FUSED)
        narrow = self._multiply(bent, down, f"{at}.narrow")
        return self._normalize(narrow, between, f"{at}.output", output)

    def _multiply(self, state: str, matrix: str, output: str) -> str:
        return self._apply("MatMul", [state, self._unpack([matrix], f"{output}.by")], output)

    def _normalize(self, state: str, before: str, at: str, output: str) -> str:
        scale = [f"{at}.LayerNorm.weight", f"{at}.LayerNorm.bias", f"{at}.dense.bias"]
        inputs = [state, before, *scale]
        return self._apply("SkipLayerNormalization", inputs, output, FUSED, epsilon=EPSILON)

    def _unpack(self, names: Sequence[str], output: str) -> str:
        """Multiply int8 columns by their scales: onnxruntime does it once, when it opens."""
        numbers, scales = [f"{name}_q" for name in names], [f"{name}_scale" for name in names]
        if len(names) > 1:
            numbers = [self._apply("Concat", numbers, f"{output}.q", axis=1)]
            scales = [self._apply("Concat", scales, f"{output}.scale", axis=1)]
        unscaled = self._apply("Cast", numbers, f"{output}.f", to=FLOAT)
        return self._apply("Mul", [unscaled, *scales], output)

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
