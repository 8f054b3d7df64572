"""The documentation names what there is, and the emulator stands alone."""

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

from emulator.__main__ import _parser
from emulator.faults import KINDS, Fault
from tests.emulator.support import FUNCTIONS, run_cloud

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


def test_the_snippet_for_boto3_streams(capsys: pytest.CaptureFixture[str]) -> None:
    """As it stands, but for the port and the name of the function."""
    block = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert block is not None
    with run_cloud(FUNCTIONS / "asgi" / "template.yaml") as cloud:
        code = block[1].replace("http://127.0.0.1:3001", cloud.url("invoke"))
        exec(code.replace('FunctionName="chat"', 'FunctionName="app"'), {})
    assert "data: 0" in capsys.readouterr().out


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
