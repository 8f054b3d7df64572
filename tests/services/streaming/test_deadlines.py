"""The time limits near an end are in an order that keeps promise 5, and the runtime's fit in."""

import pytest

from services.lambda_runtime import invocation_handler, loop, start
from services.streaming.deadlines import (
    AFTER_NOTICE,
    BEFORE_DEADLINE,
    BODY_MARGIN,
    CLEANUP_SECONDS,
    CLOSE_SECONDS,
    DELIVERY_SECONDS,
    LEASE_RELEASE_SECONDS,
    PARTIAL_READ_SECONDS,
    PAUSE_NOTICE_SECONDS,
    PROMISED_MARGIN,
    SECOND_CANCEL_SECONDS,
    SHUTDOWN_NOTICE_SECONDS,
    SHUTDOWN_SECONDS,
    Rung,
    check_order,
)

# What Lambda leaves between SIGTERM and SIGKILL where an extension is registered, in seconds.
LAMBDA_SHUTDOWN_SECONDS = 0.3


def test_a_body_has_its_last_word_before_the_runtime_cuts_it() -> None:
    """And the runtime cuts it a second before the platform does."""
    last_word = BODY_MARGIN - PARTIAL_READ_SECONDS
    assert last_word > invocation_handler.DEADLINE_MARGIN > PROMISED_MARGIN


def test_a_shutdown_is_over_before_the_runtime_cancels_and_lambda_kills() -> None:
    """Bodies are ended, then responses cancelled, then the lifespan ends, then SIGKILL."""
    assert (
        SHUTDOWN_NOTICE_SECONDS
        < SHUTDOWN_SECONDS
        <= loop.SHUTDOWN_NOTICE
        < start.LIFESPAN_SHUTDOWN_SECONDS
        < LAMBDA_SHUTDOWN_SECONDS
    )


def test_the_short_waits_fit_between_the_rungs() -> None:
    """What one of them waits for is over before the next one begins."""
    assert PAUSE_NOTICE_SECONDS < SHUTDOWN_NOTICE_SECONDS
    assert DELIVERY_SECONDS <= PAUSE_NOTICE_SECONDS
    assert LEASE_RELEASE_SECONDS < BODY_MARGIN - invocation_handler.DEADLINE_MARGIN + 0.05
    assert CLEANUP_SECONDS + SECOND_CANCEL_SECONDS < CLOSE_SECONDS


def test_a_table_out_of_order_is_refused() -> None:
    """Whichever rung is moved."""
    for index in range(len(BEFORE_DEADLINE)):
        moved = list(BEFORE_DEADLINE)
        moved[index] = Rung(-1.0 if index == 0 else 9.0, "moved")
        with pytest.raises(AssertionError):
            check_order(moved, AFTER_NOTICE)
    with pytest.raises(AssertionError):
        check_order(BEFORE_DEADLINE, AFTER_NOTICE[::-1])
