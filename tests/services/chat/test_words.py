"""What a question is about, read from its words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chat.words import (
    MOST_NAMES,
    collect_stems,
    count_sentences_wanted,
    find_names,
    fold,
    split_words,
)


def test_case_and_accents_fold_away() -> None:
    """Typed with or without, it is one word."""
    assert fold("Sacré-Cœur") == "sacre-coeur"
    assert split_words("St. Peter's, and the guide’s “Île”") == [
        *("st", "peter", "and", "the", "guide", "ile")
    ]


def test_content_words_are_what_is_left_without_the_question() -> None:
    """Stop words and praise go, endings go."""
    assert collect_stems("What are the best restaurants in Tokyo?") == {"restaurant", "tokyo"}
    assert collect_stems("Which cities did you visit?") == collect_stems("city")
    assert collect_stems("Whom was it paid to on a rainy day?") == {"pay", "rain", "day"}
    assert collect_stems("What should I know about visiting Oslo?") == {"oslo"}


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("What is the capital of Mars?", [("mars",)]),
        ("How tall is Mount Everest?", [("mount", "everest")]),
        ("Is Tokyo bigger than New York?", [("tokyo",), ("new", "york")]),
        ("Who won the 2031 cup?", [("2031",)]),
        ("what does error E1042 mean", [("e1042",)]),
        ("best restaurants in nairobi", [("nairobi",)]),
        ("plan a trip to cape town?", [("cape", "town")]),
        ("where do people go in winter", []),
        ("where can i eat in the evening", []),
        ("Best restaurants?", []),
        ("I like it. What now?", []),
        ("Is Monday in May good?", []),
        ("WHERE CAN I EAT CHEAP NOODLES", []),
        ("The Best Places To Stay With Children", []),
        ("Top 10 things", []),
        ("", []),
        ("?!", []),
    ],
)
def test_names_are_told_by_capitals_digits_and_place(
    question: str, names: list[tuple[str, ...]]
) -> None:
    """Sentence starts, times and headlines name nothing."""
    assert find_names(question) == tuple(names)


def test_only_so_many_names_are_looked_for() -> None:
    """A list of forty names costs no more than one of twelve."""
    question = "is it " + ", then ".join(["Paris", "Rome"] * 20)
    assert len(find_names(question)) == MOST_NAMES


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("What are the best restaurants in Tokyo?", 5),
        ("Plan a trip to Japan", 5),
        ("List the museums", 5),
        ("Where should I go for sushi?", 5),
        ("How do I get from Narita to the city?", 4),
        ("What is special about the métro?", 3),
        ("When do the cherry trees flower?", 2),
        ("How large can an upload be?", 2),
        ("Is tap water free?", 2),
        ("", 3),
    ],
)
def test_broad_questions_get_more_sentences_than_narrow_ones(question: str, wanted: int) -> None:
    """By wording alone."""
    assert count_sentences_wanted(question) == wanted


@given(st.text(max_size=300))
def test_any_question_can_be_read(question: str) -> None:
    """No text breaks the reading, and its cost is bounded."""
    assert len(find_names(question)) <= MOST_NAMES
    assert 1 <= count_sentences_wanted(question) <= 5
    assert collect_stems(question) <= {word for word in collect_stems(question) if word}
