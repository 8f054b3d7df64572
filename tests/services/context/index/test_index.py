"""An open index: read-only, portable, and doubtful of what it reads."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.context.index.index import open_index
from services.context.index.manifest import MANIFEST, hash_file
from services.errors import SetupError

pytestmark = pytest.mark.anyio


@pytest.fixture
async def index(run: Callable[..., Any], tmp_path: Path) -> Path:
    """An index of the small folder."""
    await run()
    return tmp_path / "index"


def disguise(index: Path, name: str) -> None:
    """Write the size and hash of a changed file into the manifest."""
    path = index / name
    manifest = json.loads((index / MANIFEST).read_text())
    manifest["files"][name] = {"bytes": path.stat().st_size, "sha256": hash_file(path)}
    (index / MANIFEST).write_text(json.dumps(manifest))


async def test_an_index_moves_as_it_is(index: Path, tmp_path: Path) -> None:
    """Into a folder whose name means something in a URL, made read-only."""
    moved = tmp_path / "my index?mode=rw#1 %41"
    shutil.copytree(index, moved)
    shutil.rmtree(index)
    for path in moved.iterdir():
        path.chmod(0o444)
    moved.chmod(0o555)
    before = sorted(path.name for path in moved.iterdir())
    with open_index(moved) as opened:
        assert opened.rows([0])[0].chunk.document == "Bergen"
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            opened._sql.execute("DELETE FROM passages")
        with pytest.raises(ValueError, match="read-only"):
            opened.vectors[0, 0] = 1
    assert sorted(path.name for path in moved.iterdir()) == before


async def test_rows_come_as_asked(index: Path) -> None:
    """In the order of the numbers, each with its own sentences' vectors."""
    with open_index(index) as opened:
        total = opened.manifest.passages
        backwards = opened.rows(list(reversed(range(total))))
        assert [row.row for row in backwards] == list(reversed(range(total)))
        for row in backwards:
            span = opened.sentence_rows(row.row)
            assert span.stop - span.start == len(row.chunk.spans)


async def test_rows_that_were_read_are_kept_and_not_without_bound(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those asked for again are the same; however many are asked for at once, all come."""
    monkeypatch.setattr("services.context.index.index.KEPT_ROWS", 3)
    with open_index(index) as opened:
        (first,) = opened.rows([0])
        assert opened.rows([1, 0])[1] is first
        opened.rows([2])
        assert [row.row for row in opened.rows([3, 0, 3])] == [3, 0, 3]
        assert len(opened._rows) <= 3
        every = list(range(opened.manifest.passages))
        assert [row.row for row in opened.rows(every)] == every


@pytest.mark.parametrize(
    "word", ['"', '" OR "', "*", "NEAR(", "a AND NOT b", "oslo*", "title:oslo", "^", "'", ";--"]
)
async def test_a_word_is_never_a_query(index: Path, word: str) -> None:
    """Whatever a stranger writes is looked up, not obeyed."""
    with open_index(index) as opened:
        assert opened.holders(word) <= set(range(opened.manifest.passages))
        opened.with_any([word, "oslo"], 5)


async def test_words_are_found_by_their_stems_and_without_accents(index: Path) -> None:
    """ "Museum" finds "Museums" and "trollś" finds "Trolls"."""
    with open_index(index) as opened:
        titles = [row.chunk.title for row in opened.rows(opened.with_any(["museum"], 5))]
        assert titles == ["Oslo › Museums"]
        assert opened.with_any(["tröll"], 5)
        assert opened.with_any([], 5) == []


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((1, 64), "<f4"),
        np.zeros((5, 63), "<f4"),
        np.zeros((5, 64), "<f8"),
        np.zeros(5 * 64, "<f4"),
        np.array([{"pickle": "bomb"}], object),
    ],
    ids=["fewer rows", "other dimension", "other type", "flat", "pickled"],
)
async def test_an_array_of_another_shape_is_refused(index: Path, array: Any) -> None:
    """Even when the manifest vouches for the file; pickled objects are never loaded."""
    np.save(index / "vectors.npy", array, allow_pickle=True)
    disguise(index, "vectors.npy")
    with pytest.raises(SetupError, match="is damaged"):
        open_index(index)


@pytest.mark.parametrize("content", [b"", b"not a database", b"\x93NUMPY\x09\x00"])
@pytest.mark.parametrize("name", ["vectors.npy", "sentences.npy", "chunks.sqlite"])
async def test_a_file_of_another_kind_is_refused(index: Path, name: str, content: bytes) -> None:
    """One message, whichever library notices."""
    (index / name).write_bytes(content)
    disguise(index, name)
    with pytest.raises(SetupError, match="is damaged"):
        open_index(index)


async def test_a_database_with_other_counts_is_refused(index: Path) -> None:
    """A row without a vector would shift every citation."""
    with sqlite3.connect(index / "chunks.sqlite") as connection:
        connection.execute("DELETE FROM passages WHERE row = 0")
    connection.close()
    disguise(index, "chunks.sqlite")
    with pytest.raises(SetupError, match="is damaged"):
        open_index(index)


@pytest.mark.anyio
@pytest.mark.parametrize("scanned", [0, 1_000_000])
async def test_the_best_sentence_of_a_row_is_the_same_gathered_or_scanned(
    index: Path, monkeypatch: pytest.MonkeyPatch, scanned: int
) -> None:
    """How many there are decides what is quicker, and nothing else."""
    monkeypatch.setattr("services.context.index.index.SCANNED_SENTENCES", scanned)
    with open_index(index) as opened:
        vector = opened.vectors[0]
        rows = list(range(0, opened.manifest.passages, 2))
        wanted = [
            float(np.max(opened.unit_sentences([opened.sentence_rows(row)]) @ vector))
            for row in rows
        ]
        assert opened.best_sentences(rows, vector) == pytest.approx(wanted, abs=1e-6)
