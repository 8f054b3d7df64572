"""Which files are documents."""

import os
from pathlib import Path

import pytest

from services.context.ingest.discover import (
    DocumentFile,
    DocumentRefused,
    FileSkipped,
    FoundEntry,
    discover,
    printable,
)


def discover_all(folder: Path) -> list[FoundEntry]:
    """Everything below `folder`, with the index elsewhere."""
    return list(discover(folder, leave_out=folder / "index"))


def test_documents_come_in_the_order_of_their_paths(docs: Path) -> None:
    """The same order on every system, so that the same folder gives the same index."""
    assert discover_all(docs) == [
        DocumentFile("cities/bergen.html"),
        DocumentFile("cities/oslo.md"),
        DocumentFile("notes.txt"),
    ]


def test_hidden_files_and_indexes_are_left_out(docs: Path) -> None:
    """The index in its usual place, and any other folder that holds one."""
    for folder in ("index", "older"):
        (docs / folder).mkdir()
        (docs / folder / "manifest.json").touch()
        (docs / folder / "chunks.sqlite").touch()
        (docs / folder / "readme.md").write_text("not a document")
    (docs / ".git").mkdir()
    (docs / ".git" / "config.md").write_text("x")
    (docs / ".hidden.md").write_text("x")
    assert len(discover_all(docs)) == 3


def test_other_kinds_are_passed_over_or_refused_by_name(docs: Path) -> None:
    """A picture is no document; a word processor's file is one, and its owner must know."""
    (docs / "map.png").touch()
    (docs / "questions.json").touch()
    (docs / "Report.DOCX").touch()
    entries = [entry for entry in discover_all(docs) if not isinstance(entry, DocumentFile)]
    assert [type(entry) for entry in entries] == [DocumentRefused, FileSkipped, FileSkipped]
    assert entries[0] == DocumentRefused(
        "Report.DOCX", "is .docx; save it as Markdown, text, HTML or PDF"
    )


def test_links_are_never_followed(docs: Path, tmp_path: Path) -> None:
    """Not out of the folder, not in circles, not to nowhere; each is named."""
    (tmp_path / "secret.md").write_text("# Secret")
    (docs / "a-secret.md").symlink_to(tmp_path / "secret.md")
    (docs / "b-loop").symlink_to(docs, target_is_directory=True)
    (docs / "c-self.md").symlink_to(docs / "c-self.md")
    (docs / "d-nowhere.md").symlink_to(docs / "none.md")
    (docs / "e-again.md").symlink_to(docs / "notes.txt")
    entries = {
        entry.source: entry
        for entry in discover_all(docs)
        if isinstance(entry, DocumentRefused | FileSkipped)
    }
    assert {name: type(entry) for name, entry in entries.items()} == {
        "a-secret.md": DocumentRefused,
        "b-loop": FileSkipped,
        "c-self.md": DocumentRefused,
        "d-nowhere.md": DocumentRefused,
        "e-again.md": FileSkipped,
    }
    assert "out of the folder" in entries["a-secret.md"].reason


def test_a_pipe_is_refused_not_waited_for(docs: Path) -> None:
    """Opening it would hang for ever."""
    os.mkfifo(docs / "pipe.md")
    assert DocumentRefused("pipe.md", "is not a regular file") in discover_all(docs)


def test_a_folder_that_cannot_be_opened_is_refused(
    docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the rest goes on."""
    real = Path.iterdir

    def closed(self: Path) -> object:
        if self.name == "cities":
            raise PermissionError(13, "Permission denied")
        return real(self)

    monkeypatch.setattr(Path, "iterdir", closed)
    assert discover_all(docs) == [
        DocumentRefused("cities", "cannot be opened (Permission denied)"),
        DocumentFile("notes.txt"),
    ]


def test_a_strange_name_is_shown_safely(docs: Path) -> None:
    """No control character reaches a terminal, no broken encoding the index."""
    (docs / "a\x1b[31m\n.md").write_text("x")
    (Path(os.fsdecode(os.fsencode(docs) + b"/\xff.md"))).write_text("x")
    refused = [entry for entry in discover_all(docs) if isinstance(entry, DocumentRefused)]
    assert [entry.source for entry in refused] == ["a\\x1b[31m\\n.md", "\\xff.md"]
    assert printable("tromsø.md") == "tromsø.md"
