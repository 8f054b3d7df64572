"""What the handlers under test send, whichever framework carries it.

The path says what, the query how much: ``/events?count=``, ``/chunks?count=`` (64 KiB each) and
``/paced?count=&seconds=`` (each event says when it was due and when it was yielded).
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from urllib.parse import parse_qs

EVENT = b"data: w".ljust(78, b"x") + b"\n\n"
"""80 bytes, of which one is a `w`: counting those counts events, however they were cut."""
CHUNK = bytes(64 * 1024)


def source(path: str, query: bytes) -> AsyncGenerator[bytes, None]:
    """The body that `path` and `query` ask for."""
    asked = {name: values[0] for name, values in parse_qs(query.decode()).items()}
    count = int(asked.get("count", "1"))
    if path.endswith("/paced"):
        return _pace(count, float(asked.get("seconds", "0.005")))
    return _repeat(CHUNK if path.endswith("/chunks") else EVENT, count)


async def _repeat(frame: bytes, count: int) -> AsyncGenerator[bytes, None]:
    for _ in range(count):
        yield frame


async def _pace(count: int, seconds: float) -> AsyncGenerator[bytes, None]:
    # CLOCK_MONOTONIC is one clock for every process of the machine.
    due = time.monotonic_ns()
    for _ in range(count):
        due += int(seconds * 1e9)
        await asyncio.sleep((due - time.monotonic_ns()) / 1e9)
        yield b"data: %d %d w\n\n" % (due, time.monotonic_ns())
