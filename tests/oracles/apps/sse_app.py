"""sse-starlette: its response has tasks of its own, and a ping that this stream outlives."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

closed: list[str] = []


async def stream(_request: Request) -> EventSourceResponse:
    async def events() -> AsyncIterator[dict[str, Any]]:
        try:
            for number in range(3):
                yield {"event": "tick", "id": str(number), "data": str(number)}
                await asyncio.sleep(0.01)
        finally:
            closed.append("closed")

    return EventSourceResponse(events(), ping=60)


app = Starlette(routes=[Route("/stream", stream)])
