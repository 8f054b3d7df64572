"""How documents are read: what becomes of them, how long it takes, how much memory.

``python -m benchmarks.reading FOLDER...`` reads folders of documents as `make ingest` does, up to
the passages; nothing is embedded. `make bench` reads the guide, and what lies in `answers.SETS`.
"""

import html
import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

from benchmarks.answers import SETS
from benchmarks.table import Table
from services.context.chunk import Chunk
from services.context.ingest.passages import read_folder
from services.settings import ROOT

_LISTINGS = {
    ".html": re.compile(r"<pre[^>]*>(.*?)</pre>", re.DOTALL),
    ".md": re.compile(r"^```[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE),
}

# In a process of its own, whose peak is that of reading alone (`ru_maxrss` would be that of the
# process that started it, where that is larger).
PROGRAM = """
import json, re, sys, time
from pathlib import Path
from services.context.ingest.passages import read_folder

began = time.process_time()
documents = passages = words = letters = long = refused = 0
for chunks in read_folder(Path(sys.argv[1])):
    if chunks is None:
        refused += 1
        continue
    documents += 1
    passages += len(chunks)
    for chunk in chunks:
        found = chunk.text.split()
        words += len(found)
        letters += sum(map(len, found))
        long += sum(len(word) > 30 and word.isalpha() for word in found)
print(json.dumps([
    documents, refused, passages, words, round(letters / words, 2), long,
    round(time.process_time() - began, 2),
    int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024,
]))
"""


def count_links(folder: Path, chunks: Iterable[Chunk]) -> tuple[int, int]:
    """Count the addresses of HTML passages that open at their place, and all of them."""
    opening = every = 0
    for chunk in chunks:
        page, _, anchor = chunk.uri.partition("#")
        if anchor and page.endswith(".html"):
            source = (folder / unquote(page)).read_text("utf-8", "replace")
            names = {re.escape(unquote(anchor)), re.escape(html.escape(unquote(anchor)))}
            every += 1
            opening += any(
                re.search(rf"(?:id|name)=[\"']?{name}[\"'\s>]", source) is not None
                for name in names
            )
    return opening, every


def count_listings(source: str, suffix: str, passages: str) -> tuple[int, int]:
    """Count the listings of a document all of whose lines stand in its passages, and all."""
    have = {line.rstrip() for line in passages.split("\n")}
    whole = every = 0
    for found in _LISTINGS[suffix].findall(source) if suffix in _LISTINGS else ():
        text = html.unescape(re.sub(r"<[^>]+>", "", found)) if suffix == ".html" else found
        lines = [line.rstrip() for line in textwrap.dedent(text.strip("\n")).split("\n")]
        if any(lines):
            every += 1
            whole += all(line in have for line in lines if line)
    return whole, every


def check(folder: Path) -> tuple[str, str]:
    """Return how many addresses open, and how many listings are verbatim but for their margin."""
    read = [chunks for chunks in read_folder(folder) if chunks]
    opening, every = count_links(folder, (chunk for chunks in read for chunk in chunks))
    whole = listings = 0
    for chunks in read:
        path = folder / unquote(chunks[0].uri.partition("#")[0])
        if path.suffix in _LISTINGS:
            source = path.read_text("utf-8", "replace")
            text = "\n".join(chunk.text for chunk in chunks)
            found = count_listings(source, path.suffix, text)
            whole, listings = whole + found[0], listings + found[1]
    return f"{opening}/{every}", f"{whole}/{listings}"


def measure(folder: Path) -> list[object]:
    """Read one folder; return the row of the table."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    row: list[object] = [folder.name, *json.loads(done.stdout)]
    return row


def tables(folders: list[Path] | None = None) -> list[Table]:
    """Return the figures as a table."""
    if folders is None:
        sets = sorted(SETS.iterdir()) if SETS.is_dir() else []
        others = [path for path in sets if path.is_dir() and not path.name.startswith("index-")]
        folders = [ROOT / "knowledge", *others]
    # A child's peak begins with what its parent holds: first the figures, then what is looked up.
    figures = [measure(folder) for folder in folders]
    rows = [(*row, *check(folder)) for row, folder in zip(figures, folders, strict=True)]
    return [
        Table(
            "Reading documents",
            "As `make ingest` does, up to the passages. Letters a word, and words of more than 30 "
            "letters: spaces that were lost. Processor seconds and peak MB of a process. Addresses "
            "of HTML passages that open at their place, and listings that are verbatim but for "
            "a common margin.",
            (
                *("folder", "read", "refused", "passages", "words", "letters", "long", "s", "MB"),
                *("links", "listings"),
            ),
            rows,
        )
    ]


if __name__ == "__main__":
    for table in tables([Path(name) for name in sys.argv[1:]] or None):
        print(table.markdown())
