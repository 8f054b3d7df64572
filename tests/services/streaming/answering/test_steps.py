"""The statuses of an answer: how far it is, and how long it still takes."""

from services.progress import Progress
from services.streaming.answering.steps import Steps
from services.streaming.events import Status
from services.telemetry import StepTimes

NAMES = ("question", "search", "answer")


class Clock:
    now = 1_900_000_000.0

    def __call__(self) -> float:
        return self.now


def walk(times: StepTimes | None, *seconds: float, least: float = 0.0) -> list[Status]:
    """The statuses of an answer whose steps take so long."""
    clock = Clock()
    steps = Steps(NAMES, times=times, least=least, now=clock)
    said = []
    for took in seconds:
        said.append(steps.begin("begun"))
        clock.now += took / 2
        said.append(steps.report(Progress("half", 0.5)))
        clock.now += took / 2
        said.append(steps.end("done"))
    steps.learn()
    return said


def test_a_first_answer_knows_no_times() -> None:
    """Each step counts alike, and nothing is promised."""
    said = walk(StepTimes(), 0.0, 1.0, 9.0)
    assert [status.progress for status in said] == [
        0.0, 0.167, 0.333, 0.333, 0.5, 0.667, 0.667, 0.833, 1.0,
    ]  # fmt: skip
    assert {status.eta_ms for status in said} == {None}


def test_the_fourth_answer_is_told_what_the_others_took() -> None:
    """To the millisecond where they all took the same, and each step by its part of the time."""
    times = StepTimes()
    for _ in range(3):
        walk(times, 0.0, 1.0, 9.0)
    said = walk(times, 0.0, 1.0, 9.0)
    assert [status.eta_ms for status in said] == [
        10_000, 10_000, 10_000, 10_000, 9_500, 9_000, 9_000, 4_500, 0,
    ]  # fmt: skip
    assert [status.progress for status in said] == [
        0.0, 0.0, 0.0, 0.0, 0.05, 0.1, 0.1, 0.55, 1.0,
    ]  # fmt: skip


def test_progress_never_goes_back() -> None:
    """Also for an answer that another process had brought to two thirds."""
    times = StepTimes()
    for took in (1.0, 4.0, 2.0):
        walk(times, 0.1, took, 9.0)
    for least in (0.0, 0.667):
        said = walk(times, 0.1, 3.0, 5.0, least=least)
        ways = [status.progress or 0.0 for status in said]
        assert ways == sorted(ways)
        assert ways[0] >= least
        assert ways[-1] == 1.0


def test_without_times_nothing_is_learned() -> None:
    """An answer that goes on here was not begun here."""
    assert {status.eta_ms for status in walk(None, 0.1, 1.0, 1.0)} == {None}
