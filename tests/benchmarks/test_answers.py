"""The embedded engine on the labelled questions over the shipped guide."""

from pathlib import Path

import pytest

from benchmarks.answers import FRESH, QUESTIONS, TUNED_ON, Outcome, measure, read_set, summarize


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    """What becomes of every question over the guide."""
    found = measure(tmp_path_factory.mktemp("none"))["guide"]
    return [one for one in found if one.labelled.half != FRESH]


def test_the_guide_answers_with_the_fact_and_refuses_what_it_lacks(outcomes: list[Outcome]) -> None:
    """A little under what `make bench` measures: a change that costs answers is seen here."""
    answerable = [one for one in outcomes if one.labelled.is_answerable]
    others = [one for one in outcomes if not one.labelled.is_answerable]
    assert sum(one.has_fact for one in answerable) >= 0.9 * len(answerable)
    assert sum(not one.is_answered for one in others) >= 0.75 * len(others)
    assert sum(one.rank == 1 for one in answerable) >= 0.95 * len(answerable)
    assert len(summarize(outcomes)) == 6


@pytest.mark.parametrize("path", sorted(QUESTIONS.glob("*.txt")), ids=lambda path: path.stem)
def test_every_set_has_both_kinds_in_both_halves(path: Path) -> None:
    """And no question twice."""
    labelled = read_set(path)
    assert len({one.question for one in labelled}) == len(labelled)
    halves = {(one.is_answerable, one.half == TUNED_ON) for one in labelled}
    assert len(halves) == 4


@pytest.mark.parametrize("path", sorted(QUESTIONS.glob("fresh/*.txt")), ids=lambda path: path.stem)
def test_fresh_questions_are_never_tuned_on(path: Path) -> None:
    """And none is a question of the other sets."""
    labelled = read_set(path)
    assert {one.half for one in labelled} == {FRESH}
    assert {one.is_answerable for one in labelled} == {True, False}
    known = {one.question for one in read_set(QUESTIONS / path.name)}
    assert known.isdisjoint({one.question for one in labelled})
