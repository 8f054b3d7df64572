"""Every time limit near an end, in seconds: of an invocation, of a process, of a body.

Two ladders whose order keeps promise 5 of the contract, and the short waits between. The order is
asserted here; tests/services/streaming/test_deadlines.py holds it against the runtime's margins,
which this package does not import.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

# Before the platform ends the function.
PRODUCER_MARGIN = 1.7
ENDING_MARGIN = 1.5
BODY_MARGIN = 1.4
PARTIAL_READ_SECONDS = 0.15
PROMISED_MARGIN = 1.0

# What a reader must have left of its time to take a run over: below it, the run would be paused
# again without a word more.
TAKE_OVER_SECONDS = PRODUCER_MARGIN + 1.0

# Before whatever stands in front of the function cuts the body; half of the time, if that is less.
FRONT_MARGIN = 1.0

# After notice that the process ends (SIGTERM). Lambda kills it after 0.3 s.
SHUTDOWN_CLEANUP_SECONDS = 0.1
SHUTDOWN_NOTICE_SECONDS = 0.17
SHUTDOWN_SECONDS = 0.2

# What a producer has for its `finally` after it was cancelled, and after it was cancelled again.
CLEANUP_SECONDS = 2.0
SECOND_CANCEL_SECONDS = 0.05

# How long the readers of a run that was paused here have to read its last entries.
PAUSE_NOTICE_SECONDS = 0.05

# How long a JSON answer waits for its run to be paused: a function that has answered is frozen.
LEASE_RELEASE_SECONDS = 0.2

# How long a body may take to close after its reader left.
CLOSE_SECONDS = 3.0

# How long a status waits for the readers that keep up, before the work that it announces.
DELIVERY_SECONDS = 0.05


class Rung(NamedTuple):
    """What has happened by a moment, in seconds before the end or after the notice."""

    seconds: float
    what: str


BEFORE_DEADLINE = (
    Rung(PRODUCER_MARGIN, "the producer is cancelled"),
    Rung(ENDING_MARGIN, "its run is ended or paused in the log, though its cleanup may go on"),
    Rung(BODY_MARGIN, "every body stops between two entries"),
    Rung(BODY_MARGIN - PARTIAL_READ_SECONDS, "its last word is made, with the answer so far"),
    Rung(PROMISED_MARGIN, "the last byte has left (promise 5)"),
)

AFTER_NOTICE = (
    Rung(0.0, "every producer is cancelled, and no reader is admitted any more"),
    Rung(SHUTDOWN_CLEANUP_SECONDS, "the runs are paused in the log, though cleanup may go on"),
    Rung(SHUTDOWN_NOTICE_SECONDS, "every body stops, also where the log hangs"),
    Rung(SHUTDOWN_SECONDS, "the last byte has left"),
)


def check_order(falling: Sequence[Rung], rising: Sequence[Rung]) -> None:
    """Raise `AssertionError` unless each rung comes after the one before it."""
    assert all(one.seconds > other.seconds for one, other in pairwise(falling)), falling
    assert all(one.seconds < other.seconds for one, other in pairwise(rising)), rising


check_order(BEFORE_DEADLINE, AFTER_NOTICE)
