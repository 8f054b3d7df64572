"""The embedded engine on the labelled questions over the shipped guide."""

from pathlib import Path

import pytest

from benchmarks.answers import (
    FIFTH,
    FOURTH,
    FRESH,
    HALVES,
    HELD_BACK,
    QUESTIONS,
    SECOND,
    SIXTH,
    THIRD,
    TUNED,
    TUNED_ON,
    Labelled,
    Outcome,
    measure,
    read_set,
    summarize,
)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    """What becomes of every question over the guide."""
    found = measure(tmp_path_factory.mktemp("none"))["guide"]
    return [one for one in found if one.labelled.half in (TUNED_ON, HELD_BACK)]


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


WRITTEN_FRESH = sorted(
    path
    for folder in (FRESH, SECOND, THIRD, FOURTH, FIFTH, SIXTH)
    for path in (QUESTIONS / folder).glob("*")
)


@pytest.mark.parametrize("path", WRITTEN_FRESH, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_fresh_questions_are_never_tuned_on(path: Path) -> None:
    """And none is a question that is tuned on."""
    labelled = read_set(path)
    assert {one.half for one in labelled} == {path.parent.name}
    assert path.parent.name in HALVES
    assert {one.is_answerable for one in labelled} == {True, False}
    others = (QUESTIONS / path.name, QUESTIONS / TUNED / path.name)
    tuned = {one.question for other in others for one in read_set(other) if one.half == TUNED_ON}
    assert tuned.isdisjoint({one.question for one in labelled})


@pytest.mark.parametrize(
    ("says", "answer", "right"),
    [
        ((("su",),), "Such a shell runs as a user.", False),
        ((("su",),), "Type `su -l` in it.", True),
        ((("archive",),), "It is in the archives.", True),
        ((("96",),), "It is 1996 metres high.", False),
        ((("/etc/shadow",),), "They are in `/etc/shadow`.", True),
        ((("one", "single"), ("writer",)), "A single writer at a time.", True),
    ],
)
def test_a_label_is_said_from_the_beginning_of_a_word_and_a_short_one_whole(
    says: tuple[tuple[str, ...], ...], answer: str, right: bool
) -> None:
    """A fact is no run of letters."""
    assert Outcome(Labelled("?", says, ()), answer, 1, False).has_fact is right


def test_a_slash_in_a_label_is_written_with_a_backslash(tmp_path: Path) -> None:
    """Else a path would be three alternatives, and one of them nothing."""
    path = tmp_path / "set.txt"
    path.write_text("Where? | \\/etc\\/shadow/there & x | a.html, b.html\n- Who?\n", "utf-8")
    known, unknown = read_set(path)
    assert known.says == (("/etc/shadow", "there"), ("x",))
    assert known.sources == ("a.html", "b.html")
    assert not unknown.is_answerable
