"""What the context tests share: a fast embedder, a folder of documents, a way to ingest."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.context.ingest.build import IngestStep, ingest
from services.embedding import Kind, local


@pytest.fixture(scope="session", autouse=True)
def model_loaded_once() -> Iterator[None]:
    """Let all that embed with the real model share it: loading it takes longer than any test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "_Inference", cache(local._Inference))
        yield


class WordEmbedder:
    """A provider that needs nothing: a text is the sum of its words' random directions."""

    model = "words-64"
    dimension = 64

    def __init__(self) -> None:
        self.embedded = 0
        self.fail_after: int | None = None

    async def embed(
        self,
        texts: Sequence[str],
        kind: Kind = "passage",  # noqa: ARG002 - both are the same here
    ) -> NDArray[np.float32]:
        """Embed, count, and fail when told to."""
        self.embedded += len(texts)
        if self.fail_after is not None and self.embedded > self.fail_after:
            raise KeyboardInterrupt
        rows = [_sum(text, self.dimension) for text in texts]
        return np.array(rows, np.float32).reshape(len(texts), self.dimension)

    async def close(self) -> None:
        """Nothing was opened."""


def _sum(text: str, dimension: int) -> NDArray[np.float32]:
    total = np.full(dimension, 1e-3, np.float32)
    for word in re.findall(r"\w+", text.lower()):
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
        total += np.random.default_rng(seed).standard_normal(dimension, np.float32)
    unit: NDArray[np.float32] = total / np.linalg.norm(total)
    return unit


@pytest.fixture
def embedder() -> WordEmbedder:
    """A fresh embedder, which counts what it was asked."""
    return WordEmbedder()


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A small folder of documents in three formats."""
    return write_docs(tmp_path / "docs")


def write_docs(folder: Path) -> Path:
    """The documents."""
    (folder / "cities").mkdir(parents=True)
    (folder / "cities" / "oslo.md").write_text(
        "# Oslo\n\nOslo is the capital of Norway.\n\n## Museums\n\nThe Fram Museum in Oslo shows "
        "a polar ship. Oslo keeps it indoors.\n\n## Getting around\n\nOslo has trams.\n"
    )
    (folder / "cities" / "bergen.html").write_text(
        "<title>Bergen</title><h1>Bergen</h1><p>Bergen has a fish market.</p>"
        "<h2 id=rain>Rain</h2><p>It rains often in Bergen.</p>"
    )
    (folder / "notes.txt").write_text("Trolls are shy.\n\nError code E-1042 means low tide.\n")
    return folder


Ingest = Callable[..., Awaitable[list[IngestStep]]]


@pytest.fixture
def run(docs: Path, tmp_path: Path, embedder: WordEmbedder) -> Ingest:
    """Ingest `docs` into `tmp_path / "index"` and return all steps."""

    async def run_ingest(
        folder: Path = docs, index: Path = tmp_path / "index", using: WordEmbedder = embedder
    ) -> list[IngestStep]:
        async with aclosing(ingest(folder, index, using)) as steps:
            return [step async for step in steps]

    return run_ingest


def pdf(*pages: str) -> bytes:
    """Return a small PDF with one text line a page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>")
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for number, text in enumerate(pages):
        lines = " T* ".join(f"({line}) Tj" for line in text.split("\n"))
        content = f"BT /F1 12 Tf 14 TL 50 700 Td {lines} ET" if text else ""
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * number} 0 R"
            " /Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    body, offsets = "%PDF-1.4\n", []
    for number, thing in enumerate(objects, 1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{thing}\nendobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    end = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    return (body + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{end}").encode(
        "latin-1"
    )


@pytest.fixture
def make_pdf() -> Callable[..., bytes]:
    """The function that makes a PDF of its arguments, a page each."""
    return pdf
