"""An ASGI application for the product's runtime: it streams what the query asks for."""

import asyncio
from typing import Any
from urllib.parse import parse_qs


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise RuntimeError("http only")
    query = parse_qs(scope["query_string"].decode())
    start = {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-type", b"text/event-stream")],
    }
    await send(start)
    gate = None
    if "gate" in query:
        gate = await asyncio.open_connection("127.0.0.1", int(query["gate"][0]))
    for number in range(int(query.get("count", ["3"])[0])):
        if gate and number:
            gate[1].write(b"?")
            await gate[0].read(1)
        await send(
            {"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True}
        )
    if gate:
        gate[1].close()
    await send({"type": "http.response.body", "body": b""})
