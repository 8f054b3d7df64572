"""Real servers for the benchmarks: child processes on free ports, ended with the block."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from services.settings import ROOT


@contextmanager
def run_server(command: Sequence[str], **environ: str) -> Iterator[int]:
    """Run `python command...` with a free PORT and give that port once it accepts."""
    port = free_port()
    arguments = [sys.executable, *(part.replace("{port}", str(port)) for part in command)]
    child = subprocess.Popen(
        arguments,
        cwd=ROOT,
        env={**os.environ, "PORT": str(port), **environ},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(port, child)
        yield port
    finally:
        child.terminate()
        child.wait(timeout=10)


def free_port() -> int:
    """A port of the loopback interface that no server listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, child: "subprocess.Popen[bytes]") -> None:
    """Wait until `child` accepts on `port`. Raises `RuntimeError` when it ends, or after 30 s."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise RuntimeError(f"the server ended with status {child.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError("the server did not start in 30 s")


def post(port: int, path: str, body: bytes) -> socket.socket:
    """Send a streaming POST and give the socket, ready to read the response."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(
        b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Accept: text/event-stream\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
        % (path.encode(), len(body), body)
    )
    return connection
