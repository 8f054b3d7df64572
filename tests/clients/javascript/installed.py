"""What the lock file of `clients/javascript` installs, and how its programs are run."""

import os
import subprocess
from pathlib import Path

import pytest

from services.settings import ROOT

CLIENT = ROOT / "clients" / "javascript"
BIN = CLIENT / "node_modules" / ".bin"
SUITES = Path(__file__).parent

needs_packages = pytest.mark.skipif(
    not (BIN / "node").exists(),
    reason="the packages of clients/javascript are not installed: cd clients/javascript && npm ci",
)


def run(program: str, *arguments: str, cwd: Path = SUITES, **environ: str) -> str:
    """The output of an installed program that must succeed; what it says is shown otherwise."""
    done = subprocess.run(
        (str(BIN / program), *arguments),
        cwd=cwd,
        # Its own Node.js first, the one that the lock file brings.
        env=os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"} | environ,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
