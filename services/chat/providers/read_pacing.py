"""Many models' streams in one process: beyond a few, each lets its bytes gather between two reads.

A stream that wakes up for every token of its model costs 0.15 ms of the interpreter each time,
and sixty of them wake together: the event loop is late for everybody. Read a little later, several
tokens cost little more than one.
"""

from collections.abc import Iterator
from contextlib import contextmanager

# Reads of sockets in a second, of all streams together, once there are more than `FEW` of them.
READS = 1600
FEW = 16
LONGEST_GATHER = 0.1

_open: set[object] = set()


@contextmanager
def counted() -> Iterator[None]:
    """Be one of the open streams of this process. From any thread."""
    stream = object()
    _open.add(stream)
    try:
        yield
    finally:
        _open.discard(stream)


def gather() -> float:
    """For how many seconds a stream lets bytes gather between two reads; 0 among few."""
    return min(LONGEST_GATHER, len(_open) / READS) if len(_open) > FEW else 0.0
