"""Run a script of this folder by the Node.js that was installed beside the clients."""

import os
import subprocess
from pathlib import Path

import pytest

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
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
