"""What a cold start of the Bedrock profile costs, and an index by where it is kept.

``python -m benchmarks.cold`` prints the tables. AWS is the fakes of `make cloud`, in this
process: their share is in every figure but those of the import.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import aclosing, closing, contextmanager
from pathlib import Path

from benchmarks.retrieval import RetrievalFigures, measure, read_questions
from benchmarks.table import Table
from fakes.cloud import cloud, make_resources
from services import aws as clients
from services.context import open_context
from services.context.ingest.publish import ingest_to
from services.context.opening import open_store
from services.context.stores.s3 import read_url
from services.context.stores.s3_vectors_writer import publish_vectors
from services.context.stores.s3_writer import publish
from services.context.stores.vector_format import read_vectors_url
from services.embedding import open_embedder
from services.settings import ROOT, SHIPPED_INDEX, Settings

STARTS = 7

S3, VECTORS = "s3://riverrun-index/guide", "s3vectors://riverrun/guide"

# Prints, after each stage, the milliseconds since the start (wall and processor) and peak MB.
PROGRAM = """
import time
began, busy = time.perf_counter(), time.process_time()
import json
def mark(stage):
    wall, cpu = time.perf_counter() - began, time.process_time() - busy
    # What getrusage calls the peak is the parent's, from before this program was loaded.
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    peak = int(status["VmHWM"].split()[0]) / 1024
    print(json.dumps([stage, wall * 1000, cpu * 1000, peak]), flush=True)
import functions.chat
mark("the function is imported")
import asyncio
from services.streaming import default_app
app = default_app()
app.log, app.context
mark("log and documents are opened")
asyncio.run(app.context.check())
mark("boto3 has read the manifest in S3")
async def ask():
    await app.context.retrieve("What are the best museums in Paris?", 5)
asyncio.run(ask())
mark("a first question has its passages")
"""


@contextmanager
def _cloud(folder: Path) -> Iterator[None]:
    """The fakes, found by everything in this process."""
    with cloud() as endpoints:
        make_resources(endpoints["AWS_ENDPOINT_URL"])
        before = dict(os.environ)
        os.environ.update(endpoints, TMPDIR=str(folder))
        tempfile.tempdir = None
        clients.forget()
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
            tempfile.tempdir = None
            clients.forget()


def tables() -> list[Table]:
    """Both tables, from one cloud."""
    with tempfile.TemporaryDirectory() as name, _cloud(Path(name)):
        folder = Path(name)
        places = asyncio.run(_places(folder))
        asyncio.run(_fill(folder, S3))
        return [_starts(folder), places]


async def _fill(folder: Path, index: str) -> None:
    embedder = open_embedder(Settings(embedding="bedrock"))
    async with aclosing(ingest_to(ROOT / "knowledge", index, embedder, work=folder)) as steps:
        async for _ in steps:
            pass
    await embedder.close()


def _starts(folder: Path) -> Table:
    """Several starts of one function, each in a process of its own."""
    environ = {
        **os.environ,
        "RIVERRUN_EMBEDDING": "bedrock",
        "RIVERRUN_INDEX": S3,
        "RIVERRUN_LOG": "dynamodb://riverrun-runs",
        "RIVERRUN_DATA_DIR": str(folder),
    }
    found: dict[str, list[tuple[float, float, float]]] = {}
    for _ in range(STARTS):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
            check=True,
        )
        for line in done.stdout.splitlines():
            stage, *figures = json.loads(line)
            found.setdefault(stage, []).append((figures[0], figures[1], figures[2]))
    rows = [
        (
            stage,
            *(f"{min(one[column] for one in figures):.0f}" for column in (0, 1)),
            f"{max(one[2] for one in figures):.0f}",
        )
        for stage, figures in found.items()
    ]
    return Table(
        "A cold start of the Bedrock profile",
        f"`functions.chat` with `RIVERRUN_EMBEDDING=bedrock`, the log in DynamoDB and the index in "
        f"S3; since the start of the program, the best of {STARTS}; the interpreter's own start is "
        "not in it.",
        ("when", "wall, ms", "processor, ms", "peak, MB"),
        rows,
    )


async def _places(folder: Path) -> Table:
    rows = []
    publish(SHIPPED_INDEX, read_url(S3))
    publish_vectors(SHIPPED_INDEX, read_vectors_url(VECTORS))
    local = Settings()
    rows.append(await _row("local, a folder", local, SHIPPED_INDEX.as_posix()))
    rows.append(await _row("local, S3", local, S3))
    rows.append(await _row("local, S3 Vectors", local, VECTORS))
    await _fill(folder, f"{S3}-fake")
    fake = Settings(embedding="bedrock")
    rows.append(await _row("the fake's, S3", fake, f"{S3}-fake"))
    return Table(
        "The index, by where it is",
        "The shipped guide and its questions; opened twice in a process that knows boto3 already "
        "(the second time the files are here), then asked. The fake's vectors count words: that "
        "row says what a stand-in finds, not what Bedrock does.",
        ("vectors, place", "first open, ms", "again, ms", "recall@1", "recall@3", "ms a question"),
        rows,
    )


async def _row(name: str, settings: Settings, index: str) -> tuple[str, ...]:
    clients.client("s3")
    clients.client("s3vectors")
    opened = [_open_ms(index) for _ in range(2)]
    with closing(open_context(_with(settings, index))) as library:
        found: RetrievalFigures = await measure(library, read_questions())
    return (
        name,
        *(f"{one:.0f}" for one in opened),
        f"{found.recall_at_1:.3f}",
        f"{found.recall_at_3:.3f}",
        f"{found.median_ms:.1f} ({found.p99_ms:.1f})",
    )


def _open_ms(index: str) -> float:
    began = time.perf_counter()
    place = open_store(index)
    place.inspect()
    place.open().close()
    return (time.perf_counter() - began) * 1000


def _with(settings: Settings, index: str) -> Settings:
    return Settings(embedding=settings.embedding, index=index)


def main() -> None:
    """Print both."""
    for table in tables():
        print(table.markdown())


if __name__ == "__main__":
    main()
