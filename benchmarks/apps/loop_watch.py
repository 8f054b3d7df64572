"""An application beside a watch of its event loop; `/lags` says what it saw, and begins anew.

`LOOP_WATCH_APP` is the application, ``module:name``.
"""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

PERIOD = 0.005

_lags: list[tuple[float, float]] = []
_watches: list[asyncio.Task[None]] = []


def _load(path: str) -> Callable[..., Awaitable[None]]:
    module, _, name = path.partition(":")
    loaded: Callable[..., Awaitable[None]] = getattr(import_module(module), name)
    return loaded


_watched = _load(os.environ.get("LOOP_WATCH_APP", "main:app"))


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The application, or the lags since the last look: in milliseconds, whole and own.

    Own is without the time for which the loop's thread was ready and no processor was free.
    """
    if not _watches:
        _watches.append(asyncio.create_task(_watch()))
    if scope["type"] != "http" or scope["path"] != "/lags":
        await _watched(scope, receive, send)
        return
    body = json.dumps(_lags).encode()
    _lags.clear()
    head = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


async def _watch() -> None:
    # Opened once: the watch is to cost little of what it watches.
    schedule = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
    queued = _read_queued(schedule)
    while True:
        began = time.perf_counter()
        await asyncio.sleep(PERIOD)
        late, before, queued = time.perf_counter() - began - PERIOD, queued, _read_queued(schedule)
        _lags.append((late * 1000, max(0.0, late - (queued - before)) * 1000))


def _read_queued(schedule: int) -> float:
    return int(os.pread(schedule, 100, 0).split()[1]) / 1e9
