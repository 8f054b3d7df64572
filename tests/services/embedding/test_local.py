"""The embedded model: real weights, real inference, no network."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.embedding import local
from services.embedding.local import DIMENSION, LocalEmbedder, find_weights
from services.errors import SetupError
from services.settings import ROOT


@pytest.fixture(scope="module")
def embedder() -> Iterator[LocalEmbedder]:
    """One loaded model for the module."""
    embedder = LocalEmbedder()
    yield embedder
    asyncio.run(embedder.close())


@pytest.mark.anyio
async def test_vectors_are_unit_rows_in_the_order_of_the_texts(embedder: LocalEmbedder) -> None:
    """More texts than one worker takes at a time, and the rows still match."""
    texts = [f"sentence number {number}" for number in range(40)]
    vectors = await embedder.embed(texts)
    assert vectors.shape == (40, DIMENSION)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(vectors[33], (await embedder.embed([texts[33]]))[0])


@pytest.mark.anyio
async def test_the_vector_of_a_text_does_not_depend_on_its_company(embedder: LocalEmbedder) -> None:
    """Byte for byte: an index made at once and one made step by step are the same."""
    alone = await embedder.embed(["The castle stands on a hill."])
    company = await embedder.embed(["x " * 300, "The castle stands on a hill.", "short"])
    np.testing.assert_array_equal(alone[0], company[1])


@pytest.mark.anyio
async def test_meaning_is_nearer_than_words(embedder: LocalEmbedder) -> None:
    """A paraphrase without a common word is nearer than a stranger with several."""
    question, paraphrase, stranger = await embedder.embed(
        [
            "Where can I eat raw fish in Japan's capital?",
            "Sushi counters are found all over Tokyo.",
            "Where can I eat my own words in capital letters?",
        ]
    )
    assert question @ paraphrase > question @ stranger + 0.1


@pytest.mark.anyio
@pytest.mark.parametrize(
    "text", ["", " ", "\0", "\ud7ff", "日本語", "a" * 100_000, "word " * 50_000]
)
async def test_any_text_has_a_vector(embedder: LocalEmbedder, text: str) -> None:
    """Empty, strange and endless texts are texts too."""
    vectors = await embedder.embed([text])
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(np.linalg.norm(vectors), 1, rtol=1e-5)


@pytest.mark.anyio
async def test_no_texts_have_no_vectors(embedder: LocalEmbedder) -> None:
    """The shape stays that of an array of vectors."""
    assert (await embedder.embed([])).shape == (0, DIMENSION)


@pytest.mark.anyio
@pytest.mark.parametrize("many", [80, pytest.param(200, marks=pytest.mark.soak)])
async def test_the_event_loop_runs_while_the_model_computes(
    embedder: LocalEmbedder, many: int
) -> None:
    """Many questions at once, and another task still gets its turns."""
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    other = asyncio.create_task(turn())
    answers = await asyncio.gather(*(embedder.embed([f"question {n}"]) for n in range(many)))
    other.cancel()
    assert len(answers) == many
    assert turns > many


def test_the_weights_are_found_without_importing_their_package() -> None:
    """A young package is trusted with its data file only."""
    assert find_weights().name == "model.onnx"
    assert local.PACKAGE not in sys.modules


def test_a_missing_package_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the package and what to run."""
    monkeypatch.setattr(local, "PACKAGE", "no_such_package_of_weights")
    with pytest.raises(SetupError, match=r"not installed.*make setup"):
        LocalEmbedder()


def test_a_model_path_that_leads_nowhere_is_a_clear_error(tmp_path: Path) -> None:
    """At once, not at the first question."""
    with pytest.raises(SetupError, match=r"RIVERRUN_EMBEDDING_FILE=.*is not a file"):
        LocalEmbedder(tmp_path / "none.onnx")


@pytest.mark.anyio
async def test_weights_of_another_hash_are_refused(tmp_path: Path) -> None:
    """A path of one's own skips no check: one flipped bit is enough."""
    data = bytearray(find_weights().read_bytes())
    data[1_000_000] ^= 1
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    embedder = LocalEmbedder(path)
    with pytest.raises(SetupError, match="hash differs"):
        await embedder.embed(["hello"])
    await embedder.close()


@pytest.mark.anyio
async def test_weights_behind_a_link_are_the_weights(
    embedder: LocalEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a name of one's own, with a space and an accent, from the folder one is in."""
    (tmp_path / "les poids é.onnx").symlink_to(find_weights())
    monkeypatch.chdir(tmp_path)
    linked = LocalEmbedder(Path("les poids é.onnx"))
    vectors = await linked.embed(["hello"])
    await linked.close()
    np.testing.assert_array_equal(vectors, await embedder.embed(["hello"]))


@pytest.mark.anyio
async def test_weights_in_a_folder_of_any_name_are_read(
    embedder: LocalEmbedder, tmp_path: Path
) -> None:
    """A copy of them, as a package that is unpacked somewhere has it."""
    folder = tmp_path / "a folder é"
    folder.mkdir()
    copied = LocalEmbedder(Path(shutil.copy(find_weights(), folder / "my model.onnx")))
    vectors = await copied.embed(["hello"])
    await copied.close()
    np.testing.assert_array_equal(vectors, await embedder.embed(["hello"]))


@pytest.mark.anyio
async def test_questions_that_wait_together_have_the_vectors_they_have_alone(
    embedder: LocalEmbedder,
) -> None:
    """To what float32 can tell, whatever their lengths; one that is given up holds up no other."""
    questions = [f"Where is {'very ' * (number % 4)}old town {number}?" for number in range(40)]
    given_up = asyncio.ensure_future(embedder.embed(["Given up?"], "question"))
    asked = [asyncio.ensure_future(embedder.embed([one], "question")) for one in questions]
    given_up.cancel()
    together = np.concatenate(await asyncio.gather(*asked))
    alone = await embedder.embed(questions, "question")
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6)


@given(st.lists(st.integers(2, 256), max_size=80))
def test_texts_of_nearly_one_length_are_embedded_together(lengths: list[int]) -> None:
    """Each once, in no more memory than one long text takes, and with hardly any padding."""
    groups = list(local._group(lengths))
    assert sorted(row for group in groups for row in group) == list(range(len(lengths)))
    for group in groups:
        longest = max(lengths[row] for row in group)
        padding = sum(longest - lengths[row] for row in group)
        assert len(group) * longest <= local.MOST_TOKENS
        assert padding <= local.INFERENCE_TOKENS


def test_numpy_is_whole_before_the_runtime_asks_for_a_part_of_it() -> None:
    """Another thread opens the index meanwhile, and at a bad moment both failed for good."""
    code = """
import sys
from importlib.abc import MetaPathFinder
from services.embedding.local import LocalEmbedder

class Told(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "onnxruntime":
            print("numpy" in sys.modules)

sys.meta_path.insert(0, Told())
LocalEmbedder()._open()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"
