"""DynamoDB Local, Amazon's own stand-in: a Java program from a Maven artifact.

    python tests/services/runs/dynamodb_local.py

fetches it with Maven into a folder outside the repository, once. The tests use it when it and Java
are there: in the folder that RIVERRUN_DYNAMODB_LOCAL names, or in ~/.cache/riverrun/dynamodb-local.
"""

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

VERSION = "2.6.1"

_PROJECT = f"""<project><modelVersion>4.0.0</modelVersion>
<groupId>riverrun</groupId><artifactId>dynamodb-local</artifactId><version>1</version>
<dependencies><dependency><groupId>com.amazonaws</groupId><artifactId>DynamoDBLocal</artifactId>
<version>{VERSION}</version></dependency></dependencies></project>
"""
_MAIN = "com.amazonaws.services.dynamodbv2.local.main.ServerRunner"


def folder() -> Path:
    """Where the artifact and what it needs are, or would be."""
    return Path(
        os.environ.get("RIVERRUN_DYNAMODB_LOCAL", "")
        or Path.home() / ".cache" / "riverrun" / "dynamodb-local"
    )


def missing_reason() -> str | None:
    """Why it cannot be started here, or None."""
    if shutil.which("java") is None:
        return "no java on the PATH"
    if not list(folder().glob("DynamoDBLocal-*.jar")):
        return f"no DynamoDB Local in {folder()}: run python tests/services/runs/dynamodb_local.py"
    return None


def install() -> None:
    """Fetch the artifact with Maven, unless it is there."""
    target = folder()
    if (target / f"DynamoDBLocal-{VERSION}.jar").exists():
        return
    with tempfile.TemporaryDirectory() as project:
        Path(project, "pom.xml").write_text(_PROJECT, "utf-8")
        subprocess.run(
            [
                *("mvn", "-q", "-B", "dependency:copy-dependencies"),
                *("-DincludeScope=runtime", f"-DoutputDirectory={target}"),
            ],
            cwd=project,
            check=True,
            stdin=subprocess.DEVNULL,
        )


@contextmanager
def run_server() -> Iterator[str]:
    """A server of its own, in memory. Yields its address."""
    from tests.ports import find_ports  # installing, by this file alone, has no such module

    libraries = folder()
    for _ in range(5):
        (port,) = find_ports(1)  # it takes no port 0
        server = subprocess.Popen(
            [
                *("java", "-Xmx512m", "-XX:TieredStopAtLevel=1"),
                *(f"-Djava.library.path={libraries}", "-cp", f"{libraries}/*", _MAIN),
                *("-inMemory", "-disableTelemetry", "-port", str(port)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            if _answers(server, port):
                yield f"http://127.0.0.1:{port}"
                return
        finally:
            server.kill()
            server.wait()
    raise RuntimeError("DynamoDB Local did not start")


@contextmanager
def share_server(folder: Path) -> Iterator[str]:
    """The one server of all processes that name this folder: the first of them starts it.

    It ends it too, when no other uses it any more. A start costs more than most of its tests.
    """
    address = folder / "dynamodb-local.address"
    with (
        (folder / "dynamodb-local.change").open("w") as change,
        (folder / "dynamodb-local.use").open("w") as use,
        ExitStack() as mine,
    ):
        fcntl.flock(change, fcntl.LOCK_EX)
        if is_first := not address.exists():
            address.write_text(mine.enter_context(run_server()))
        fcntl.flock(use, fcntl.LOCK_SH)
        found = address.read_text()
        fcntl.flock(change, fcntl.LOCK_UN)
        yield found
        if is_first:
            fcntl.flock(change, fcntl.LOCK_EX)
            address.unlink()  # who comes now starts another
            fcntl.flock(change, fcntl.LOCK_UN)
            fcntl.flock(use, fcntl.LOCK_EX)


def _answers(server: "subprocess.Popen[bytes]", port: int) -> bool:
    end = time.monotonic() + 60
    while time.monotonic() < end and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        except OSError:
            time.sleep(0.05)
    return False


if __name__ == "__main__":
    install()
    sys.exit(0)
