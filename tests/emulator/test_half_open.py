"""A connection that does not finish its request's head is closed, and holds nothing."""

import asyncio

import pytest

from emulator.http1 import Reply, Request
from emulator.server import HEAD_SECONDS, Server
from tests.loop_clock import LoopClock

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\n"])
async def test_half_a_head_is_not_waited_for_without_end(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closed by the server, with nothing answered."""

    async def handler(_request: Request, _reply: Reply) -> None:
        raise AssertionError("no request was whole")

    server = Server(handler)
    clock = LoopClock(monkeypatch)
    await server.listen("127.0.0.1", 0)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(sent)
        assert await clock.read_to_end(reader, HEAD_SECONDS) == b""
        writer.close()
    finally:
        await server.close()
