"""The library: questions in, passages out, with the real model."""

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.context import Library, RetrievalError, open_context
from services.context.index.manifest import MANIFEST
from services.context.ingest.build import ingest
from services.embedding import open_embedder
from services.embedding.local import LocalEmbedder
from services.errors import RiverrunError, SetupError
from services.progress import Progress
from services.settings import ROOT, Settings
from tests.services.context.conftest import write_docs

pytestmark = pytest.mark.anyio


async def index_folder(docs: Path, index: Path) -> None:
    """Index a folder with the real model."""
    async with aclosing(ingest(docs, index, open_embedder(Settings()))) as steps:
        async for _ in steps:
            pass


@pytest.fixture(scope="module")
def small_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index of the small folder, made once."""
    folder = tmp_path_factory.mktemp("made")
    asyncio.run(index_folder(write_docs(folder / "docs"), folder / "index"))
    return folder / "index"


@pytest.fixture
def index(small_index: Path, tmp_path: Path) -> str:
    """A copy of it that a test may damage."""
    return str(shutil.copytree(small_index, tmp_path / "index"))


@pytest.fixture
async def library(index: str) -> AsyncIterator[Library]:
    """The library of that index."""
    with closing(open_context(Settings(index=index))) as library:
        yield library


async def test_a_paraphrase_finds_its_passage(library: Library) -> None:
    """Not one word in common."""
    (first, *_) = await library.retrieve("Which vessel went to the Arctic?", 3)
    assert first.uri == "cities/oslo.md#museums"
    assert first.title == "Oslo › Museums"
    assert first.score > 0.2
    best = max(first.sentences, key=lambda sentence: sentence.similarity)
    assert best.text == "The Fram Museum in Oslo shows a polar ship."
    assert best.vector.shape == (384,)


async def test_small_talk_finds_nothing_and_a_question_asked_again_the_same(
    library: Library,
) -> None:
    """Neither loads a thing it does not need."""
    assert await library.retrieve("Thanks!", 3) == ()
    asked = "Which vessel went to the Arctic?"
    first = await library.retrieve(asked, 3)
    again = await library.retrieve(asked, 3)
    assert [(one.id, one.score) for one in first] == [(one.id, one.score) for one in again]


async def test_a_passage_opens_its_document(library: Library) -> None:
    """All of its passages, in order; what is not there is none."""
    (first, *_) = await library.retrieve("Which vessel went to the Arctic?", 1)
    assert first.has_document
    document = await library.read_document(first.id)
    assert document is not None
    assert (document.title, document.uri) == ("Oslo", "cities/oslo.md")
    assert first.id in [one.id for one in document.passages]
    assert await library.read_document("nothing") is None


async def test_an_identifier_finds_its_passage(library: Library) -> None:
    """Words that mean nothing to the model still count."""
    (first, *_) = await library.retrieve("E-1042", 3)
    assert first.uri == "notes.txt"
    assert first.coverage == 1


async def test_a_follow_up_is_searched_with_what_it_follows(library: Library) -> None:
    """The same words, about another city."""
    for city, document in (("Oslo", "cities/oslo.md"), ("Bergen", "cities/bergen.html")):
        (first, *_) = await library.retrieve(
            "And what is it known for?", 3, previous=f"How many people live in {city}?"
        )
        assert first.uri.startswith(document)


async def test_the_status_says_what_happens(library: Library) -> None:
    """In words a person reads, before and after."""
    heard: list[Progress] = []
    found = await library.retrieve("Oslo", 2, report=heard.append)
    assert [progress.description for progress in heard] == [
        "Searching 6 passages",
        "Found 2 passages in 1 document",
    ]
    assert heard[-1].data == {"passages": len(found), "documents": 1}
    assert library.passage_count == 6


@pytest.mark.parametrize("many", [60, pytest.param(200, marks=pytest.mark.soak)])
async def test_questions_at_once_do_not_mix(library: Library, many: int) -> None:
    """Each has the answer it has alone."""
    questions = ["Is there a polar ship?", "Does it rain?", "Are trolls shy?", "Where are trams?"]
    alone = [await library.retrieve(question, 2) for question in questions]
    together = await asyncio.gather(*(library.retrieve(questions[n % 4], 2) for n in range(many)))
    for number, found in enumerate(together):
        expected = [(passage.uri, passage.score) for passage in alone[number % 4]]
        assert [(passage.uri, passage.score) for passage in found] == expected


async def test_a_cancelled_question_harms_no_other(library: Library) -> None:
    """The reader left; the thread that searched for it goes on."""
    questions = [asyncio.create_task(library.retrieve(f"Question {n}", 2)) for n in range(50)]
    await asyncio.sleep(0)
    for task in questions[::2]:
        task.cancel()
    results = await asyncio.gather(*questions, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
    assert all(isinstance(result, tuple) for result in results[1::2])


@pytest.mark.parametrize("top_k", [0, -1, 21])
async def test_top_k_has_limits(library: Library, top_k: int) -> None:
    """The contract's, also for a caller who forgot to check."""
    with pytest.raises(RiverrunError, match="from 1 to 20") as raised:
        await library.retrieve("Oslo", top_k)
    assert raised.value.code == "validation_error"


