"""The network as we write it: the one that is in the file of the weights."""

from typing import Any

import numpy as np
import pytest

from services.embedding.local import _open_session, find_weights
from services.embedding.minilm import write_graph
from services.embedding.onnx_format import read_tensors

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def ours() -> Any:
    """The network as it is opened for answers."""
    return _open_session(find_weights())


def test_it_gives_the_states_of_the_graph_that_the_weights_came_with(ours: Any) -> None:
    """For short and long texts, up to the last that it takes."""
    theirs = onnxruntime.InferenceSession(str(find_weights()), providers=["CPUExecutionProvider"])
    for length in (2, 3, 12, 17, 96, 256):
        ids = np.random.default_rng(length).integers(0, 30_522, (1, length))
        mask = {"attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        (expected,) = theirs.run(None, {"input_ids": ids, **mask})
        (states,) = ours.run(None, {"input_ids": ids, "lengths": np.array([length], np.int32)})
        # A vector is the mean of its states, and of length one: its numbers are smaller still.
        np.testing.assert_allclose(states, expected, rtol=0, atol=2e-5)
        mean, other = states.mean(axis=1), expected.mean(axis=1)
        np.testing.assert_allclose(
            mean / np.linalg.norm(mean), other / np.linalg.norm(other), rtol=0, atol=1e-6
        )


def test_what_fills_a_row_up_changes_no_state_before_it(ours: Any) -> None:
    """Texts of two lengths in one inference are each as they are alone."""
    short, long = np.arange(1000, 1008), np.arange(2000, 2011)
    together = np.zeros((2, 11), np.int64)
    together[0, :8], together[1] = short, long
    (states,) = ours.run(None, {"input_ids": together, "lengths": np.array([8, 11], np.int32)})
    for row, ids in enumerate((short, long)):
        alone = {"input_ids": ids[None], "lengths": np.array([len(ids)], np.int32)}
        (expected,) = ours.run(None, alone)
        np.testing.assert_allclose(states[row, : len(ids)], expected[0], rtol=0, atol=1e-5)


def test_the_graph_names_the_places_of_large_tensors_and_copies_none() -> None:
    """22 MB of weights, of which a start reads what it needs from the mapped file."""
    tensors = read_tensors(memoryview(find_weights().read_bytes()))
    graph = write_graph(tensors, "model.onnx")
    assert sum(tensor.length for tensor in tensors.values()) > 20_000_000
    assert len(graph) < 500_000
    assert graph.count(b"model.onnx") == 2 + 6 * 6
