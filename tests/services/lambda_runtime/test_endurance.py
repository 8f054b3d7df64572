"""Many invocations and slow readers: what the process holds stays the same."""

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.services.lambda_runtime.harness import http

ROOT = Path(__file__).parents[3]
OK = b"HTTP/1.1 202 Accepted\r\nContent-Length: 16\r\n\r\n" + b'{"status":"OK"}\n'
APP = """
import asyncio

from services.lambda_runtime import export_handler


async def numbers(count):
    for number in range(count):
        yield number


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    await receive()
    if scope["path"] == "/fail":
        raise ValueError
    frames, size = (5, 80) if scope["path"] == "/" else (3200, 65536)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    asyncio.create_task(asyncio.sleep(0))
    async for _ in numbers(frames):
        await send({"type": "http.response.body", "body": b"x" * size, "more_body": True})
    await send({"type": "http.response.body"})


strict = export_handler(app, strict_cleanup=True)
"""


class Front:
    """A Runtime API reduced to what costs no time, on blocking sockets."""

    def __init__(self, listener: socket.socket, process: int) -> None:
        self._listener = listener
        self._process = process
        self.line, _ = listener.accept()
        self.line.recv(65536)
        self._number = 0
        self.peak = 0

    def answer(self, path: str, *, pause_after: int = 0) -> int:
        """One invocation; the number of bytes of its answer."""
        body = json.dumps(http(path)).encode()
        self._number += 1
        deadline = int((time.time() + 300) * 1000)
        head = (
            "HTTP/1.1 200 OK\r\n"
            f"Lambda-Runtime-Aws-Request-Id: n-{self._number}\r\n"
            f"Lambda-Runtime-Deadline-Ms: {deadline}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.line.sendall(head.encode() + body)
        post, _ = self._listener.accept()
        with post:
            total, tail = 0, b""
            while not tail.endswith(b"\r\n\r\n") or b"\r\n0\r\n" not in tail:
                data = post.recv(1 << 18)
                assert data, "the answer was cut"
                total += len(data)
                tail = (tail + data)[-600:]
                if pause_after and total > pause_after:
                    time.sleep(0.5)  # long enough to fill every buffer there is
                    self.peak = self.memory()
                    pause_after = 0
            post.sendall(OK)
            assert self.line.recv(65536).startswith(b"GET ")
        return total

    def memory(self) -> int:
        """Resident bytes of the runtime."""
        pages = Path(f"/proc/{self._process}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        """Open ones of the runtime, once it has the connection for its next answer."""
        assert select.select([self._listener], [], [], 10)[0], "it has not called"
        return sum(1 for _ in Path(f"/proc/{self._process}/fd").iterdir())

    def threads(self) -> int:
        """Those of the runtime."""
        return sum(1 for _ in Path(f"/proc/{self._process}/task").iterdir())


@contextmanager
def front(path: Path, handler: str = "app") -> Iterator[Front]:
    (path / "rr_endure.py").write_text(APP)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.lambda_runtime"],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": f"{ROOT}:{path}",
                "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{listener.getsockname()[1]}",
                "_HANDLER": f"rr_endure.{handler}",
                "AWS_LAMBDA_LOG_LEVEL": "FATAL",
            },
            stdout=subprocess.DEVNULL,
        )
        try:
            runtime = Front(listener, process.pid)
            with runtime.line:
                yield runtime
        finally:
            process.terminate()
            process.wait()


def endure(path: Path, times: int, handler: str) -> None:
    with front(path, handler) as runtime:
        for _ in range(times // 10):
            runtime.answer("/")
        runtime.answer("/fail")
        before = (runtime.descriptors(), runtime.threads())
        memory = runtime.memory()
        for number in range(times):
            runtime.answer("/fail" if number % 100 == 0 else "/")
        assert (runtime.descriptors(), runtime.threads()) == before
        assert runtime.memory() - memory <= 1024 * 1024


HANDLERS = pytest.mark.parametrize("handler", ["app", "strict"])


@HANDLERS
def test_a_thousand_invocations_stay_flat(tmp_path: Path, handler: str) -> None:
    """One in a hundred fails. Memory within 1 MB, descriptors and threads equal."""
    endure(tmp_path, 1_000, handler)


@HANDLERS
@pytest.mark.soak
def test_a_hundred_thousand_invocations_stay_flat(tmp_path: Path, handler: str) -> None:
    """The same, for as long as a month of one call per half a minute."""
    endure(tmp_path, 100_000, handler)


def test_two_hundred_megabytes_to_a_slow_reader_take_no_memory(tmp_path: Path) -> None:
    """The reader stops in the middle; half a megabyte more is all the process may take."""
    with front(tmp_path) as runtime:
        runtime.answer("/large")
        memory = runtime.memory()
        assert runtime.answer("/large", pause_after=50_000_000) > 200_000_000
        assert max(runtime.peak, runtime.memory()) - memory <= 512 * 1024
