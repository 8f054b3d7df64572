"""The documentation names what there is, and the emulator stands alone."""

import ast
from dataclasses import fields
from pathlib import Path

from emulator.__main__ import _parser
from emulator.faults import KINDS, Fault

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "emulator.md").read_text("utf-8")


def test_every_fault_and_every_option_is_documented() -> None:
    """In docs/emulator.md, in code quotes."""
    names = [*KINDS, *(field.name for field in fields(Fault) if field.name != "kind")]
    names += [
        o for action in _parser()._actions for o in action.option_strings if o.startswith("--")
    ]
    missing = [n for n in names if f"`{n}" not in TEXT and f"{n}`" not in TEXT and n != "--help"]
    assert missing == []


def test_the_emulator_imports_nothing_of_the_product() -> None:
    """It is right for runtimes it was not written with."""
    for path in (ROOT / "emulator").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0
                names.append(node.module or "")
            for name in names:
                assert name.partition(".")[0] not in ("services", "functions", "tests"), path
