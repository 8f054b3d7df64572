"""The ingest command: ``python -m services.context DOCS [--index PLACE]``.

A place is a folder, ``s3://bucket/prefix`` or ``s3vectors://bucket/index``.

Exit status: 0 when an index was made, also when some documents were refused (the report names
them), 2 when the command was misused, nothing could be read or the installation is at fault, 130
when it was stopped.
"""

import argparse
import asyncio
import os
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..embedding import open_embedder
from ..errors import RiverrunError, SetupError
from ..settings import SHIPPED_INDEX, Settings, read_settings
from .ingest.build import (
    DocumentCount,
    DocumentDoubted,
    DocumentRead,
    EmbeddingProgress,
    IndexWritten,
)
from .ingest.discover import DocumentRefused, FileSkipped
from .ingest.publish import IndexPublished, IndexUpload, PublishStep, ingest_to

MOST_NAMES = 10
"""Files passed over are named up to here, then counted."""

MOST_LINES = 50
"""The same for refused and doubtful documents, a line each."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m services.context",
        description="Index a folder of documents: Markdown, text, HTML, PDF.",
    )
    parser.add_argument("docs", type=Path, metavar="DOCS", help="the folder with your documents")
    parser.add_argument(
        "--index",
        metavar="PLACE",
        help="where the index goes: a folder, s3://bucket/prefix or s3vectors://bucket/index",
    )
    given = parser.parse_args(arguments)
    try:
        settings = read_settings(os.environ)
        index = given.index or str(settings.data_dir / "index")
        return asyncio.run(_ingest(given.docs, index, settings))
    except SetupError as error:
        print(error.message, file=sys.stderr)
        return 2
    except RiverrunError as error:
        print(f"{error.message} ({error.__cause__})", file=sys.stderr)
        print("What was embedded is kept: the same command goes on.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. What was embedded is kept: the same command goes on.", file=sys.stderr)
        return 130


async def _ingest(docs: Path, index: str, settings: Settings) -> int:
    started = time.monotonic()
    tally = _Tally()
    console = Console(stderr=True)
    embedder = open_embedder(settings)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(embedder.close)
        bar = stack.enter_context(_progress_bar(console))
        task = bar.add_task("Looking", total=None)
        begun = ingest_to(docs, index, embedder, work=settings.data_dir)
        async with aclosing(begun) as steps:
            async for step in steps:
                tally.count(step)
                match step:
                    case DocumentCount(documents):
                        bar.update(task, total=documents)
                    case EmbeddingProgress(source, fraction):
                        part = tally.done + fraction
                        bar.update(task, completed=part, description=escape(source))
                    case IndexUpload(place):
                        bar.update(task, description=escape(f"Sending to {place}"))
                    case _:
                        bar.update(task, completed=tally.done)
    if tally.written is None:
        print(f"No document could be read in {docs}, so nothing was written.", file=sys.stderr)
        print(*tally.report(), sep="\n", file=sys.stderr)
        return 2
    print(tally.summary(time.monotonic() - started))
    print(f"Now: {_next_command(index, settings)}")
    return 0


class _Tally:
    """What happened so far, for the bar and the closing lines."""

    def __init__(self) -> None:
        self.read = 0
        self.reused = 0
        self.refused: list[str] = []
        self.doubted: list[str] = []
        self.passed_over: list[str] = []
        self.written: IndexWritten | None = None
        self.place = ""

    @property
    def done(self) -> int:
        return self.read + len(self.refused)

    def count(self, step: PublishStep) -> None:
        match step:
            case DocumentRead(_, _, reused):
                self.read += 1
                self.reused += reused
            case DocumentRefused(source, reason):
                self.refused.append(f"{source} {reason}")
            case DocumentDoubted(source, reason):
                self.doubted.append(f"{source} {reason}")
            case FileSkipped(source, _):
                self.passed_over.append(source)
            case IndexWritten(path, _):
                self.written = step
                self.place = self.place or str(path)
            case IndexUpload(place):
                self.place = place
            case IndexPublished(place, changed):
                self.place = place if changed else f"{place}, which had it all"
            case _:
                pass

    def summary(self, seconds: float) -> str:
        assert self.written is not None
        manifest = self.written.manifest
        indexed = (
            f"Indexed {manifest.passages:,} passage{'s' * (manifest.passages != 1)} "
            f"of {self.read:,} document{'s' * (self.read != 1)}"
        )
        first = f"{indexed} ({self.reused:,} unchanged) in {seconds:.1f} s: {self.place}"
        return "\n".join([first, *self.report()])

    def report(self) -> list[str]:
        """Return the lines that say what was not read, or may have been read wrongly."""
        lines: list[str] = []
        for title, found in (("Refused", self.refused), ("Doubtful", self.doubted)):
            if found:
                lines.append(f"{title} {len(found):,}:")
                lines.extend(f"  {line}" for line in found[:MOST_LINES])
                if len(found) > MOST_LINES:
                    lines.append(f"  and {len(found) - MOST_LINES:,} more")
        if self.passed_over:
            names = ", ".join(self.passed_over[:MOST_NAMES])
            more = len(self.passed_over) - MOST_NAMES
            lines.append(f"Not documents: {names}" + (f" and {more:,} more" if more > 0 else ""))
        return lines


def _progress_bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=True),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _next_command(index: str, settings: Settings) -> str:
    if "://" not in index and Path(index).resolve() == SHIPPED_INDEX.resolve():
        return "make dev"
    chosen = {"RIVERRUN_INDEX": index}
    if "://" in index and (endpoint := os.environ.get("AWS_ENDPOINT_URL")):
        # Without it, what stands in a stand-in (`make cloud`) would be looked for in AWS itself.
        chosen = {"AWS_ENDPOINT_URL": endpoint, **chosen}
    if settings.embedding != "local":
        chosen["RIVERRUN_EMBEDDING"] = settings.embedding
        if settings.embedding_model:
            chosen["RIVERRUN_EMBEDDING_MODEL"] = settings.embedding_model
        if settings.embedding_dimension:
            chosen["RIVERRUN_EMBEDDING_DIMENSION"] = str(settings.embedding_dimension)
    return " ".join([*(f"{n}={shlex.quote(v)}" for n, v in chosen.items()), "make dev"])


if __name__ == "__main__":
    sys.exit(main())
