"""Exceptions as they are reported to Lambda.

An exception of a handler function is reported as the stock runtime does, message and frames,
since only the account's own callers read that. What an ASGI application raised stays in the
log: its answers go to strangers.
"""

import traceback

from . import wire

MOST_FRAMES = 32
LONGEST_MESSAGE = 8 * 1024  # characters
_OURS = __file__.rpartition("/")[0]


def describe_error(error: BaseException) -> wire.Failure:
    """Class, message and the frames of the function's own code."""
    name = type(error).__name__
    frames = [
        (frame.filename, frame.lineno or 0, frame.name, frame.line)  # without the columns' carets
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((_OURS, "<frozen importlib"))
    ]
    trace = tuple(traceback.format_list(frames[-MOST_FRAMES:]))
    return wire.Failure(f"Function.{name}", str(error)[:LONGEST_MESSAGE], name, trace)


def describe_start_error(error: BaseException, kind: str | None = None) -> wire.Failure:
    """A failed import or startup, in Lambda's words where it has some."""
    failure = describe_error(error)
    if kind is None:
        return wire.Failure(f"Runtime.{failure.name}", failure.message, failure.name, failure.trace)
    return wire.Failure(kind, failure.message, kind, failure.trace)


def release_frames(error: BaseException | None) -> None:
    """Release what the frames of a handled exception still hold.

    A suspended generator among their local variables is closed by that, so its `finally` runs
    now, in this invocation.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
