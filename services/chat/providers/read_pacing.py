"""Pace the reads of many streams in one process: beyond a few, bytes gather between two reads.

A stream that wakes up for every token of its model costs 0.15 ms of the interpreter each time,
and sixty of them wake together: the event loop is late for all of them. Read a little later,
several tokens cost little more than one.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# Reads of sockets in a second, of all streams together, once there are more than `FEW_STREAMS`.
READS_PER_SECOND = 1600
FEW_STREAMS = 16
MAX_PAUSE = 0.1

_open: set[object] = set()


@contextmanager
def count_stream() -> Iterator[None]:
    """Count as one of the open streams of this process. In any thread."""
    stream = object()
    _open.add(stream)
    try:
        yield
    finally:
        _open.discard(stream)


def get_read_pause() -> float:
    """Return for how many seconds bytes gather between two reads; 0 among few streams."""
    return min(MAX_PAUSE, len(_open) / READS_PER_SECOND) if len(_open) > FEW_STREAMS else 0.0


@contextmanager
def pace_reads(network_stream: Any, get_patience: Callable[[], float]) -> Iterator[None]:
    """Have httpcore read a connection no more often than `get_read_pause` says, in this block.

    A read raises `TimeoutError` after the seconds of `get_patience`. Both are done here and not
    where the chunks of a body are taken: one read brings many of them, a pause after each would
    make a stream slower than its service, and a timer for each costs more than the chunk.
    """
    read = network_stream.read
    read_at = 0.0

    async def read_paced(*args: Any, **kwargs: Any) -> bytes:
        nonlocal read_at
        if (pause := get_read_pause()) and (early := read_at + pause - time.monotonic()) > 0:
            await asyncio.sleep(early)
        async with asyncio.timeout(get_patience()):
            data: bytes = await read(*args, **kwargs)
        read_at = time.monotonic()
        return data

    network_stream.read = read_paced
    try:
        yield
    finally:
        del network_stream.read  # the class has it: the connection may carry another answer
