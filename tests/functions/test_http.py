"""`make serve` reads HTTP/1.1 strictly: what two readers could read in two ways is refused."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest

import functions.__main__ as server
from tests.functions.serving import run_server

NEXT = b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEAD = b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"

pytestmark = [pytest.mark.slow, pytest.mark.anyio]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Where a server listens."""
    with run_server(
        {"PORT": "0", "RIVERRUN_DATA_DIR": str(tmp_path_factory.mktemp("http"))}
    ) as running:
        yield "127.0.0.1", running.port


@pytest.mark.parametrize(
    "sent",
    [
        POST + b"Content-Length: 14\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + NEXT,
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + NEXT,
        POST + b"Content-Length: 5\r\nContent-Length: 14\r\n\r\n" + NEXT,
        POST + b"Content-Length: +5\r\n\r\nhello" + NEXT,
        POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + NEXT,
        POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + NEXT,
        POST + b"Transfer-Encoding: chunked\r\n\r\n5;\n\r\nhello\r\n0\r\n\r\n" + NEXT,
        HEAD.replace(b"\r\n", b"\n") + b"\n" + NEXT,
        HEAD + b"X: y\nEvil: z\r\n\r\n" + NEXT,
        HEAD + b"X: y\r\n folded\r\n\r\n" + NEXT,
        HEAD + b"X: a\x00b\r\n\r\n" + NEXT,
        HEAD + b"X y: z\r\n\r\n" + NEXT,
        HEAD + b"X: " + b"a" * 300_000 + b"\r\n\r\n" + NEXT,
    ],
    ids=[
        *("a length and chunks", "chunks and a length", "two lengths", "a length with a sign"),
        *("unknown coding", "a blank before the colon", "LF in a chunk's extension", "bare LF"),
        *("LF in a header", "a folded header", "NUL", "a blank in a name", "a long head"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_once(
    address: tuple[str, int], sent: bytes
) -> None:
    """One 400, the connection closed, and the request behind it not served."""
    with socket.create_connection(address, timeout=20) as line:
        said = b""
        try:
            line.sendall(sent)
            while more := line.recv(1 << 16):
                said += more
        except (ConnectionResetError, BrokenPipeError):
            pass  # refused before all was read
    assert said.count(b"HTTP/1.1 ") <= 1
    assert said.startswith(b"HTTP/1.1 400 ") or not said


def test_plain_requests_are_served_on_one_connection(address: tuple[str, int]) -> None:
    """With a length, in chunks, and one behind the other."""
    whole = POST + b"Content-Length: 2\r\n\r\n{}"
    chunks = POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    last = NEXT.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with socket.create_connection(address, timeout=20) as line:
        line.sendall(whole + chunks + last)
        said = b""
        while more := line.recv(1 << 16):
            said += more
    assert said.count(b"HTTP/1.1 422 ") == 2  # no question
    assert said.count(b"HTTP/1.1 200 ") == 1


@pytest.mark.parametrize("sent", [b"", HEAD, POST + b"Content-Length: 9\r\n\r\n{"])
async def test_half_a_request_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """Closed by the server."""
    import uvicorn

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    monkeypatch.setattr(server, "REQUEST_SECONDS", 0.05)
    config = uvicorn.Config(app, http=server._Protocol, log_level="error", lifespan="off")
    serving = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(serving.serve(sockets=[listener]))
    try:
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(sent)
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()
    finally:
        serving.should_exit = True
        await task
