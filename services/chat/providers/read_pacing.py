"""Pace the reads of many streams in one process: beyond a few, bytes gather between two reads.

A stream that wakes up for every token of its model costs 0.15 ms of the interpreter each time,
and sixty of them wake together: the event loop is late for all of them. Read a little later,
several tokens cost little more than one.
"""

from collections.abc import Iterator
from contextlib import contextmanager

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
