"""`make serve` takes a new or a changed file of `functions/` at the next request."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette

from functions._changes import FolderChanges
from services.settings import ROOT
from tests.functions.serving import Server, link_functions, run_server

MANUAL = (ROOT / "docs" / "your-own-function.md").read_text("utf-8")
ECHO = re.findall(r"```python\n(.*?)```", MANUAL, re.DOTALL)[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tree whose `functions/` can be written to."""
    for name in ("services", "knowledge", "netlify", "bootstrap"):
        (tmp_path / name).symlink_to(ROOT / name)
    link_functions(tmp_path)
    return tmp_path


@pytest.fixture
def own(environ: dict[str, str], folder: Path) -> Iterator[Server]:
    """`python -m functions` in that tree."""
    with run_server(environ, folder=folder) as running:
        yield running


def said(server: Server) -> str:
    """What /api/echo answers to two words."""
    reply = server.ask("/api/echo", {"query": "one two"})
    assert reply.status == 200
    return str(reply.json()["answer"])


def test_a_file_is_served_changed_broken_mended_and_removed(own: Server, folder: Path) -> None:
    """Each at the next request, without a restart; a broken one is told and the old goes on."""
    file = folder / "functions" / "echo.py"
    assert own.ask("/api/echo", {"query": "one two"}).status == 404
    file.write_text(ECHO)
    assert said(own) == "one two "
    # The same length in the same second: the cache of bytecode would not see it.
    file.write_text(ECHO.replace('f"{word} "', 'f"{word}."'))
    assert said(own) == "one.two."
    file.write_text("from nowhere import nothing\n")
    assert said(own) == "one.two."
    assert said(own) == "one.two."
    file.write_text(ECHO)
    assert said(own) == "one two "
    file.unlink()
    assert own.ask("/api/echo", {"query": "one two"}).status == 404
    assert own.ask("/api/health").status == 200
    told = [line for line in own.errors if "cannot be loaded" in line]
    assert len(told) == 1
    assert "ModuleNotFoundError: No module named 'nowhere'" in told[0]


def test_a_stream_of_the_old_file_ends_as_it_began(own: Server, folder: Path) -> None:
    """The run that is under way keeps the code it was begun with."""
    (folder / "functions" / "echo.py").write_text(ECHO)
    with own.open_stream("count to a hundred") as reader:
        assert reader.event() is not None
        (folder / "functions" / "chat.py").unlink()
        (folder / "functions" / "chat.py").write_text((ROOT / "functions" / "chat.py").read_text())
        assert said(own) == "one two "
        assert reader.until("final")["result"]["answer"].endswith("100 ")


def test_a_folder_that_cannot_be_read_is_served_as_it_was(tmp_path: Path) -> None:
    """A process that has no descriptor left answers, where it can, all the same."""
    folder = tmp_path / "functions"
    folder.mkdir()
    (folder / "echo.py").write_text("")
    changes = FolderChanges(folder, "functions")
    (folder / "echo.py").unlink()
    folder.rmdir()
    apps = {"echo": Starlette()}
    changes.take(apps)
    assert list(apps) == ["echo"]