@pytest.mark.parametrize(
    ("question", "passages"),
    [
        ("", 6),
        ("?", 0),
        ("\0", 0),
        ("日本語", 6),
        ("a" * 8000, 6),
        ('" OR *', 6),
        ("what is it", 6),
    ],
)
async def test_any_question_can_be_asked(library: Library, question: str, passages: int) -> None:
    """Empty, strange or long: passages, or none for what asks nothing, not an exception."""
    assert len(await library.retrieve(question, 20)) == passages


async def test_a_failing_search_tells_the_client_nothing_of_its_inside(
    library: Library, index: str
) -> None:
    """The database vanishes under a running server; the log gets the cause, the client a code."""
    await library.prepare()
    assert library._index is not None
    library._index.close()
    with pytest.raises(RetrievalError) as raised:
        await library.retrieve("Oslo", 5)
    assert (raised.value.code, raised.value.retryable) == ("retrieval_failed", True)
    assert isinstance(raised.value.__cause__, sqlite3.Error)
    for secret in (index, "sqlite", "SELECT", "MiniLM"):
        assert secret not in raised.value.message


async def test_a_failing_model_is_a_retrieval_error(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it raises."""

    async def raise_error(_texts: object) -> Any:
        raise MemoryError

    monkeypatch.setattr(library._embedder, "embed", raise_error)
    with pytest.raises(RetrievalError):
        await library.retrieve("Oslo", 5)


async def test_a_closed_library_answers_no_more(index: str) -> None:
    """And closing twice is closing once."""
    library = open_context(Settings(index=index))
    await library.retrieve("Oslo", 1)
    library.close()
    library.close()
    with pytest.raises(RetrievalError):
        await library.retrieve("Oslo", 1)


async def test_setup_faults_are_found_when_the_library_opens(index: str, tmp_path: Path) -> None:
    """One message each, before any question."""
    with pytest.raises(SetupError, match="There is no index"):
        open_context(Settings(index=str(tmp_path / "none")))
    with pytest.raises(SetupError, match=r"is not known. It is a folder"):
        open_context(Settings(index="gs://bucket/prefix"))
    with pytest.raises(SetupError, match="RIVERRUN_EMBEDDING_FILE"):
        open_context(Settings(index=index, embedding_file=tmp_path / "none.onnx"))
    manifest = json.loads((Path(index) / MANIFEST).read_text())
    manifest["model"] = "another-model"
    (Path(index) / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(SetupError, match="was made with another-model"):
        open_context(Settings(index=index))


async def test_damage_inside_is_a_setup_error_at_prepare(index: str) -> None:
    """What the sizes do not show, the first look inside does."""
    size = (Path(index) / "vectors.npy").stat().st_size
    (Path(index) / "vectors.npy").write_bytes(bytes(size))
    with closing(open_context(Settings(index=index))) as library:
        with pytest.raises(SetupError, match="is damaged"):
            await library.prepare()
        with pytest.raises(SetupError, match="is damaged"):
            await library.retrieve("Oslo", 1)


async def test_a_library_that_was_opened_ahead_answers_like_another(index: str) -> None:
    """Index and model open in its own threads; the first question finds them open."""
    with closing(open_context(Settings(index=index))) as library:
        library.open_ahead()
        # Each of these threads does one thing after the other.
        opened = await library._run_in_thread(lambda: library._index)
        assert opened is not None
        embedder = library._embedder
        assert isinstance(embedder, LocalEmbedder)
        embedder._pool.submit(lambda: None).result(timeout=60)
        (first, *_) = await library.retrieve("Which vessel went to the Arctic?", 3)
        assert first.uri == "cities/oslo.md#museums"
        assert library._index is opened


async def test_what_fails_ahead_is_told_by_the_first_question(index: str) -> None:
    """Opening ahead says nothing, of damage or of a library that is closed."""
    size = (Path(index) / "vectors.npy").stat().st_size
    (Path(index) / "vectors.npy").write_bytes(bytes(size))
    with closing(open_context(Settings(index=index))) as library:
        library.open_ahead()
        with pytest.raises(SetupError, match="is damaged"):
            await library.retrieve("Oslo", 1)
    library.open_ahead()


async def test_an_ingest_under_a_running_library_does_not_disturb_it(
    library: Library, docs: Path, tmp_path: Path
) -> None:
    """It answers from the index it opened."""
    before = await library.retrieve("Oslo", 5)
    (docs / "cities" / "oslo.md").unlink()
    await index_folder(docs, tmp_path / "index")
    after = await library.retrieve("Oslo", 5)
    assert [passage.text for passage in after] == [passage.text for passage in before]
    np.testing.assert_array_equal(after[0].sentences[0].vector, before[0].sentences[0].vector)


def test_importing_the_package_costs_neither_numpy_nor_a_model() -> None:
    """A resumed reader needs no context and must not pay for it."""
    heavy = "{'numpy', 'onnxruntime', 'rich'}"
    code = f"import sys, services.context; print({heavy} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"


async def test_a_comparison_finds_both_sides_and_a_slip_is_mended(library: Library) -> None:
    """However the whole question sounds, and said to the reader."""
    heard: list[Progress] = []
    found = await library.retrieve("Oslo or Bergem?", 4, report=heard.append)
    assert {one.title.partition(" › ")[0] for one in found} >= {"Oslo", "Bergen"}
    assert [one.asked for one in found] == ["Oslo or Bergen?"] * len(found)
    assert "Reading this as: Oslo or Bergen?" in [one.description for one in heard]


async def test_the_documents_are_listed(library: Library) -> None:
    """By title, in order."""
    assert {"Oslo", "Bergen"} <= set(await library.list_documents())
