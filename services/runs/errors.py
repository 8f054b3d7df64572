"""What can go wrong with a run in its log, as its callers are told."""

from ..errors import RiverrunError


class UnknownRunError(RiverrunError):
    """There is no such run, or it is of another owner."""

    code = "not_found"

    def __init__(self) -> None:
        super().__init__("There is no such run.")


class ExpiredRunError(UnknownRunError):
    """The run was kept for as long as promised and is gone."""

    code = "expired"

    def __init__(self) -> None:
        RiverrunError.__init__(self, "This run is no longer kept.", hint="Ask the question again.")


class IdempotencyConflictError(RiverrunError):
    """The idempotency key was used for another question."""

    code = "idempotency_conflict"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used with another request.",
            hint="Use a new key for a new question.",
        )


class SequenceConflictError(RiverrunError, ValueError):
    """Entries that leave a gap, repeat what is there, or follow the end; a lease that is not ours.

    The process that gets it is not, or no longer, the writer of this run.
    """

    code = "interrupted"

    def __init__(self) -> None:
        super().__init__("The answer was interrupted.", hint="Ask again.")


class RunLogError(RiverrunError):
    """The store did not do it: busy, out of reach, or broken.

    An append that failed so may have been applied all the same; `RunLog.read_last` tells.
    """

    code = "overloaded"
    retryable = True
