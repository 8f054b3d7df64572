"""Quart: a background task that outlives its request, a stream, a start-up hook."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from quart import Quart, jsonify, request

app = Quart(__name__)
done: list[str] = []


@app.before_serving
async def start() -> None:
    done.append("started")


@app.get("/background")
async def background() -> str:
    async def work() -> None:
        await asyncio.sleep(0.3)
        done.append("background")

    app.add_background_task(work)
    return "begun"


@app.get("/done")
async def read_done() -> Any:
    return jsonify(done)


@app.post("/echo")
async def echo() -> Any:
    return jsonify(await request.get_json(), request.args.getlist("a"))


@app.get("/stream")
async def stream() -> Any:
    async def parts() -> AsyncIterator[str]:
        for number in range(3):
            yield f"data: {number}\n\n"
            await asyncio.sleep(0.01)

    return parts(), 200, {"Content-Type": "text/event-stream"}
