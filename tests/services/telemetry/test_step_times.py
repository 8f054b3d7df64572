"""What steps took lately says how long the next answer takes."""

from hypothesis import given
from hypothesis import strategies as st

from services.telemetry import StepTimes

TIMES = st.lists(st.tuples(*[st.floats(0, 1e6)] * 3), max_size=80)


def learn(*answers: tuple[float, ...]) -> StepTimes:
    times = StepTimes()
    for answer in answers:
        times.learn(answer)
    return times


def test_too_few_answers_say_nothing() -> None:
    """Two could be of any kind; without more, every step counts alike."""
    times = learn((1, 10, 100), (1, 10, 100))
    assert times.estimate_left(0, 0.0) is None
    assert times.read_shares(4) == (0.25,) * 4


def test_what_is_left_is_what_was_left_at_that_point() -> None:
    """The median; and an answer that has lasted longer than most is compared with the long ones."""
    times = learn(*[(0, 10, 100)] * 4, *[(0, 10, 1000)] * 3)
    assert times.estimate_left(0, 0.0) == 110
    assert times.estimate_left(2, 40.0) == 60
    assert times.estimate_left(2, 400.0) == 600
    assert times.estimate_left(2, 2000.0) is None


def test_steps_of_another_kind_are_another_history() -> None:
    """What a changed pipeline did before is forgotten."""
    times = learn(*[(1, 1, 1)] * 5, *[(50, 50)] * 3)
    assert times.estimate_left(0, 0.0) == 100
    assert times.read_shares(2) == (0.5, 0.5)


@given(TIMES, st.integers(0, 2), st.floats(0, 1e6))
def test_what_is_left_is_never_less_than_nothing(
    answers: list[tuple[float, ...]], step: int, elapsed: float
) -> None:
    """Whatever was learned; and the shares are a whole."""
    times = learn(*answers)
    left = times.estimate_left(step, elapsed)
    assert left is None or left >= 0
    shares = times.read_shares(3)
    assert abs(sum(shares) - 1) < 1e-9
    assert all(share >= 0 for share in shares)
