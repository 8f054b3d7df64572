"""What a function reaches is shipped, what a command reaches not, and a stray stops the build."""

from pathlib import Path

import pytest

from deploy.package.contents import own_files
from services.errors import SetupError
from tests.deploy.conftest import ROOT, write


def test_the_real_package_has_what_its_functions_import_and_no_command() -> None:
    """Ingest, the lists of keys and the server of a laptop stay on the laptop."""
    names = set(own_files(ROOT))
    assert {
        "functions/chat.py",
        "functions/runs.py",
        "functions/health.py",
        "services/lambda_runtime/__main__.py",
        "services/runs/dynamodb/log.py",
        "services/access/oidc.py",
        "services/chat/prices.json",
        "services/embedding/vocab.txt",
    } <= names
    assert "functions/__main__.py" not in names
    assert "services/access/__main__.py" not in names
    assert not [name for name in names if name.startswith("services/context/ingest/readers/")]


@pytest.mark.parametrize(
    "stray",
    [
        "services/backup.py",
        "services/notes.txt",
        "services/keys.json",
        "functions/old.py",
        "functions/chat_copy.py",
        "services/deep/er/x.py",
    ],
)
def test_a_stray_stops_the_build(project: Path, stray: str) -> None:
    """By its name: let in, it might be a key; left out in silence, it might be missed."""
    write(project / stray, "")
    with pytest.raises(SetupError, match=stray):
        own_files(project)


def test_what_is_imported_late_or_from_beside_is_reached(project: Path) -> None:
    """Inside a function, relative, by `from package import module`; data by its name."""
    write(project / "functions/chat.py", "def handler(e, c):\n    from services import a\n")
    write(project / "services/a/__init__.py", "from .b import c\nfrom ..d import e\n")
    write(project / "services/a/b.py", "c = 'table.json'\n")
    write(project / "services/a/table.json", "{}")
    write(project / "services/d/__init__.py", "")
    write(project / "services/d/e.py", "import services.f.g\n")
    write(project / "services/f/__init__.py", "")
    write(project / "services/f/g.py", "")
    write(project / "services/h/__main__.py", "from .only import x\n")
    write(project / "services/h/__init__.py", "")
    write(project / "services/h/only.py", "x = 1\n")
    names = set(own_files(project))
    assert {
        "services/a/b.py",
        "services/a/table.json",
        "services/d/e.py",
        "services/f/g.py",
    } <= names
    assert not [name for name in names if name.startswith("services/h/")]


def test_what_a_table_names_for_import_module_is_reached(project: Path) -> None:
    """One module a dialect, imported when it is asked for."""
    write(
        project / "functions/chat.py",
        "from importlib import import_module\nimport services\nTABLE = {'a': '.one'}\n"
        "def handler(e, c):\n    import services.table\n",
    )
    write(
        project / "services/table/__init__.py",
        "from importlib import import_module\nTABLE = {'a': '.one', 'b': 'two'}\n"
        "def find(name):\n    return import_module(TABLE[name], __package__)\n",
    )
    write(project / "services/table/one.py", "")
    write(project / "services/table/two.py", "")
    assert {"services/table/one.py", "services/table/two.py"} <= set(own_files(project))


def test_what_is_not_python_is_named(project: Path) -> None:
    """Before anything is fetched."""
    write(project / "services/__init__.py", "def (")
    with pytest.raises(SetupError, match=r"services/__init__.py is not Python"):
        own_files(project)
