"""Ingest: from a folder to an index, again and again, whatever happens."""

import errno
import os
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.context.index.index import open_index
from services.context.index.manifest import MANIFEST, check_hashes, previous_path, read_manifest
from services.context.index.writer import work_folder
from services.context.ingest import build as module
from services.context.ingest.build import (
    DocumentCount,
    DocumentRead,
    EmbeddingProgress,
    IndexWritten,
    ingest,
)
from services.context.ingest.discover import LARGEST, DocumentRefused
from services.context.ingest.readers import READERS
from services.errors import SetupError

pytestmark = pytest.mark.anyio

Run = Callable[..., Any]


def contents(index: Path) -> dict[str, bytes]:
    """Every file of an index, by name."""
    return {path.name: path.read_bytes() for path in index.iterdir()}


def every_file(folder: Path) -> list[Path]:
    """Every file below a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_a_folder_becomes_an_index(run: Run, tmp_path: Path) -> None:
    """Every step is told; every passage has its vectors; nothing else is left behind."""
    steps = await run()
    assert steps[0] == DocumentCount(3)
    assert [step for step in steps if isinstance(step, DocumentRead)] == [
        DocumentRead("cities/bergen.html", 2, reused=False),
        DocumentRead("cities/oslo.md", 3, reused=False),
        DocumentRead("notes.txt", 1, reused=False),
    ]
    assert isinstance(steps[-1], IndexWritten)
    assert all(0 < step.fraction <= 1 for step in steps if isinstance(step, EmbeddingProgress))
    assert {path.relative_to(tmp_path).parts[0] for path in every_file(tmp_path)} == {
        "docs",
        "index",
    }
    assert sorted(contents(tmp_path / "index")) == [
        "chunks.sqlite",
        "manifest.json",
        "sentences.npy",
        "vectors.npy",
    ]
    with open_index(tmp_path / "index") as index:
        check_hashes(tmp_path / "index", index.manifest)
        rows = index.rows(range(index.manifest.passages))
        assert [row.chunk.uri for row in rows] == [
            "cities/bergen.html",
            "cities/bergen.html#rain",
            "cities/oslo.md#oslo",
            "cities/oslo.md#museums",
            "cities/oslo.md#getting-around",
            "notes.txt",
        ]


async def test_vectors_are_those_of_their_texts(run: Run, tmp_path: Path, embedder: Any) -> None:
    """Row by row, passages and sentences."""
    await run()
    with open_index(tmp_path / "index") as index:
        for row in index.rows(range(index.manifest.passages)):
            meaning = await embedder.embed([row.chunk.meaning])
            np.testing.assert_array_equal(index.vectors[row.row], meaning[0])
            statements = await embedder.embed(row.chunk.statements)
            stored = index.sentences[index.sentence_rows(row.row)]
            np.testing.assert_array_equal(stored, statements.astype("<f2"))


async def test_what_did_not_change_is_not_embedded_again(
    run: Run, docs: Path, embedder: Any
) -> None:
    """Only the changed document costs anything."""
    await run()
    embedder.embedded = 0
    (docs / "notes.txt").write_text("Trolls are not shy.\n")
    steps = await run()
    assert [step.reused for step in steps if isinstance(step, DocumentRead)] == [True, True, False]
    assert embedder.embedded == 2  # one passage, one sentence


async def test_step_by_step_and_at_once_give_the_same_bytes(
    run: Run, docs: Path, tmp_path: Path
) -> None:
    """After adding, changing and removing documents, nothing of the past remains."""
    await run()
    (docs / "cities" / "bergen.html").unlink()
    (docs / "a.md").write_text("# New\n\nFirst in order.\n")
    (docs / "notes.txt").write_text("Changed.\n")
    await run()
    await run(index=tmp_path / "fresh")
    assert contents(tmp_path / "index") == contents(tmp_path / "fresh")


async def test_the_same_text_in_two_documents_is_found_once(
    run: Run, docs: Path, tmp_path: Path
) -> None:
    """The copy is marked, and freed when the first goes."""
    (docs / "v1").mkdir()
    (docs / "v1" / "oslo.md").write_bytes((docs / "cities" / "oslo.md").read_bytes())
    await run()
    with open_index(tmp_path / "index") as index:
        assert len(index.copies) == 3
    (docs / "cities" / "oslo.md").unlink()
    await run()
    with open_index(tmp_path / "index") as index:
        assert len(index.copies) == 0


async def test_an_interrupted_ingest_leaves_the_old_index_and_keeps_its_work(
    run: Run, docs: Path, tmp_path: Path, embedder: Any
) -> None:
    """The next run goes on where this one stopped."""
    await run()
    before = contents(tmp_path / "index")
    for path in every_file(docs):
        path.write_text(path.read_text() + "\n\nOne more paragraph.\n")
    embedder.embedded, embedder.fail_after = 0, 10
    with pytest.raises(KeyboardInterrupt):
        await run()
    assert contents(tmp_path / "index") == before
    first = embedder.embedded
    embedder.embedded, embedder.fail_after = 0, None
    steps = await run()
    assert [step.reused for step in steps if isinstance(step, DocumentRead)] == [True, False, False]
    assert embedder.embedded > 0
    assert first > 0
    await run(index=tmp_path / "fresh")
    assert contents(tmp_path / "index") == contents(tmp_path / "fresh")
    assert not (tmp_path / ".index.work").exists()


async def test_a_large_document_that_is_cut_short_goes_on_where_it_stopped(
    run: Run, docs: Path, tmp_path: Path, embedder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the last part that was kept: nothing before it is embedded again."""
    monkeypatch.setattr("services.context.ingest.build.KEEP_EVERY", 64)
    for path in every_file(docs):
        path.unlink()
    lines = (f"Room {number} of the museum is about subject {number}." for number in range(200))
    (docs / "large.md").write_text("# Museum\n\n" + "\n".join(lines) + "\n")
    embedder.fail_after = 120
    with pytest.raises(KeyboardInterrupt):
        await run()
    embedder.embedded, embedder.fail_after = 0, None
    steps = await run()
    again = embedder.embedded
    with open_index(tmp_path / "index") as index:
        total = index.manifest.passages + index.manifest.sentences
    assert total - 120 <= again <= total - 120 + 64 + 32
    done = [step.fraction for step in steps if isinstance(step, EmbeddingProgress)]
    assert done[0] > 0.3
    await run(index=tmp_path / "fresh")
    assert contents(tmp_path / "index") == contents(tmp_path / "fresh")


