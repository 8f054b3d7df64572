"""`main:app` beside a watch of its event loop; `/lags` says what it saw, and begins anew."""

import asyncio
import json
import time
from typing import Any

from main import app as product

PERIOD = 0.005
_lags: list[float] = []
_watches: list[asyncio.Task[None]] = []


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The product, or the lags since the last look, in milliseconds."""
    if not _watches:
        _watches.append(asyncio.create_task(_watch()))
    if scope["type"] != "http" or scope["path"] != "/lags":
        await product(scope, receive, send)
        return
    body = json.dumps([round(lag * 1000, 3) for lag in _lags]).encode()
    _lags.clear()
    head = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


async def _watch() -> None:
    while True:
        began = time.perf_counter()
        await asyncio.sleep(PERIOD)
        _lags.append(time.perf_counter() - began - PERIOD)
