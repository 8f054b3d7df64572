"""The manifest: what an index says about itself, and how it is doubted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.context.index.manifest import (
    MANIFEST,
    check_hashes,
    check_model,
    check_sizes,
    current_path,
    previous_path,
    read_manifest,
)
from services.errors import SetupError

pytestmark = pytest.mark.anyio


@pytest.fixture
async def index(run: Callable[..., Any], tmp_path: Path) -> Path:
    """An index of the small folder."""
    await run()
    return tmp_path / "index"


async def test_a_manifest_survives_its_json(index: Path) -> None:
    """What is written is what is read, and it holds no absolute path."""
    manifest = read_manifest(index)
    assert manifest.to_json() == (index / MANIFEST).read_text("utf-8")
    assert str(index.parent) not in manifest.to_json()
    assert list(manifest.sources) == ["cities/bergen.html", "cities/oslo.md", "notes.txt"]
    check_hashes(index, manifest)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "has format 99; this version reads 1"),
        ({"format": None}, "has format None"),
        ({"dimension": "64"}, "is damaged"),
        ({"passages": 0}, "is damaged"),
        ({"passages": True}, "is damaged"),
        ({"files": {}}, "is damaged"),
        ({"sources": {"a": {"sha256": "", "passages": 1}}}, "is damaged"),
        ({"sources": {"a": {"evil": 1}}}, "is damaged"),
        ({"model": ...}, "is damaged"),
    ],
)
async def test_a_manifest_that_is_wrong_is_a_clear_error(
    index: Path, change: dict[str, Any], message: str
) -> None:
    """It says what is wrong and how to make the index again."""
    data = json.loads((index / MANIFEST).read_text())
    data.update(change)
    data = {name: value for name, value in data.items() if value is not ...}
    (index / MANIFEST).write_text(json.dumps(data))
    with pytest.raises(SetupError, match=message) as raised:
        read_manifest(index)
    assert "make ingest" in raised.value.message


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"null"])
async def test_a_manifest_that_is_no_json_object_is_a_clear_error(
    index: Path, content: bytes
) -> None:
    """Also when it was cut short."""
    (index / MANIFEST).write_bytes(content)
    with pytest.raises(SetupError, match="make ingest"):
        read_manifest(index)


async def test_no_index_is_a_clear_error(tmp_path: Path) -> None:
    """The first thing a new user may see."""
    with pytest.raises(SetupError, match=r"There is no index in .*make ingest DOCS="):
        read_manifest(tmp_path / "none")


@pytest.mark.parametrize("name", ["vectors.npy", "sentences.npy", "chunks.sqlite"])
async def test_a_truncated_or_missing_file_is_named(index: Path, name: str) -> None:
    """By its size, without reading it."""
    manifest = read_manifest(index)
    path = index / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SetupError, match=f"{name} is damaged"):
        check_sizes(index, manifest)
    path.unlink()
    with pytest.raises(SetupError, match=f"{name} is missing"):
        check_sizes(index, manifest)


@pytest.mark.parametrize("name", ["vectors.npy", "sentences.npy", "chunks.sqlite"])
async def test_one_flipped_bit_is_found_by_its_hash(index: Path, name: str) -> None:
    """The whole check, for health and for the next ingest."""
    data = bytearray((index / name).read_bytes())
    data[len(data) // 2] ^= 1
    (index / name).write_bytes(data)
    check_sizes(index, read_manifest(index))
    with pytest.raises(SetupError, match=f"{name} is damaged: its hash"):
        check_hashes(index, read_manifest(index))


async def test_another_model_is_refused(index: Path) -> None:
    """Nonsense results would be worse than none."""
    with pytest.raises(SetupError, match=r"made with words-64 .*but the embedder is other \(64\)"):
        check_model(index, read_manifest(index), "other", 64)
    with pytest.raises(SetupError, match="make ingest"):
        check_model(index, read_manifest(index), "words-64", 384)


async def test_an_index_caught_between_two_names_is_found(tmp_path: Path) -> None:
    """The worst instant of an ingest leaves the old index under its other name."""
    index = tmp_path / "index"
    assert current_path(index) == index
    previous_path(index).mkdir()
    assert current_path(index) == previous_path(index)
    index.mkdir()
    assert current_path(index) == index
