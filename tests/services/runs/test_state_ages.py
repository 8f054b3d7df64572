"""How long something was seen unchanged, by the clock of the process that looks."""

from services.runs.state_ages import REMEMBERED, StateAges
from tests.services.runs.conformance import Clock


def test_an_age_counts_from_the_first_look_at_a_state() -> None:
    """And begins anew with each change, and when it is forgotten."""
    clock = Clock()
    watch = StateAges(clock)
    ages = []
    for state in ("a", "a", "a", "b", "b", "a"):
        ages.append(watch.measure_age("run", state))
        clock.seconds += 1.5
    assert ages == [0.0, 1.5, 3.0, 0.0, 1.5, 0.0]
    watch.forget("run")
    assert watch.measure_age("run", "a") == 0.0
    assert watch.measure_age("other", "a") == 0.0


def test_a_time_in_which_no_process_ran_hardly_counts() -> None:
    """Between two looks, however long it was."""
    clock = Clock()
    watch = StateAges(clock)
    watch.measure_age("run", "a", max_gap=1.0)
    clock.seconds += 3600.0
    assert watch.measure_age("run", "a", max_gap=1.0) == 1.0
    clock.seconds += 0.5
    assert watch.measure_age("run", "a", max_gap=1.0) == 1.5


def test_no_more_is_remembered_than_was_said() -> None:
    """The oldest are forgotten first."""
    clock = Clock()
    watch = StateAges(clock)
    for number in range(REMEMBERED + 5):
        watch.measure_age(number, "a")
    clock.seconds += 1.0
    assert watch.measure_age(REMEMBERED, "a") == 1.0
    assert watch.measure_age(0, "a") == 0.0
