"""A starter that reads nothing behind small buffers; a second reader; a stop from elsewhere."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.functions.servers import Server
from tests.functions.wire import Response, SeenEvent, get, post

pytestmark = pytest.mark.slow

BUFFER = 4096
# More than the buffers of both ends, of the server and of a reader's channel hold, in bytes.
FULL = 220_000


@asynccontextmanager
async def start_silently(port: int, request: bytes) -> AsyncIterator[str]:
    """Ask, read the head, and then nothing more; the receive buffer is small. Gives the run."""
    loop = asyncio.get_running_loop()
    with socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        wire.setblocking(False)
        await loop.sock_connect(wire, ("127.0.0.1", port))
        await loop.sock_sendall(wire, request)
        head = b""
        while b"\r\n\r\n" not in head:
            head += await loop.sock_recv(wire, 64)
        yield head.lower().partition(b"x-run-id: ")[2].split()[0].decode()


def measure_memory(server: Server) -> int:
    """What the server holds now, in bytes."""
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) * 1024


async def play(folder: Path, words: int, pause: int, stop_after: int) -> list[float]:
    """Start and read nothing; read beside it; stop elsewhere. Returns how long each wait was."""
    calls = folder / "calls"
    environ = {"RIVERRUN_LOG": f"sqlite://{folder / 'runs.sqlite'}"}
    options = {"calls": str(calls), "lease": 4.0, "send_buffer": BUFFER}
    one, other = servers = [Server(environ, options) for _ in range(2)]
    await asyncio.gather(*(server.start() for server in servers))
    try:
        asked = f"long says {words} words, {pause} ms apart"
        request = post({"query": asked, "streaming": True})
        async with start_silently(one.port, request) as run:
            before = measure_memory(one)
            seen: list[SeenEvent] = []
            waits: list[float] = []
            read = 0
            is_stopped = False
            async with Response(one.port, get(f"/api/chat/runs/{run}/events?after=0")) as second:
                since = time.monotonic()
                while events := await second.events():
                    waits.append(time.monotonic() - since)
                    since = time.monotonic()
                    seen += events
                    read += sum(len(each.data) for each in events)
                    if read > stop_after and not is_stopped:
                        is_stopped = True
                        stop = post({}).replace(
                            b"/api/chat ", b"/api/chat/runs/%b/stop " % run.encode()
                        )
                        async with Response(other.port, stop) as stopped:
                            assert stopped.status == 202
            assert is_stopped, "the answer was over before it was stopped"
            # What the second reader saw is gapless, and its end is the stop: the producer heard it
            # long before its last word, though the starter still holds its full buffers.
            assert [each.seq for each in seen] == list(range(1, len(seen) + 1))
            assert json.loads(seen[-1].data)["result"]["finishReason"] == "cancelled"
            assert len(seen) < words
            assert measure_memory(one) - before < 30_000_000
            async with Response(one.port, get(f"/api/chat/runs/{run}")) as state:
                assert state.status == 200
        return waits
    finally:
        for server in servers:
            if hasattr(server, "process"):
                server.kill()


def test_a_starter_that_reads_nothing_holds_up_no_other_reader(tmp_path: Path) -> None:
    """Nor the stop that comes from another process."""
    asyncio.run(asyncio.wait_for(play(tmp_path, 100_000, 1, stop_after=FULL), 300.0))


@pytest.mark.soak
def test_nor_in_a_minute(tmp_path: Path) -> None:
    """A word every 10 ms, joined for 50 ms: what comes is not 100 ms later than that."""
    waits = asyncio.run(play(tmp_path, 100_000, 10, stop_after=6000 * 150))
    late = sorted(wait - 0.06 for wait in waits)
    assert late[int(len(late) * 0.999)] < 0.1, late[-5:]
