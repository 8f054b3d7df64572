"""An ASGI application without a framework."""

from benchmarks.apps.sources import source
from services.lambda_runtime.handler import Receive, Send

START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream")],
}


async def app(scope: dict[str, object], receive: Receive, send: Send) -> None:
    """Stream what is asked for."""
    if scope["type"] != "http":
        raise NotImplementedError
    await receive()
    await send(START)
    path, query = scope["path"], scope["query_string"]
    assert isinstance(path, str)
    assert isinstance(query, bytes)
    async for frame in source(path, query):
        await send({"type": "http.response.body", "body": frame, "more_body": True})
    await send({"type": "http.response.body"})
