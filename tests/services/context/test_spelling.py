"""Slips of the fingers in questions, one case a line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.context.spelling import correct, count_words

TEXTS = (
    "hall hall hall",
    "Seoul and its restaurants",
    "Bangkok, Edinburgh, Amsterdam",
    "museums museum unwrap york",
    "Lope de Vega; paris paris paris",
)
OWN = count_words(TEXTS)


def mend(question: str) -> str:
    """Correct a question over the index of these texts."""
    return correct(question, lambda word: word in OWN, lambda: OWN)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("the best time to vist Seol?", "the best time to visit Seoul?"),
        ("resturants in bangok", "restaurants in bangkok"),
        ("wher to stay in edinburg", "where to stay in edinburgh"),
        ("Waht musuems are in Amsterdm", "What museums are in Amsterdam"),
        ("how expensve is it", "how expensive is it"),
        ("bangok street food", "bangkok street food"),  # keywords, of which English has most
        ("hotels in parris", "hotels in paris"),  # a letter too many, in a word that is said often
    ],
)
def test_one_slip_is_mended(typed: str, meant: str) -> None:
    """In a word that neither the documents nor English has."""
    assert mend(typed).casefold() == meant.casefold()


def test_what_is_too_long_for_a_word_is_not_tried() -> None:
    """The slips of 8,000 letters are gigabytes: such a word asks for none."""

    def count() -> dict[str, int]:
        raise AssertionError("its slips were to be looked for")

    question = f"what is the {'a' * 8000}"
    assert correct(question, lambda word: len(word) < 8000, count) == question


@pytest.mark.parametrize(
    "question",
    [
        "Do I need a visa for Seoul?",  # English, though no document has it
        "Is Nairobi like Bangkok?",
        "Brno",  # a name is mended to a word of the documents only
        "What does unwrap_or do?",  # code
        "Where is E1042 raised, and SeoulX?",
        "Welche Museen gibt es in Amsterdam?",  # another language
        "billige reise bangok",  # and its keywords
        "the tps of it",  # too short
        "halal food in Seoul",  # a word that English has, though no list of it
        "vegan food in Seoul",  # nearly a word of English, of a rare one
        "Coffee with yolk near a rill",  # as short as a word with another letter
    ],
)
def test_what_may_be_meant_stays(question: str) -> None:
    """A word that is known, a name, code, or another language."""
    assert mend(question) == question


@given(st.text(max_size=200))
def test_any_text_can_be_corrected(text: str) -> None:
    """And twice is once."""
    once = mend(text)
    assert mend(once) == once


def test_words_are_read_only_for_a_slip() -> None:
    """Counting the words of an index costs time."""

    def count() -> dict[str, int]:
        raise AssertionError("read for nothing")

    assert correct("Where to eat in Seoul?", lambda _: True, count) == "Where to eat in Seoul?"
