"""The stopwatch itself: that a figure is of a whole answer, and that a missed target says so."""

import sys
from dataclasses import replace

import pytest

from benchmarks import contenders as of
from benchmarks import load, plain, processes
from benchmarks.figures import Figures, check_target

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="epoll and /proc")


def test_a_runtime_is_timed_through_the_emulator() -> None:
    """Every event is counted, and the processor time is the runtime's."""
    few = replace(of.BARE, limit=500)
    with load.start_contenders([of.BARE]) as targets:
        target = replace(targets[of.BARE], contender=few)
        flow = load.events(target)
        assert flow.rate > 500
        assert 0 < flow.cpu < 0.01
        assert load.first_byte(target, 2) > 0
        assert len(load.measure_lags(target, 3, 0.001)) == 3


def test_an_answer_that_is_cut_is_no_figure() -> None:
    """Fewer events than were asked for: an error, not a high rate."""
    with load.start_contenders([of.BARE]) as targets, pytest.raises(RuntimeError, match="was cut"):
        load._flow(targets[of.BARE], "/events?count=5", 6)


def test_a_runtime_is_timed_at_a_plain_runtime_api() -> None:
    """One invocation after the other, each with its first byte; lags are of paced events."""
    with plain.start_contender(of.BARE) as (api, group, milliseconds):
        assert milliseconds > 0
        assert processes.memory(group) > 1_000_000
        for _ in range(3):
            answered = api.invoke(plain.payload("/events", count=2))
            assert answered.first > answered.asked
        lags = api.invoke(plain.payload("/paced", count=4, seconds=0.001)).lags
        assert len(lags) == 4
        assert min(lags) > 0


def test_a_peer_that_is_not_here_is_not_started() -> None:
    """It becomes a row that says why, and nothing else."""
    absent = replace(of.NODE, missing="not here")
    with load.start_contenders([absent]) as targets:
        assert targets == {}


@pytest.mark.parametrize(
    ("value", "target", "verdict"),
    [
        (3.0, 3.0, "met"),
        (2.9, 3.0, "**missed**"),
        (0.5, -0.55, "met"),
        (0.6, -0.55, "**missed**"),
        (0.0, -0.0, "met"),
        (1.0, -0.0, "**missed**"),
        (None, 3.0, "a peer is absent"),
    ],
)
def test_a_target_is_a_least_or_a_most(value: float | None, target: float, verdict: str) -> None:
    """A negative target is a most."""
    assert check_target("figure", value, target)[-1] == verdict


def test_a_target_that_its_floor_misses_too_is_out_of_reach() -> None:
    """A floor that meets it says that the rest is ours to mend."""
    assert check_target("figure", 4.0, -3, 3.5)[-2:] == ("3.50", "**missed**, out of reach")
    assert check_target("figure", 4.0, -3, 2.5)[-2:] == ("2.50", "**missed**")
    assert check_target("figure", 2.9, -3, 2.5)[-1] == "met"


def test_two_processes_that_only_copy_bring_every_event() -> None:
    """The floor of the paced stream is measured as everything else is."""
    with load.start_contenders([of.RELAY]) as targets:
        assert len(load.measure_lags(targets[of.RELAY], 3, 0.001)) == 3


def test_a_client_with_ready_made_bytes_answers_every_invocation() -> None:
    """On fresh connections and on a kept one."""
    for one in (of.LOOP, of.LOOP_KEPT):
        with plain.start_contender(one) as (api, _, _):
            for _ in range(3):
                assert api.invoke(plain.payload("/events", count=1)).first


def test_a_ratio_is_taken_round_by_round() -> None:
    """A machine that slows down between rounds changes both."""
    found = Figures()
    for speed in (1.0, 0.1, 0.5):
        found.add("rate", of.BARE, 6 * speed)
        found.add("rate", of.NODE, 2 * speed)
    assert found.ratio("rate", of.BARE, of.NODE) == pytest.approx(3)
    assert found.ratio("rate", of.BARE, of.MANGUM) is None
