"""How documents are read: what becomes of them, how long it takes, how much memory.

``python -m benchmarks.reading FOLDER...`` reads folders of documents as `make ingest` does, up to
the passages; nothing is embedded. `make bench` reads the guide, and what lies in `answers.SETS`.
"""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.answers import SETS
from benchmarks.table import Table
from services.settings import ROOT

# In a process of its own, whose peak is that of reading alone.
PROGRAM = """
import json, resource, sys, time
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
    resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
]))
"""


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
    return [
        Table(
            "Reading documents",
            "As `make ingest` does, up to the passages. Letters a word, and words of more than 30 "
            "letters: spaces that were lost. Processor seconds and peak MB of a process.",
            ("folder", "read", "refused", "passages", "words", "letters", "long", "s", "MB"),
            [measure(folder) for folder in folders],
        )
    ]


if __name__ == "__main__":
    for table in tables([Path(name) for name in sys.argv[1:]] or None):
        print(table.markdown())
