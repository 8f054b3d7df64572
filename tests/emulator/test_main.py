"""The command: what it prints, how it refuses, how it ends."""

import http.client
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.emulator.support import PATIENCE, PYTHON, TEMPLATE, ask, process_state
from tests.emulator.test_invoke_api import wait_for

pytestmark = pytest.mark.slow


ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def command(*arguments: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m emulator` as a person starts it."""
    process = subprocess.Popen(
        [PYTHON, "-m", "emulator", "--template", str(TEMPLATE), *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(process: subprocess.Popen[str], text: str) -> str:
    """The output up to the line with `text`."""
    assert process.stdout
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"it never said {text!r}: {seen}")


def test_it_serves_what_it_prints() -> None:
    """Each URL of the table answers."""
    with command("--port", "0", "--concurrency", "4") as process:
        table = until(process, "Faults")
        urls = re.findall(r"http://127\.0\.0\.1:\d+/api/chat\b", table)
        assert len(urls) >= 2
        for url in set(urls):
            assert ask(url, {"say": ["x"]}).body == b"x"
        assert "function URL, RESPONSE_STREAM, NONE" in table
        assert "REST API, ANY, STREAM" in table


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_its_children_end_with_it(number: signal.Signals) -> None:
    """Asked, interrupted or killed: no function outlives it."""
    with command("--port", "0", "--concurrency", "4") as process:
        port = int(
            re.findall(r"Riverrun is on http://127\.0\.0\.1:(\d+)", until(process, "Faults"))[0]
        )
        environ = ask(f"http://127.0.0.1:{port}/api/chat", {"echo": 1}).json["environ"]
        child = _pid_of(environ["AWS_LAMBDA_RUNTIME_API"], process.pid)
        process.send_signal(number)
        assert process.wait(PATIENCE) == (0 if number != signal.SIGKILL else -signal.SIGKILL)
        wait_for(lambda: process_state(child) in ("", "Z"))


def _pid_of(api: str, parent: int) -> int:
    """The child of `parent` whose environment names this Runtime API."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
                environ = (folder / "environ").read_bytes()
            except OSError:
                continue
            if int(stat[1]) == parent and f"AWS_LAMBDA_RUNTIME_API={api}".encode() in environ:
                return int(folder.name)
    raise AssertionError("no such child")


def test_a_taken_port_is_one_clear_line() -> None:
    """Exit status 1, one line, no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with command("--port", str(port)) as process:
            out, error = process.communicate(timeout=PATIENCE)
            assert process.returncode == 1
    assert (
        error == f"Port {port} is taken. Stop what uses it, or choose another: PORT={port + 1}.\n"
    )
    assert out == ""


def test_the_port_comes_from_the_environment_too() -> None:
    """PORT, unless --port says otherwise."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with command(PORT=str(port)) as process:
            assert f"Port {port} is taken" in process.communicate(timeout=PATIENCE)[1]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--port", "many"], "'many' is not a port: a whole number from 0 to 65535.\n"),
        (["--port", "65536"], "'65536' is not a port: a whole number from 0 to 65535.\n"),
        (["--concurrency", "0"], "--concurrency is a whole number from 1 to 1600.\n"),
        (
            ["--template", "nowhere.yaml"],
            "There is no nowhere.yaml. Say where it is with --template.\n",
        ),
        (["--faults", "nowhere.json"], "nowhere.json cannot be read: No such file or directory.\n"),
    ],
)
def test_a_mistake_is_one_clear_line(arguments: list[str], line: str) -> None:
    """Exit status 1, and what to do."""
    with command(*arguments) as process:
        assert process.communicate(timeout=PATIENCE) == ("", line)
        assert process.returncode == 1


def test_faults_can_come_from_a_file(tmp_path: Path) -> None:
    """In force from the first request on."""
    path = tmp_path / "faults.json"
    path.write_text('{"faults": [{"kind": "refuse", "status": 503, "front": "netlify"}]}')
    with command("--port", "0", "--on-demand", "--faults", str(path)) as process:
        table = until(process, "Faults")
        url = re.findall(r"http://127\.0\.0\.1:\d+/api/chat\b", table)[0]
        assert ask(url).status == 503
        assert ask(url, {"say": ["x"]}).status == 200


def test_only_loopback_is_served() -> None:
    """Every front listens on 127.0.0.1 alone."""
    with command("--port", "0", "--concurrency", "4") as process:
        table = until(process, "Faults")
        assert "0.0.0.0" not in table
        for port in {int(p) for p in re.findall(r"127\.0\.0\.1:(\d+)", table)}:
            connection = http.client.HTTPConnection("127.0.0.2", port, timeout=5)
            with pytest.raises(ConnectionRefusedError):
                connection.request("GET", "/")
            connection.close()
