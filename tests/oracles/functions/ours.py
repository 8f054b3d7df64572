"""Functions for the product's runtime; `handler` also for the stock one."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

from services.lambda_runtime import export_handler


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Three frames, and the ways to fail that the path names."""
    if scope["type"] != "http":
        raise NotImplementedError
    path = scope["path"].rpartition("/")[2]
    if path == "early":
        raise ValueError("no answer at all")
    if path == "never":
        await asyncio.Event().wait()
    headers = [(b"content-type", b"text/event-stream"), (b"set-cookie", b"a=1; Path=/")]
    headers += [(b"set-cookie", b"b=2"), (b"x-method", scope["method"].encode())]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    query = parse_qs(scope["query_string"].decode())
    async for frame in frames(query.get("gate", [""])[0]):
        await send({"type": "http.response.body", "body": frame, "more_body": True})
        if path == "late":
            raise ValueError("no more")
    if path == "echo":
        body = (await receive())["body"]
        await send({"type": "http.response.body", "body": body, "more_body": True})
    if path == "huge":
        for _ in range(110):
            await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


handler = export_handler(app, lifespan="off")


async def generator(event: Any, context: Any) -> AsyncGenerator[bytes]:
    """The same frames without a prelude, for who invokes with an SDK."""
    async for frame in frames(str(event.get("gate", ""))):
        yield frame
        if event.get("late"):
            raise ValueError("no more")


def function(event: Any, context: Any) -> Any:
    """A plain handler function."""
    if "raise" in event:
        raise LookupError("no such thing")
    return {"request": context.aws_request_id, "said": event, "pid": os.getpid()}


async def frames(gate: str) -> AsyncIterator[bytes]:
    """data: 0, 1, 2; each but the first is released at the gate, where there is one."""
    async with open_gate(gate) as ask:
        for number in range(3):
            if number:
                await ask()
            yield b"data: %d\n\n" % number


@asynccontextmanager
async def open_gate(gate: str) -> AsyncIterator[Any]:
    if not gate:
        yield nothing
        return
    reader, writer = await asyncio.open_connection("127.0.0.1", int(gate))

    async def ask() -> None:
        writer.write(b"?")
        await reader.readexactly(1)

    try:
        yield ask
    finally:
        writer.close()


async def nothing() -> None:
    """No gate, no waiting."""