async def test_a_reader_that_stops_asking_leaves_the_old_index(
    run: Run, docs: Path, tmp_path: Path, embedder: Any
) -> None:
    """Closing the generator is an interruption like any other."""
    await run()
    before = contents(tmp_path / "index")
    (docs / "notes.txt").write_text("Changed.\n")
    async with aclosing(ingest(docs, tmp_path / "index", embedder)) as steps:
        async for step in steps:
            if isinstance(step, EmbeddingProgress):
                break
    assert contents(tmp_path / "index") == before
    await run()


@pytest.mark.parametrize("damage", [b"", b"not an archive", b"PK\x03\x04"])
async def test_damaged_kept_work_is_done_again(
    run: Run, docs: Path, tmp_path: Path, embedder: Any, damage: bytes
) -> None:
    """A power cut may have left anything there."""
    embedder.fail_after = 12
    with pytest.raises(KeyboardInterrupt):
        await run()
    kept = every_file(tmp_path / ".index.work" / "kept")
    assert kept
    for path in kept:
        path.write_bytes(damage)
    embedder.fail_after = None
    await run()
    await run(index=tmp_path / "fresh")
    assert contents(tmp_path / "index") == contents(tmp_path / "fresh")


async def test_another_model_or_recipe_makes_everything_anew(
    run: Run, embedder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vectors of two models, or passages of two recipes, never meet in one index."""
    await run()
    monkeypatch.setattr(module, "RECIPE", 99)
    assert not any(step.reused for step in await run() if isinstance(step, DocumentRead))
    embedder.model = "words-64-v2"
    assert not any(step.reused for step in await run() if isinstance(step, DocumentRead))


async def test_a_damaged_old_index_is_replaced_not_copied_from(run: Run, tmp_path: Path) -> None:
    """One flipped bit, and every document is read again."""
    await run()
    good = contents(tmp_path / "index")
    data = bytearray(good["vectors.npy"])
    data[-1] ^= 1
    (tmp_path / "index" / "vectors.npy").write_bytes(data)
    assert not any(step.reused for step in await run() if isinstance(step, DocumentRead))
    assert contents(tmp_path / "index") == good


async def test_what_cannot_be_read_is_refused_by_name_and_the_rest_goes_on(
    run: Run, docs: Path, make_pdf: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with its reason; the readable documents are in the index."""
    (docs / "empty.md").write_text(" \n")
    (docs / "heading.md").write_text("# Only a heading\n")
    (docs / "latin.txt").write_bytes("café".encode("latin-1"))
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    (docs / "good.pdf").write_bytes(make_pdf("A page about fjords."))
    (docs / "huge.txt").write_text("x")
    os.truncate(docs / "huge.txt", LARGEST + 1)
    (docs / "locked.md").write_text("# Locked\n\ntext")
    real = Path.read_bytes

    def refuse_locked(self: Path) -> bytes:
        if self.name == "locked.md":
            raise PermissionError(13, "Permission denied")
        return real(self)

    monkeypatch.setattr(Path, "read_bytes", refuse_locked)
    steps = await run()
    assert {step.source: step.reason for step in steps if isinstance(step, DocumentRefused)} == {
        "broken.pdf": "is not a PDF that can be read; save it again",
        "empty.md": "is empty",
        "heading.md": "holds no text",
        "huge.txt": "is larger than 64 MB; split it",
        "latin.txt": "is not UTF-8 (byte 4); save it as UTF-8",
        "locked.md": "cannot be opened (Permission denied)",
    }
    assert len([step for step in steps if isinstance(step, DocumentRead)]) == 4
    assert isinstance(steps[-1], IndexWritten)


async def test_a_parser_that_fails_in_its_own_way_refuses_one_document(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in a reader costs one document, not the ingest."""

    def raise_error(_data: bytes, _title: str) -> Any:
        raise RecursionError

    monkeypatch.setitem(READERS, ".html", raise_error)
    steps = await run()
    assert DocumentRefused("cities/bergen.html", "could not be parsed (RecursionError)") in steps
    assert isinstance(steps[-1], IndexWritten)


async def test_nothing_readable_changes_nothing(run: Run, docs: Path, tmp_path: Path) -> None:
    """An emptied folder by mistake does not empty the index."""
    await run()
    before = contents(tmp_path / "index")
    for path in every_file(docs):
        path.write_bytes(b"")
    steps = await run()
    assert not any(isinstance(step, IndexWritten) for step in steps)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert await run(folder=empty) == [DocumentCount(0)]
    assert contents(tmp_path / "index") == before


async def test_a_full_disk_is_one_message_and_harms_nothing(
    run: Run, docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At whatever file it happens."""
    await run()
    before = contents(tmp_path / "index")
    (docs / "notes.txt").write_text("Changed.\n")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for name in (
        "numpy.savez",
        "services.context.index.writer.os.fsync",
        "pathlib.Path.write_text",
    ):
        with monkeypatch.context() as patch:
            patch.setattr(name, full)
            with pytest.raises(SetupError, match=r"No space left.*Free some space.*untouched"):
                await run()
        assert contents(tmp_path / "index") == before


async def test_a_place_that_cannot_be_written_is_one_message(run: Run, tmp_path: Path) -> None:
    """A file where a folder should be, or a folder that refuses new files."""
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match=r"is a file. Choose a folder"):
        await run(index=tmp_path / "file")
    with pytest.raises(SetupError, match=r"could not be written.*--index"):
        await run(index=tmp_path / "file" / "index")
    with pytest.raises(SetupError, match=r"could not be written.*--index"):
        await run(index=Path("/proc/riverrun/index"))


async def test_a_folder_with_other_things_is_never_replaced(run: Run, tmp_path: Path) -> None:
    """A mistyped --index must not cost anyone their files."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.doc").write_text("years of work")
    with pytest.raises(SetupError, match=r"holds other things than an index \(thesis.doc\)"):
        await run(index=home)
    assert every_file(home) == [home / "thesis.doc"]
    await run()
    (tmp_path / "index" / "mine.txt").touch()
    with pytest.raises(SetupError, match="other things"):
        await run()


async def test_an_index_behind_a_link_is_replaced_where_it_lies(run: Run, tmp_path: Path) -> None:
    """The link stays a link."""
    (tmp_path / "disk").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "disk", target_is_directory=True)
    await run(index=link)
    await run(index=link)
    assert link.is_symlink()
    assert MANIFEST in contents(tmp_path / "disk")


async def test_no_folder_of_documents_is_one_message(run: Run, tmp_path: Path) -> None:
    """A path that was mistyped."""
    with pytest.raises(SetupError, match="is not a folder"):
        await run(folder=tmp_path / "none")


async def test_two_ingests_never_write_one_index(run: Run, tmp_path: Path) -> None:
    """The second is told to wait."""
    with work_folder(tmp_path / "index"), pytest.raises(SetupError, match="Another ingest"):
        await run()
    await run()


async def test_a_swap_that_fails_puts_the_old_index_back(
    run: Run, docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that was killed between its two steps is healed by the next ingest."""
    await run()
    index = tmp_path / "index"
    before = contents(index)
    (docs / "notes.txt").write_text("Changed.\n")
    real = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError(errno.EACCES, "Permission denied")
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        with pytest.raises(SetupError, match="Permission denied"):
            await run()
    assert contents(index) == before
    index.rename(previous_path(index))
    steps = await run()
    assert [step.reused for step in steps if isinstance(step, DocumentRead)] == [True, True, True]
    assert read_manifest(index).sources != {}
    assert not previous_path(index).exists()


async def test_an_index_inside_the_documents_is_not_a_document(run: Run, docs: Path) -> None:
    """The shipped index lies in the folder it was made from."""
    await run(index=docs / "index")
    steps = await run(index=docs / "index")
    assert steps[0] == DocumentCount(3)
    assert (docs / "index" / MANIFEST).exists()


async def test_a_file_name_is_escaped_in_links(run: Run, docs: Path, tmp_path: Path) -> None:
    """No name can become another scheme, a query or a fragment."""
    (docs / "javascript:alert(1)#x?y %41.md").write_text("# T\n\nText.\n")
    await run()
    with open_index(tmp_path / "index") as index:
        uris = [row.chunk.uri for row in index.rows(range(index.manifest.passages))]
    assert "javascript%3Aalert%281%29%23x%3Fy%20%2541.md#t" in uris
