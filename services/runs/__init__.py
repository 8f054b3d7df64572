"""The run log: what every run said, in order, for any number of readers.

Append, then show. A run is written by one producer and read by any number of readers; neither
knows the other. Entries are bytes here: what they mean is `services.streaming`'s business.
"""

from .errors import (
    ExpiredRunError,
    IdempotencyConflictError,
    RunLogError,
    SequenceConflictError,
    UnknownRunError,
)
from .follow import follow
from .log import LEASE_SECONDS, Entry, Run, RunLog, Summary, new_id
from .opening import open_log

__all__ = [
    "LEASE_SECONDS",
    "Entry",
    "ExpiredRunError",
    "IdempotencyConflictError",
    "Run",
    "RunLog",
    "RunLogError",
    "SequenceConflictError",
    "Summary",
    "UnknownRunError",
    "follow",
    "new_id",
    "open_log",
]
