"""An ASGI application that knows nothing of Lambda, and streams there.

A clock that ticks once a second. Run it anywhere::

    uvicorn app:app
    curl -N "http://127.0.0.1:8000/?ticks=3"
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route


async def tick(times: int, pause: float) -> AsyncIterator[str]:
    """The time, as server-sent events."""
    for number in range(times):
        if number:
            await asyncio.sleep(pause)
        yield f"data: {datetime.now(UTC).isoformat(timespec='seconds')}\n\n"


async def clock(request: Request) -> StreamingResponse:
    """GET /?ticks=5: at most a minute of them."""
    text = request.query_params.get("ticks", "5")
    ticks = min(int(text), 60) if text.isascii() and text.isdigit() else 5
    return StreamingResponse(tick(ticks, pause=1.0), media_type="text/event-stream")


app = Starlette(routes=[Route("/", clock)])
