"""Both clients against the product itself, through the emulator's Netlify front, while it breaks.

Group CR of the acceptance list with real functions, a real log and real sockets.
"""

from typing import Any

import pytest

from riverrun_client import Final, GaveUpError, RefusedError, RetryPolicy, RunFailedError
from tests.clients.python.both import Both, Outcome
from tests.clients.python.serving import ANSWER, Product


def whole(seen: Outcome) -> None:
    """The answer came once, whole and in order, of one run, and ended once."""
    assert seen.error is None
    assert seen.text == ANSWER
    assert [type(event) for event in seen.events].count(Final) == 1
    assert isinstance(seen.events[-1], Final)
    places = [event.id.rpartition("-") for event in seen.events]
    assert {run for run, _, _ in places} == {seen.events[0].id.rpartition("-")[0]}
    assert [int(seq) for _, _, seq in places] == list(range(1, len(places) + 1))


def test_a_question_is_answered(both: Both, product_server: Product) -> None:
    """Nothing breaks."""
    seen = both.read(product_server.url)
    whole(seen)
    assert isinstance(seen.events[-1], Final)
    assert seen.events[-1].result.answer == ANSWER
    assert both.clock.waits == []


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "cut", "at": 0},
        {"kind": "cut", "at": 1},
        {"kind": "cut", "at": 300},
        {"kind": "cut", "at": 2500},
        {"kind": "reset", "at": 0},
        {"kind": "reset", "at": 2500},
        {"kind": "cut", "at": 400, "times": 3},
        {"kind": "split", "size": 1},
        {"kind": "coalesce", "size": 1 << 20},
        {"kind": "throttle", "burst": 100, "rate": 20_000},
        {"kind": "refuse", "status": 503, "headers": {"Retry-After": "1"}},
        {"kind": "refuse", "status": 429, "headers": {"Retry-After": "1"}, "times": 2},
        {"kind": "refuse", "status": 502},
    ],
    ids=lambda fault: "-".join(str(value) for value in fault.values()).replace(" ", ""),
)
def test_an_answer_survives_the_line(
    both: Both, product_server: Product, fault: dict[str, Any]
) -> None:
    """CR01, CR03: cut, reset, split to single bytes, held back to the end, slowed, refused."""
    product_server.break_with(**fault)
    whole(both.read(product_server.url))


def test_a_line_that_falls_silent_is_left(both: Both, product_server: Product) -> None:
    """CR07: the front says nothing for a minute, the client bears half a second of it.

    How often it asks again is the machine's: a slow one is silent for half a second by itself.
    """
    both.retry_policy = RetryPolicy(silence=0.5, max_retries=20, max_unanswered=20)
    product_server.break_with(kind="stall", at=600, seconds=60)
    whole(both.read(product_server.url))
    assert both.clock.waits


def test_a_proxy_that_holds_everything_back_is_outlasted(
    both: Both, product_server: Product
) -> None:
    """CR07: nothing comes for longer than silence is borne; when the run is over, all does."""
    both.retry_policy = RetryPolicy(silence=0.4, max_retries=100, max_unanswered=100)
    product_server.break_with(kind="coalesce", size=1 << 20, times=None)
    try:
        seen = both.read(product_server.url, "slowly")
    finally:
        product_server.mend()
    whole(seen)
    assert both.clock.waits


def test_a_cut_in_the_middle_of_a_slow_answer(both: Both, product_server: Product) -> None:
    """CR01: while the model still speaks."""
    product_server.break_with(kind="cut", at=2200, times=2)
    whole(both.read(product_server.url, "slowly"))


def test_a_failing_run_is_told_as_it_is(both: Both, product_server: Product) -> None:
    """With what was said, and no second run."""
    error = both.read(product_server.url, "fail").failure()
    assert isinstance(error, RunFailedError)
    assert (error.code, error.retryable) == ("provider_throttled", True)
    assert error.partial.answer == "Half an "
    assert error.run_id is not None
    assert product_server.state(error.run_id)["runId"] == error.run_id


def test_a_server_that_always_cuts_is_given_up(both: Both, product_server: Product) -> None:
    """CR04: and the run can be read on once it is better."""
    both.retry_policy = RetryPolicy(max_retries=2)
    product_server.break_with(kind="cut", at=600, times=5)
    try:
        error = both.read(product_server.url).failure()
    finally:
        product_server.mend()
    assert isinstance(error, GaveUpError)
    assert error.run_id is not None
    whole(both.join(product_server.url, error.run_id))


def test_a_run_that_is_not_there_is_refused(both: Both, product_server: Product) -> None:
    """CR03: 404."""
    error = both.join(product_server.url, "0" * 32).failure()
    assert isinstance(error, RefusedError)
    assert (error.code, error.status) == ("not_found", 404)


def test_reading_behind_the_end_says_so(both: Both, product_server: Product) -> None:
    """CR03: 204."""
    last = both.read(product_server.url).events[-1].id
    run_id, _, seq = last.rpartition("-")
    assert both.join(product_server.url, run_id, int(seq)).failure().code == "ended"


def test_the_same_key_is_one_run(both: Both, product_server: Product) -> None:
    """A client that repeats a question under its key joins the run, and pays once."""
    first = both.read(product_server.url, idempotency_key=f"k-{both.kind}")
    second = both.read(product_server.url, idempotency_key=f"k-{both.kind}")
    assert first.events == second.events
    error = both.read(product_server.url, "another", idempotency_key=f"k-{both.kind}").failure()
    assert error.code == "idempotency_conflict"


def test_a_run_is_stopped_while_it_is_read(both: Both, product_server: Product) -> None:
    """The reader sees its last words on the connection that it has."""
    stream: list[Any] = []
    seen = both.read(product_server.url, "hang", stream=stream, on_token=lambda _: stream[0].stop())
    last = seen.events[-1]
    assert isinstance(last, Final)
    assert (last.result.finish_reason, last.result.answer) == ("cancelled", "One ")
    assert both.clock.waits == []
    run_id = last.result.run_id
    assert run_id is not None
    assert product_server.state(run_id)["result"]["finishReason"] == "cancelled"


@pytest.mark.soak
def test_a_killed_function_is_replaced(both: Both, product_server: Product) -> None:
    """CR01: the process that writes is killed; when its lease is over another one goes on."""
    both.sleeps = True
    product_server.break_with(kind="kill", at=2500)
    seen = both.read(product_server.url, "slowly")
    whole(seen)
    assert isinstance(seen.events[-1], Final)
    assert seen.events[-1].result.answer == ANSWER


@pytest.mark.soak
def test_an_answer_survives_a_cut_at_every_byte(both: Both, product_server: Product) -> None:
    """CR01, SR02: through the whole stack."""
    both.random = lambda: 0.0
    for at in range(0, 4600, 3):
        product_server.break_with(kind="cut", at=at)
        whole(both.read(product_server.url))
        product_server.mend()
