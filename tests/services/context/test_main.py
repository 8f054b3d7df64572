"""The ingest command, as a person types it."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from services.settings import ROOT

pytestmark = pytest.mark.slow


def command(*arguments: object, file_limit: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run it in a process of its own; `file_limit` is the size at which writing a file fails."""

    def limit() -> None:
        if file_limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

    return subprocess.run(
        [sys.executable, "-m", "services.context", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        # Python, too, would cut short the files it writes: its compiled modules.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=limit,
    )


def test_a_good_folder_is_indexed_and_the_next_command_named(docs: Path, tmp_path: Path) -> None:
    """Exit status 0, no control characters, everything else on one screen."""
    (docs / "questions.json").write_text("[]")
    done = command(docs, "--index", tmp_path / "my index")
    assert done.returncode == 0, done.stderr
    assert "Indexed 6 passages of 3 documents (0 unchanged)" in done.stdout
    assert "Not documents: questions.json" in done.stdout
    assert f"Now: RIVERRUN_INDEX='{tmp_path}/my index' make dev" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    again = command(docs, "--index", tmp_path / "my index")
    assert "(3 unchanged)" in again.stdout


def test_a_refused_document_is_named_and_the_index_is_made_all_the_same(
    docs: Path, tmp_path: Path
) -> None:
    """A name that looks like markup is only a name."""
    (docs / "[red]latin[bold].txt").write_bytes("café".encode("latin-1"))
    (docs / "lost.txt").write_text("A \ufffd came from elsewhere.")
    done = command(docs, "--index", tmp_path / "index")
    assert done.returncode == 0
    refused = "Refused 1:\n  [red]latin[bold].txt is not UTF-8 (byte 4); save it as UTF-8\n"
    doubtful = "Doubtful 1:\n  lost.txt holds 1 characters that were lost before it came here\n"
    assert refused + doubtful in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/no/such/folder"], "/no/such/folder is not a folder"),
        ([], "the following arguments are required: DOCS"),
    ],
)
def test_misuse_is_exit_status_two_and_one_message(arguments: list[str], message: str) -> None:
    """No traceback."""
    done = command(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_readable_is_exit_status_two(tmp_path: Path) -> None:
    """And no index appears."""
    (tmp_path / "docs").mkdir()
    done = command(tmp_path / "docs", "--index", tmp_path / "index")
    assert done.returncode == 2
    assert "No document could be read" in done.stderr
    assert not (tmp_path / "index").exists()


def test_a_disk_that_fills_up_is_one_message(docs: Path, tmp_path: Path) -> None:
    """A real one: the system refuses to let any file grow beyond the limit. It is gone on with."""
    for limit in (100, 5_000, 20_000):
        done = command(docs, "--index", tmp_path / "index", file_limit=limit)
        assert done.returncode == 2, limit
        assert "could not be written" in done.stderr
        assert "Free some space" in done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "index").exists()
    assert command(docs, "--index", tmp_path / "index").returncode == 0
