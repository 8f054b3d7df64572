"""Run a script of this folder by the Node.js beside the clients; read the manual."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from services.settings import ROOT

HERE = Path(__file__).parent
NODE = HERE / "node_modules" / "node" / "bin" / "node"


def run_node_test(url: str, suite: str, **environ: str) -> None:
    """Run one suite of Node's own test runner against the server at `url`."""
    # A suite that has failed is not kept by the streams that it left open.
    run_node(url, "--test", "--test-force-exit", "--test-reporter=spec", suite, **environ)


def run_node(url: str, *command: str, **environ: str) -> None:
    """Run Node.js against the server at `url`, and fail with all it said when it fails."""
    if not NODE.exists():
        pytest.skip("The clients are not installed: npm ci --prefix tests/ecosystems")
    run = subprocess.run(
        (str(NODE), *command),
        cwd=HERE,
        env=os.environ | {"RIVERRUN_URL": url, **environ},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def read_snippet(page: str, number: int = 0) -> str:
    """Return one of the JavaScript snippets of a page of the manual."""
    manual = (ROOT / "docs" / page).read_text(encoding="utf-8")
    snippets: list[str] = re.findall(r"```js\n(.+?)```", manual, re.DOTALL)
    return snippets[number]
