"""The page's modules that need no page, under Node's own test runner."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
OLDEST = (20, 19)
"""The first Node.js that reads a bare `.js` file with `import` in it as a module."""


def why_not() -> str:
    node = shutil.which("node")
    if node is None:
        return "Node.js is not on the PATH"
    said = subprocess.run((node, "--version"), capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.(\d+)", said)
    if found is None or tuple(map(int, found.groups())) < OLDEST:
        return f"Node.js {'.'.join(map(str, OLDEST))} or newer is needed, this is {said.strip()}"
    return ""


@pytest.mark.node
@pytest.mark.parametrize("module", ["turn", "progress"])
def test_a_module_of_the_page_keeps_its_promises(module: str) -> None:
    """Each file of tests passes under `node --test`; its report is shown when it does not."""
    if reason := why_not():
        pytest.skip(reason)
    run = subprocess.run(
        ("node", "--test", "--test-reporter=dot", f"{module}.test.mjs"),
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
