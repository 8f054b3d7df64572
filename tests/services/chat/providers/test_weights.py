"""The weights of the local model: found without importing their package, and checked."""

import hashlib
import sys
from pathlib import Path

import pytest

from services.chat.providers import weights
from services.chat.providers.weights import FILE, WEIGHTS_PACKAGE, find_chat_weights
from services.errors import SetupError


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package as installed, with other weights; to import it would be an error."""
    folder = tmp_path / WEIGHTS_PACKAGE
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / FILE).write_bytes(b"GGUF, but another one")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, WEIGHTS_PACKAGE, raising=False)
    return folder


def test_other_weights_are_refused_by_their_hash(package: Path) -> None:
    """With the command that mends it."""
    with pytest.raises(SetupError, match=r"hash differs.*make setup-llm"):
        find_chat_weights()


def test_the_pinned_ones_are_taken(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the package is not imported for it."""
    digest = hashlib.sha256((package / FILE).read_bytes()).hexdigest()
    monkeypatch.setattr(weights, "SHA256", digest)
    assert find_chat_weights() == package / FILE
    assert WEIGHTS_PACKAGE not in sys.modules


def test_a_package_without_its_file_is_as_good_as_none(package: Path) -> None:
    """The command is the same."""
    (package / FILE).unlink()
    with pytest.raises(SetupError, match=r"make setup-llm.*RIVERRUN_CHAT_GGUF"):
        find_chat_weights()


def test_nothing_installed_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """One command."""
    monkeypatch.setattr(weights, "find_spec", lambda _: None)
    with pytest.raises(SetupError, match=r"`make setup-llm`, or set RIVERRUN_CHAT_GGUF"):
        find_chat_weights()


def test_a_file_of_ones_own_needs_no_package_and_no_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It only has to be there."""
    monkeypatch.setattr(weights, "find_spec", lambda _: None)
    own = tmp_path / "own.gguf"
    with pytest.raises(SetupError, match=r"RIVERRUN_CHAT_GGUF=.*own\.gguf is not a file"):
        find_chat_weights(own)
    own.write_bytes(b"anything")
    assert find_chat_weights(own) == own


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    """People name the folder of a model."""
    with pytest.raises(SetupError, match="is not a file"):
        find_chat_weights(tmp_path)
