"""The same as a Starlette application; `handler` is what the stock runtime is given."""

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from benchmarks.apps.sources import source


async def stream(request: Request) -> StreamingResponse:
    """Stream what is asked for."""
    body = source(request.url.path, request.scope["query_string"])
    return StreamingResponse(body, media_type="text/event-stream")


app = Starlette(routes=[Route("/{what}", stream), Route("/", stream)])


def __getattr__(name: str) -> Any:
    # Mangum is paid for by the runtime that needs it, not by those compared with it.
    if name == "handler":
        from mangum import Mangum

        return Mangum(app, lifespan="off")
    raise AttributeError(name)
