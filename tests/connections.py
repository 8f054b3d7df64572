"""A server of a test's own on asyncio's streams, which leaves no connection behind."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from emulator.server import stop_listening

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def accept_connections(converse: Conversation, **options: Any) -> AsyncGenerator[int]:
    """Serve `converse` on a free port of this machine until the block ends; give the port.

    At the end each connection is closed and its conversation over, also of one that came last.
    What asyncio leaves open its collector finds later, and a later test would be blamed.
    """
    open_ones: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await converse(reader, writer)

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A callback, not a coroutine: the task is ours, and one that never began is closed too.
        open_ones[asyncio.create_task(hold(reader, writer))] = writer

    server = await asyncio.start_server(accept, "127.0.0.1", 0, **options)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await stop_listening(server)
        for task, writer in open_ones.items():
            writer.transport.abort()
            task.cancel()
        closed = (writer.wait_closed() for writer in open_ones.values())
        await asyncio.gather(*open_ones, *closed, return_exceptions=True)
