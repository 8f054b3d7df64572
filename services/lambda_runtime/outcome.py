"""How the application's code ended, and what is said about it: in the log, on the wire.

A failure means the following, by its phase:

1. before the first byte: a status of 500 (504 at the deadline, 503 at shutdown) for HTTP, an
   invocation error for everything else;
2. after it: the trailers, and a last event where an event stream can take one;
3. after the end: a line in the log.
"""

import logging
from typing import Literal, NamedTuple

from . import failures, wire
from .asgi import Exchange
from .results import MarshalError

logger = logging.getLogger(__name__)

BROKEN_FAILURE = wire.Failure(
    "Runtime.StreamError",
    "The application failed before its response was complete. The function's log says why.",
)
UNSENT_FAILURE = wire.Failure(
    "Runtime.StreamError", "The connection for the answer was lost before its first byte."
)
DEADLINE_FAILURE = wire.Failure(
    "Runtime.DeadlineReached", "The response was not complete before the deadline."
)
SHUTDOWN_FAILURE = wire.Failure(
    "Runtime.Shutdown", "The sandbox was shut down before the response was complete."
)


class Outcome(NamedTuple):
    """How the application's code ended: with a value, an error, or cut short."""

    value: object = None
    error: BaseException | None = None
    stopped_by: Literal["", "deadline", "shutdown"] = ""


def conclude(exchange: Exchange, outcome: Outcome) -> None:
    """Say in the log how it ended, and on the wire what the phase still allows."""
    if outcome.stopped_by == "deadline":
        logger.error("The application was stopped at the deadline.")
        exchange.fail(504, DEADLINE_FAILURE)
    elif outcome.stopped_by == "shutdown":
        logger.warning("The application was stopped because the sandbox is shutting down.")
        exchange.fail(503, SHUTDOWN_FAILURE)
    elif exchange.is_gone:
        logger.info("The caller went away before the response was complete.")
    elif outcome.error is not None:
        logger.error("The application failed.", exc_info=outcome.error)
        exchange.fail(500, BROKEN_FAILURE)
    elif exchange.state != "complete":
        logger.error("The application returned without completing its response.")
        exchange.fail(500, BROKEN_FAILURE)


def to_failure(outcome: Outcome) -> wire.Failure:
    """What Lambda is told about a function that did not return."""
    if outcome.stopped_by == "shutdown":
        return SHUTDOWN_FAILURE
    if outcome.error is None:
        return DEADLINE_FAILURE
    if isinstance(outcome.error, SystemExit):  # here it ends no process that others share
        return wire.Failure("Runtime.ExitError", f"The function exits: {outcome.error.code}.")
    if isinstance(outcome.error, MarshalError):
        return wire.Failure("Runtime.MarshalError", str(outcome.error))
    return failures.describe_error(outcome.error)
