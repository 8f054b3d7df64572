"""Waits and their bounds, whatever happens in whatever order."""

from hypothesis import given
from hypothesis import strategies as st

from riverrun_client.retry_policy import LostError, RetryCounter, RetryPolicy

losses = st.builds(
    LostError,
    st.just("why"),
    wait=st.none() | st.floats(0, 200),
    paused=st.booleans(),
    offline=st.booleans(),
)


@given(st.lists(losses, max_size=60), st.floats(0, 1), st.integers(0, 10**9), st.booleans())
def test_no_order_of_losses_asks_a_server_more_than_ten_times(
    lost: list[LostError], chance: float, retry: int, met: bool
) -> None:
    """What the server says of waits is kept within bounds, and its pauses are counted too."""
    now = 0.0
    retries = RetryCounter(RetryPolicy(), lambda: now, lambda: chance)
    retries.was_answered = met
    retries.set_reconnection_time(retry)
    asked = 1
    for one in lost:
        wait = retries.next_wait(one)
        if wait is None:
            break
        assert 0 <= wait <= 120
        assert wait >= (0 if one.offline and met else min(one.wait or 0, 120))
        asked += not (one.offline and met)
        now += wait
    assert asked <= 10


@given(st.integers(0, 10**6))
def test_a_streams_reconnection_time_is_bounded(retry: int) -> None:
    """`retry: 0` is no invitation to hammer, and a day is not waited for."""
    retries = RetryCounter(RetryPolicy(), lambda: 0.0, lambda: 1.0)
    retries.was_answered = True
    retries.set_reconnection_time(retry)
    wait = retries.next_wait(LostError("why"))
    assert wait is not None
    assert 0.1 <= wait <= 30
