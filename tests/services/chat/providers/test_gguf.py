"""The head of a GGUF file is read as written; anything else is refused, whatever it is."""

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chat.providers.gguf import GgufModel, read_model
from services.errors import SetupError
from tests.services.chat.providers.small_gguf import small_gguf


def test_it_says_which_words_steer_and_how_much_is_read(tmp_path: Path) -> None:
    """Control, unknown and user defined; white space steers nothing, and letters are text."""
    assert read_model(small_gguf(tmp_path / "m.gguf")) == GgufModel(
        ("<unk>", "<|im_start|>", "<|im_end|>", "<think>"), 2048
    )


def test_a_window_may_be_missing(tmp_path: Path) -> None:
    """Then the code that loads the model decides."""
    assert read_model(small_gguf(tmp_path / "m.gguf", window=None)).window is None


@given(cut=st.integers(0, 10_000))
def test_a_part_of_one_is_refused_wherever_it_ends(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    """A download that broke off is the usual case."""
    path = small_gguf(tmp_path_factory.mktemp("gguf") / "m.gguf")
    whole = path.read_bytes()
    path.write_bytes(whole[: cut % len(whole)])
    with pytest.raises(SetupError, match=r"not a GGUF file.*RIVERRUN_CHAT_GGUF"):
        read_model(path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<!doctype html><title>Sign in</title>",
        b"GGUF" + struct.pack("<IQQ", 1, 0, 0),
        b"GGUF" + struct.pack("<IQQ", 3 << 24, 0, 0),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60),
        b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 60),
        b"GGUF" + struct.pack("<IQQQ1sI", 3, 0, 1, 1, b"k", 99),
        b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"k", 9, 8, 1 << 60),
    ],
)
def test_other_files_are_refused_and_take_no_memory(tmp_path: Path, data: bytes) -> None:
    """A page that asks to sign in, an old version, a big endian one, lengths that lie."""
    (tmp_path / "m.gguf").write_bytes(data)
    with pytest.raises(SetupError, match="not a GGUF file"):
        read_model(tmp_path / "m.gguf")


@given(data=st.binary(max_size=200))
def test_no_bytes_at_all_are_read_as_anything_but_a_model_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    """Whatever stands behind the magic."""
    path = tmp_path_factory.mktemp("gguf") / "m.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQ", 3, 0) + data)
    with contextlib.suppress(SetupError):
        read_model(path)


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    """With its path."""
    with pytest.raises(SetupError, match=r"none\.gguf cannot be read"):
        read_model(tmp_path / "none.gguf")
