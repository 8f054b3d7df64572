"""One Node.js that runs the users' clients, one after the other, and says what each heard."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

HERE = Path(__file__).parent

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not on the PATH")


class Place(Protocol):
    """What has an address."""

    @property
    def url(self) -> str:
        """It, without a slash at the end."""
        ...


class Ears:
    """`hear(server, what, query)` is what the client `what` of run.mjs heard."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(
        self, server: Place, what: str, query: str, base: str = "/api/chat"
    ) -> dict[str, Any]:
        """Ask, and wait until that client has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([what, server.url + base, query]) + "\n")
        self._process.stdin.flush()
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        return told


@contextmanager
def ears() -> Iterator[Ears]:
    """A Node.js until the block ends. What it complains of is in the test's own output."""
    with subprocess.Popen(
        ["node", str(HERE / "run.mjs")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Ears(process)
        finally:
            process.kill()
