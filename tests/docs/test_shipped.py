"""What ships is whole: the index of the city guide and the questions about it."""

import hashlib
import json

import pytest

from benchmarks.retrieval import QUESTIONS, measure, read_questions
from services.context import open_context
from services.context.index.manifest import check_hashes, read_manifest
from services.settings import ROOT, SHIPPED_INDEX, Settings

pytestmark = pytest.mark.slow


def test_the_shipped_index_is_of_the_corpus_as_it_stands() -> None:
    """Whoever edits the guide runs `make knowledge`, so that answers quote what is written."""
    manifest = json.loads((SHIPPED_INDEX / "manifest.json").read_text("utf-8"))
    pages = {
        path.relative_to(ROOT / "knowledge").as_posix(): hashlib.sha256(path.read_bytes())
        for path in (ROOT / "knowledge").rglob("*.md")
    }
    indexed = {name: source["sha256"] for name, source in manifest["sources"].items()}
    assert indexed == {name: digest.hexdigest() for name, digest in pages.items()}


def test_every_file_of_the_shipped_index_is_what_its_manifest_says() -> None:
    """No byte of the index was lost on the way into the repository."""
    check_hashes(SHIPPED_INDEX, read_manifest(SHIPPED_INDEX))


@pytest.mark.anyio
async def test_the_questions_find_their_passages() -> None:
    """Recall at 1 is at least 0.90 and at 3 at least 0.98 over the shipped questions."""
    library = open_context(Settings())
    try:
        measured = await measure(library, read_questions(QUESTIONS))
    finally:
        library.close()
    assert measured.questions >= 60
    assert measured.recall_at_1 >= 0.90
    assert measured.recall_at_3 >= 0.98
