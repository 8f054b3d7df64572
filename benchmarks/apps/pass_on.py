"""What a service streams, passed on as it comes: the same client and server as ours, no log.

Nothing is parsed, kept, counted or encoded: less than this no application on them can take.
"""

import os

import httpx2

from services.lambda_runtime.handler import Receive, Send

START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream")],
}
_clients: list[httpx2.AsyncClient] = []


async def app(scope: dict[str, object], receive: Receive, send: Send) -> None:
    """Ask the service, and send each chunk of its answer on."""
    if scope["type"] != "http":
        raise NotImplementedError
    await receive()
    if not _clients:
        _clients.append(httpx2.AsyncClient(timeout=None, limits=httpx2.Limits()))
    await send(START)
    url = f"{os.environ['OPENAI_BASE_URL']}/chat/completions"
    async with _clients[0].stream("POST", url, content=b"{}") as response:
        async for chunk in response.aiter_bytes():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body"})
