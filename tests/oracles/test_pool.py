"""psycopg_pool against a real PostgreSQL: a pool opened in a request outlives it.

Its workers are tasks begun in the first request. They replace connections that were lost, so
they must run in later requests too.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.oracles.hosts import HOSTS, needs_apps, serve
from tests.oracles.test_apps import ask
from tests.ports import find_ports

PG_CTL = shutil.which("pg_ctl")
UNPRIVILEGED = 65534  # a user without rights: PostgreSQL refuses to run as root
pytestmark = [
    needs_apps,
    pytest.mark.skipif(PG_CTL is None, reason="pg_ctl is not on the PATH"),
]


def run_quietly(command: list[str]) -> None:
    """Run a server's command; it would keep our standard output open."""
    quiet = subprocess.DEVNULL
    subprocess.run(command, check=True, stdout=quiet, stderr=quiet, cwd="/")


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """A server on a free port, until the module's tests are over. Gives its DSN."""
    assert PG_CTL
    bin_folder = Path(PG_CTL).resolve().parent
    # Its socket's path has a length limit, and it will not run as root.
    folder = Path(tempfile.mkdtemp(prefix="rr-pg-"))
    as_user = []
    if os.geteuid() == 0:
        os.chown(folder, UNPRIVILEGED, UNPRIVILEGED)
        as_user = ["setpriv", f"--reuid={UNPRIVILEGED}", "--clear-groups"]
    (port,) = find_ports(1)
    options = f"-h 127.0.0.1 -p {port} -k {folder} -F"
    data = folder / "data"
    initdb = [str(bin_folder / "initdb"), "-D", str(data), "-U", "test", "-A", "trust", "-N"]
    pg_ctl = [*as_user, str(bin_folder / "pg_ctl"), "-D", str(data), "-w"]
    run_quietly([*as_user, *initdb])
    run_quietly([*pg_ctl, "-o", options, "-l", str(folder / "log"), "start"])
    try:
        yield f"host=127.0.0.1 port={port} user=test dbname=postgres"
    finally:
        run_quietly([*pg_ctl, "-m", "immediate", "stop"])
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("host", HOSTS)
def test_a_pool_opened_in_a_request_replaces_lost_connections(
    host: str, postgres: str, tmp_path: Path
) -> None:
    """Twice its server ends every connection; each query after that is answered."""
    with serve(host, "pool_app.app", tmp_path, environ={"PG_DSN": postgres}) as url:
        assert ask(url + "/query").json == 42
        for _ in range(2):
            assert ask(url + "/lose").json == 1
            assert [ask(url + "/query").json for _ in range(4)] == [42] * 4
