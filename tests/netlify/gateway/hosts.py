"""The gateway where it runs: under Node, and under the Deno that Netlify's edge is made of."""

import http.client
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.support import Got, ask

HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / "netlify_dev" / "node_modules" / ".path"

RUNTIMES = ("node", "deno")


def runtime(name: str) -> list[str]:
    """How to run a module under `name`. Skips, with the reason, where it is not installed."""
    if name == "deno":
        path = os.pathsep.join([str(INSTALLED), os.environ.get("PATH", "")])
        if deno := shutil.which("deno", path=path):
            return [deno, "run", "--quiet", "--no-config", "--no-remote", "--allow-all"]
        pytest.skip("Deno is neither on the PATH nor installed by tests/netlify_dev/install")
    if shutil.which("node") is None:
        pytest.skip("Node.js is not on the PATH")
    return ["node"]


@dataclass(slots=True)
class Gateway:
    """A running gateway. `log` is what it has said to the person who runs it."""

    url: str
    _log: Path

    @property
    def log(self) -> str:
        """The lines so far."""
        return self._log.read_text("utf-8")

    def ask(
        self,
        target: str = "/api/chat",
        *,
        method: str = "GET",
        headers: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> Got:
        """One request and the whole answer."""
        return ask(self.url + target, method=method, headers=headers, body=body)

    @contextmanager
    def open_answer(
        self,
        target: str = "/api/chat",
        *,
        method: str = "GET",
        body: bytes | Iterable[bytes] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """An answer that is read piece by piece, and left when the block ends."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=60)
        try:
            connection.request(method, target, body, {"Content-Type": "application/json"})
            yield connection.getresponse()
        finally:
            connection.close()


@contextmanager
def run_gateway(
    name: str, folder: Path, environ: Mapping[str, str], *, head_limit: int | None = None
) -> Iterator[Gateway]:
    """The gateway with `environ`, under the runtime `name`, until the block ends.

    `head_limit` is in milliseconds.
    """
    options = json.dumps({"environ": dict(environ), "headLimit": head_limit})
    log = folder / f"{name}.log"
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [*runtime(name), str(HERE / "host.mjs"), options],
            env={**os.environ, "DENO_NO_UPDATE_CHECK": "1", "DENO_DIR": str(folder / "deno")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=out,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.strip().isdigit(), log.read_text()
            yield Gateway(f"http://127.0.0.1:{line.strip()}", log)
        finally:
            process.kill()


def sign_requests(requests: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """What `sign.mjs` makes of the requests."""
    done = subprocess.run(
        [*runtime("node"), str(HERE / "sign.mjs")],
        input=json.dumps(list(requests)),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    signed: list[dict[str, str]] = json.loads(done.stdout)
    return signed
