"""What the wording of a question asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.wording import (
    asks_more,
    asks_quantity,
    describe_visit,
    is_plan,
    is_sightseeing,
    read_comparison,
    read_plan,
)


@pytest.mark.parametrize(
    ("question", "about"),
    [
        ("Plan three days in Rome", "Rome"),
        ("Plan a weekend in Berlin with kids", "Berlin with kids"),
        ("A trip to Cairo in two days", "Cairo"),
        ("I have one day in Venice, what should I do?", "Venice"),
        ("Can you make me a plan for a weekend in Paris?", "Paris"),
        ("A 3-day itinerary for Lisbon", "Lisbon"),
        ("Two days in Hanoi?", "Hanoi"),
        ("4 days in Istanbul itinerary", "Istanbul"),
        ("Rome itinerary", "Rome"),
    ],
)
def test_a_plan_is_about_a_place_not_about_days(question: str, about: str) -> None:
    """The words that ask for it are no subject."""
    assert is_plan(question)
    assert read_plan(question) == about


@pytest.mark.parametrize(
    "question", ["How many days do I need in Japan?", "When does the trip to Nara end?", "Rome"]
)
def test_what_asks_for_a_number_is_no_plan(question: str) -> None:
    """Nor is a place alone."""
    assert not is_plan(question)


@pytest.mark.parametrize(
    ("question", "sides", "searches"),
    [
        ("Compare Tokyo and Osaka", ("Tokyo", "Osaka"), ("Tokyo", "Osaka")),
        ("Tokyo or Kyoto?", ("Tokyo", "Kyoto"), ("Tokyo", "Kyoto")),
        (
            "Is Paris better than London for museums?",
            ("Paris", "London"),
            ("Paris for museums", "London for museums"),
        ),
        ("WAL vs rollback journal", ("WAL", "rollback journal"), ("WAL", "rollback journal")),
        (
            "Should I visit Osaka or Kyoto in spring?",
            ("Osaka", "Kyoto"),
            ("Osaka in spring", "Kyoto in spring"),
        ),
    ],
)
def test_a_comparison_has_two_sides(
    question: str, sides: tuple[str, str], searches: tuple[str, str]
) -> None:
    """Each is searched for, with what they are compared in."""
    comparison = read_comparison(question)
    assert comparison is not None
    assert comparison.sides == sides
    assert comparison.searches == searches


@pytest.mark.parametrize("question", ["Is tea or coffee served?", "What is a better way?", ""])
def test_not_every_or_compares(question: str) -> None:
    """Nor every "better"."""
    assert read_comparison(question) is None


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is there to see in Kyoto?", True),
        ("Things to do in Cairo", True),
        ("what to visit in paris", True),
        ("What are the best attractions in Paris?", True),
        ("sights of Hanoi", True),
        ("How do I filter attractions of a list?", False),
        ("What can I see in the log?", False),
        ("What should I do in a migration?", False),
    ],
)
def test_what_to_see_at_a_place(question: str, expected: bool) -> None:
    """And not in a program."""
    assert is_sightseeing(question) is expected


def test_a_visit_is_searched_for_as_a_heading_says_it() -> None:
    """A plan and what to see alike; nothing else is a visit."""
    for question in ("Plan a day in Kyoto", "What is there to see in Kyoto?"):
        assert describe_visit(question) == "Sights and attractions of Kyoto"
    assert describe_visit("Where do I eat in Kyoto?") is None


HOSTILE = ("'" * 8000, "a " * 4000, "compare " * 1000, "days in " * 1000, "w" * 8000)


@pytest.mark.parametrize("text", HOSTILE, ids=["quotes", "words", "compare", "days", "one word"])
def test_a_long_text_is_read_in_no_time(text: str) -> None:
    """No pattern tries all ways to split it: this would hang."""
    is_plan(text)
    read_plan(text)
    is_sightseeing(text)
    read_comparison(text)
    asks_more(text)


@given(st.text(max_size=200))
def test_any_text_has_a_wording(text: str) -> None:
    """Nothing a stranger types breaks the reading."""
    assert isinstance(read_plan(text), str)
    read_comparison(text)
    assert {asks_more(text), asks_quantity(text)} <= {True, False}
