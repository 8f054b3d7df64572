"""`netlify dev` on this machine, without a network, in front of a cloud that is the emulator's.

It knows how to start Netlify's own command line on a copy of the site and how to end everything
that starts with it; what it serves is the tests' affair.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.settings import ROOT
from tests.functions.serving import Server
from tests.ports import find_ports

MODULES = Path(__file__).parent / "node_modules"
BINARIES = MODULES / ".path"
BOOTSTRAP = MODULES / "@netlify" / "edge-functions-dev" / "dist" / "deno" / "bootstrap.mjs"
PATIENCE = 90.0

needs_netlify = pytest.mark.skipif(
    not (MODULES / ".stamp").exists(),
    reason="Netlify's command line is not here; tests/netlify_dev/install puts it there",
)


def copy_site(folder: Path, upstream: Mapping[str, str]) -> Path:
    """What Netlify deploys, with the environment in the file where `netlify dev` reads it."""
    project = folder / "project"
    shutil.copytree(ROOT / "netlify", project / "netlify", ignore=lambda *_: {".netlify", ".env"})
    shutil.copy(ROOT / "netlify.toml", project)
    lines = (f'{name}="{value}"\n' for name, value in upstream.items())
    (project / "netlify" / ".env").write_text("".join(lines))
    return project


def command(*arguments: str) -> list[str]:
    """The command line that runs `netlify`, under the Node that was installed with it."""
    node = shutil.which("node", path=os.pathsep.join([str(BINARIES), os.environ["PATH"]]))
    assert node is not None
    return [node, str(MODULES / "netlify-cli" / "bin" / "run.js"), *arguments]


def environment(folder: Path) -> dict[str, str]:
    """No telemetry, no notices of updates, and nothing written outside `folder`."""
    return {
        "CI": "1",
        "DENO_DIR": str(folder / "deno"),
        "DENO_NO_UPDATE_CHECK": "1",
        "HOME": str(folder / "home"),
        # Undocumented: the real bootstrap, which would be fetched otherwise.
        "NETLIFY_EDGE_BOOTSTRAP": BOOTSTRAP.as_uri(),
        "NO_UPDATE_NOTIFIER": "1",
        "PATH": os.pathsep.join([str(BINARIES), os.environ["PATH"]]),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }


@contextmanager
def netlify_dev(folder: Path, upstream: Mapping[str, str]) -> Iterator[Server]:
    """`netlify dev` with `upstream` as the gateway's environment, until the block ends."""
    project = copy_site(folder, upstream)
    port, static, functions = (str(number) for number in find_ports(3))
    flags = ["--offline", "--skip-gitignore", "--no-open", "--geo", "mock", "--port", port]
    flags += ["--staticServerPort", static, "--functions-port", functions]
    log = folder / "netlify.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command("dev", *flags),
            cwd=project,
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # its Deno, and whatever else it starts, is ended with it
        )
        try:
            server = Server(process, int(port))
            _wait_until_ready(server, log)
            yield server
        finally:
            _end(process)


def _wait_until_ready(server: Server, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        if server.process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"netlify dev did not start:\n{log.read_text(errors='replace')}")
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            with urllib.request.urlopen(server.url, timeout=PATIENCE) as page:
                assert page.status == 200
            return
        time.sleep(0.1)  # a program that starts says nothing better


def _end(process: subprocess.Popen[str]) -> None:
    """SIGINT, as Ctrl-C is; then SIGKILL to what is left of its session, until nothing is."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
    deadline = time.monotonic() + 10
    while left := find_processes(process.pid):
        assert time.monotonic() < deadline, f"processes {left} of netlify dev are still there"
        time.sleep(0.02)


def find_processes(session: int) -> list[int]:
    """The processes of a session that have not ended, where there is a /proc to say so."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            # proc(5): after the name, which may hold anything, state, parent, group, session.
            state, _, _, of = stat.read_text().rpartition(")")[2].split()[:4]
            if int(of) == session and state != "Z":
                found.append(int(stat.parent.name))
    return found
