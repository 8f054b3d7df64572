"""The table of bad days: each row names tests, and there are such tests."""

import ast
import re
from pathlib import Path

import pytest

from services.settings import ROOT

ROWS = [
    line
    for line in (ROOT / "docs" / "bad-days.md").read_text("utf-8").splitlines()
    if line.startswith("| **")
]
STORES = 3


def list_functions(path: Path) -> dict[str, list[str]]:
    """The functions of a module, each with its decorators."""
    tree = ast.parse(path.read_text("utf-8"))
    return {
        node.name: [ast.unparse(each) for each in node.decorator_list]
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@pytest.mark.parametrize("row", ROWS, ids=[row.split("**")[1] for row in ROWS])
def test_each_row_names_tests_that_are_there(row: str) -> None:
    """In its last cell; a rule of the log is run for every store by their own tests."""
    *promises, named = [cell.strip() for cell in row.strip().strip("|").split("|")]
    assert len(promises) == 1 + STORES
    assert any(promises[1:]), "promises nothing"
    tests = re.findall(r"`(tests/[^`]+)::(\w+)`", named)
    assert tests, "names no test"
    for module, name in tests:
        found = list_functions(ROOT / module)
        assert name in found, f"{module} has no {name}"
        assert name.startswith("test_") or found[name] in (["rule"], ["shared_rule"])
