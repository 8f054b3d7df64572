"""FastAPI: a stream, a body, a background task, a task that two requests share."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi import BackgroundTasks, Depends, FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

app = FastAPI()
done: list[str] = []
shared: dict[str, asyncio.Task[str]] = {}


class Item(BaseModel):
    name: str
    price: float


async def session() -> AsyncIterator[str]:
    """A dependency that ends after the response."""
    yield "session"
    done.append("session closed")


@app.get("/sse")
async def sse() -> StreamingResponse:
    async def events() -> AsyncIterator[str]:
        for number in range(3):
            yield f"data: {number}\n\n"
            await asyncio.sleep(0.01)

    return StreamingResponse(events(), media_type="text/event-stream")


@app.post("/items", status_code=201)
async def create(item: Item, held: str = Depends(session)) -> dict[str, Any]:
    return {"name": item.name, "held": held}


@app.get("/background")
async def background(tasks: BackgroundTasks) -> str:
    async def work() -> None:
        await asyncio.sleep(0.05)
        done.append("background")

    tasks.add_task(work)
    return "begun"


async def compute() -> str:
    await asyncio.sleep(0.4)
    return "computed"


@app.get("/begin")
async def begin() -> str:
    """Begin what another request will wait for."""
    shared["one"] = asyncio.create_task(compute())
    return "begun"


@app.get("/await")
async def wait() -> str:
    return await shared["one"]


@app.get("/done")
async def read_done() -> list[str]:
    return done


@app.get("/slash/")
async def slash() -> str:
    return "slash"
