"""Which files of a folder are documents: every one found is read, passed over or refused.

It opens no file. Links are never followed: one that stays inside the folder would read a
document twice, and one that leaves it would read what was not chosen.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..index.manifest import CHUNKS, MANIFEST
from .readers import FOREIGN_DOCUMENTS, READERS

LARGEST = 64 * 1024 * 1024
"""Bytes. A larger file is refused: it is a data dump or a scan, not a document."""


@dataclass(frozen=True, slots=True)
class DocumentFile:
    """A file to read: its path below the folder, "/" between parts."""

    source: str


@dataclass(frozen=True, slots=True)
class FileSkipped:
    """A file that is no document, and why."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class DocumentRefused:
    """A document that cannot be read, and why."""

    source: str
    reason: str


FoundEntry = DocumentFile | FileSkipped | DocumentRefused


def discover(docs: Path, leave_out: Path) -> Iterator[FoundEntry]:
    """Yield what is below the folder `docs`, in the order of paths, the same order always.

    Hidden files and folders, indexes, and the folder `leave_out` are left out without a word.
    """
    root = docs.resolve()
    # A stack, not recursion: folders nest deeper than Python's stack.
    stack = [(root, "")]
    while stack:
        path, source = stack.pop()
        if source and path.name.startswith("."):
            continue
        try:
            kind = path.lstat().st_mode if source else path.stat().st_mode
            if stat.S_ISDIR(kind):
                if path != leave_out.resolve() and not _is_index(path):
                    below = sorted(path.iterdir(), key=lambda entry: entry.name, reverse=True)
                    stack.extend((entry, f"{source}/{entry.name}".lstrip("/")) for entry in below)
                continue
        except OSError as error:
            yield DocumentRefused(
                printable(source or str(docs)), f"cannot be opened ({error.strerror})"
            )
            continue
        yield _entry(root, path, source, kind)


def _entry(root: Path, path: Path, source: str, kind: int) -> FoundEntry:
    name, suffix = printable(source), path.suffix.lower()
    if stat.S_ISLNK(kind):
        return _link(root, path, name)
    if suffix in FOREIGN_DOCUMENTS:
        return DocumentRefused(name, f"is {suffix}; save it as Markdown, text, HTML or PDF")
    if suffix not in READERS:
        return FileSkipped(name, "not Markdown, text, HTML or PDF")
    if not stat.S_ISREG(kind):
        return DocumentRefused(name, "is not a regular file")
    if name != source:
        return DocumentRefused(name, "has a name that is not UTF-8 or not printable; rename it")
    return DocumentFile(source)


def _link(root: Path, path: Path, name: str) -> FoundEntry:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: how Python 3.11 and 3.12 say "loop"
        return DocumentRefused(name, "is a link that leads nowhere")
    if target.is_relative_to(root):
        return FileSkipped(name, "a link to what is read anyway")
    return DocumentRefused(name, "is a link out of the folder; ingest what it points to instead")


def _is_index(path: Path) -> bool:
    return (path / MANIFEST).is_file() and (path / CHUNKS).is_file()


def printable(name: str) -> str:
    """Return a file's name as it may be shown: no control characters, no broken encoding."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )
