"""The network as we write it, both ways: the one that is in the file of the weights."""

import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.embedding import local
from services.embedding.local import _open_session, find_weights
from services.embedding.minilm import has_fast_integers, write_graph
from services.embedding.onnx_format import read_tensors
from services.embedding.wordpiece import open_tokenizer, read_vocabulary
from services.settings import ROOT

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def theirs() -> Any:
    """The graph that the weights came with."""
    return onnxruntime.InferenceSession(str(find_weights()), providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def floats() -> Any:
    """The network in floating point, as it is opened for answers on most processors."""
    return _open_session(find_weights(), is_integer=False)


@pytest.fixture(scope="module")
def integers() -> Any:
    """The network in integers, as it is opened where the processor multiplies them fast."""
    return _open_session(find_weights(), is_integer=True)


def infer(session: Any, rows: np.ndarray, lengths: list[int]) -> np.ndarray:
    """Return the states of each row's tokens."""
    (states,) = session.run(None, {"input_ids": rows, "lengths": np.array(lengths, np.int32)})
    return np.asarray(states)


def mean(states: np.ndarray) -> np.ndarray:
    """Return the vector of a text: the mean of its states, of length one."""
    of_text = states.mean(axis=0)
    return np.asarray(of_text / np.linalg.norm(of_text))


def compare(session: Any, theirs: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return our states and theirs of short and long texts, up to the longest that it takes."""
    found = []
    for length in (2, 3, 12, 17, 96, 256):
        ids = np.random.default_rng(length).integers(0, 30_522, (1, length))
        mask = {"attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        (expected,) = theirs.run(None, {"input_ids": ids, **mask})
        found.append((infer(session, ids, [length])[0], expected[0]))
    return found


def test_in_floating_point_it_gives_the_states_of_the_graph_that_the_weights_came_with(
    floats: Any, theirs: Any
) -> None:
    """A vector is the mean of its states, and of length one: its numbers are smaller still."""
    for states, expected in compare(floats, theirs):
        np.testing.assert_allclose(states, expected, rtol=0, atol=2e-5)
        np.testing.assert_allclose(mean(states), mean(expected), rtol=0, atol=1e-6)


def test_in_integers_a_vector_is_turned_by_less_than_answers_notice(
    integers: Any, floats: Any
) -> None:
    """Over the shipped questions; and it is turned: these are no floats by another name."""
    encode = open_tokenizer(read_vocabulary())
    entries = json.loads((ROOT / "knowledge" / "questions.json").read_text("utf-8"))
    turned = []
    for entry in entries[::6]:
        ids = np.array([encode(entry["question"], 256)])
        ours, exact = (infer(one, ids, [ids.size])[0] for one in (integers, floats))
        turned.append(1 - mean(ours) @ mean(exact))
    assert max(turned) < 3e-4
    assert max(turned) > 1e-5 or not has_fast_integers(platform.machine())


@pytest.mark.parametrize("kind", ["floats", "integers"])
def test_what_fills_a_row_up_changes_no_state_before_it(
    kind: str, request: pytest.FixtureRequest
) -> None:
    """Texts of several lengths in one inference are each as they are alone."""
    if kind == "integers" and not has_fast_integers(platform.machine()):
        pytest.skip("this processor embeds in floating point alone")
    session = request.getfixturevalue(kind)
    lengths = [8, 9, 11, 11, 12]
    together = np.zeros((len(lengths), max(lengths)), np.int64)
    for row, length in enumerate(lengths):
        together[row, :length] = np.arange(1000 * (row + 1), 1000 * (row + 1) + length)
    states = infer(session, together, lengths)
    for row, length in enumerate(lengths):
        alone = infer(session, together[row : row + 1, :length], [length])
        np.testing.assert_allclose(states[row, :length], alone[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("machine", "cpuinfo", "is_fast"),
    [
        ("x86_64", "processor\t: 0\nflags\t\t: fpu avx2 avx512_vnni fsrm\n", True),
        ("AMD64", "flags\t\t: avx512_vnni\nflags\t\t: avx512_vnni\n", True),
        ("x86_64", "model name\t: avx512_vnni\nflags\t\t: fpu avx2 avx_vnni\n", False),
        ("x86_64", "", False),
        ("x86_64", None, False),
        ("aarch64", "Features\t: asimd asimddp i8mm\n", False),
        ("aarch64", "flags\t\t: avx512_vnni\n", False),
        ("arm64", None, False),
    ],
)
def test_integers_are_for_the_processors_they_were_measured_on(
    tmp_path: Path, machine: str, cpuinfo: str | None, is_fast: bool
) -> None:
    """By what Linux says of the first; where nothing says it, floating point is right as well."""
    path = tmp_path / "cpuinfo"
    if cpuinfo is not None:
        path.write_text(cpuinfo)
    assert has_fast_integers(machine, path) is is_fast


@pytest.mark.anyio
@pytest.mark.parametrize("is_fast", [True, False])
async def test_questions_are_embedded_as_the_processor_can_and_passages_exactly(
    is_fast: bool, monkeypatch: pytest.MonkeyPatch, floats: Any, integers: Any
) -> None:
    """An index is kept, and serves machines of any kind: its vectors are exact on all of them."""
    monkeypatch.setattr(local, "has_fast_integers", lambda _: is_fast)
    ids = np.array([open_tokenizer(read_vocabulary())("What is banchan?", 256)])
    embedder = local.LocalEmbedder()
    passages = await embedder.embed(["What is banchan?"], "passage")
    question = await embedder.embed(["What is banchan?"], "question")
    several = await embedder.embed(["What is banchan?", "Hi"], "question")
    await embedder.close()
    exact, fast = (mean(infer(one, ids, [ids.size])[0]) for one in (floats, integers))
    np.testing.assert_allclose(passages[0], exact, rtol=0, atol=1e-6)
    np.testing.assert_allclose(question[0], fast if is_fast else exact, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(several[0], question[0])


@pytest.mark.parametrize("is_integer", [True, False])
def test_the_graph_names_the_places_of_large_tensors_and_copies_none(is_integer: bool) -> None:
    """22 MB of weights, of which a start reads what it needs from the mapped file."""
    tensors = read_tensors(memoryview(find_weights().read_bytes()))
    graph = write_graph(tensors, "model.onnx", is_integer=is_integer)
    assert sum(tensor.length for tensor in tensors.values()) > 20_000_000
    assert len(graph) < 500_000
    assert graph.count(b"model.onnx") == 2 + 6 * 6
