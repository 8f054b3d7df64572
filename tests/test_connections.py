"""No server of ours on asyncio leaves a connection open, at whatever turn of the loop it came."""

import asyncio
import gc
import socket
import warnings
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from emulator.server import listen
from tests.connections import accept_connections

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from emulator.http1 import Reply, Request


async def read_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read to the end, and close nothing."""
    await reader.read()


async def answer(request: "Request", reply: "Reply") -> None:
    """Answer nothing."""


@asynccontextmanager
async def run_emulator() -> "AsyncGenerator[int]":
    """The emulator's server."""
    server = await listen(answer)
    try:
        yield server.port
    finally:
        await server.close()


async def connect(serve: "Callable[[], AbstractAsyncContextManager[int]]", turns: int) -> None:
    """Come to the server, and end it so many turns of the loop later."""
    with socket.socket() as client:
        client.setblocking(False)
        async with serve() as port:
            client.connect_ex(("127.0.0.1", port))
            for _ in range(turns):
                await asyncio.sleep(0)


@pytest.mark.parametrize("turns", range(8))
@pytest.mark.parametrize("serve", [lambda: accept_connections(read_all), run_emulator])
def test_a_connection_that_came_last_is_closed(
    serve: "Callable[[], AbstractAsyncContextManager[int]]", turns: int
) -> None:
    """Also one that asyncio had accepted and not yet handed on: the collector finds nothing."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        asyncio.run(connect(serve, turns))
        gc.collect()
    assert [str(one.message) for one in told if one.category is ResourceWarning] == []
