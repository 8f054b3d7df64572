"""Litestar: its own event stream, a body, a lifespan."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, get, post
from litestar.response import ServerSentEvent, Stream

state: dict[str, Any] = {}


@asynccontextmanager
async def lifespan(_app: Litestar) -> AsyncIterator[None]:
    state["ready"] = True
    yield


@get("/sse", sync_to_thread=False)
def sse() -> ServerSentEvent:
    async def events() -> AsyncIterator[dict[str, Any]]:
        for number in range(3):
            yield {"event": "tick", "data": str(number), "id": str(number)}

    return ServerSentEvent(events())


@get("/stream", sync_to_thread=False)
def stream() -> Stream:
    async def parts() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"part %d\n" % number

    return Stream(parts(), media_type="text/plain")


@post("/echo")
async def echo(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "ready": state.get("ready")}


app = Litestar([sse, stream, echo], lifespan=[lifespan])
