"""A thing that is only named is introduced: its own words first, then a word of each section."""

import pytest

from services.chat import Prompt
from services.chat.providers.extractive import write_answer
from services.chat.providers.overview import find_document, has_sights
from services.chat.providers.replies import NOT_SAID
from tests.services.chat.providers.bag import passages

CITIES = [
    ("Cairo", ["Cairo is the capital of Egypt.", "Cairo lies on the Nile."]),
    ("Cairo › Eating", ["Koshari is the dish of Cairo.", "It has rice and lentils."]),
    ("Cairo › Museums", ["The old museum of Cairo is pink.", "It is crammed."]),
    ("Rome", ["Rome is the capital of Italy.", "Rome has seven hills.", "Popes live in Rome."]),
    ("Rome › Sights", ["The Colosseum is the sight of Rome.", "The Forum of Rome is old."]),
]


def answer(question: str) -> str:
    """What is said over the cities."""
    return write_answer(Prompt(question, passages(question, CITIES))).text


@pytest.mark.parametrize(
    "question",
    [
        "Cairo",
        "Tell me about Cairo",
        "Cairo?",
        "Tips for visiting Cairo",
        "Something interesting about Cairo",
    ],
)
def test_a_document_that_is_only_named_is_introduced(question: str) -> None:
    """Its own words in prose, the first words of its sections below."""
    text = answer(question)
    first, bullets = text.split("\n\n")
    assert "capital of Egypt" in first
    assert "Nile" in first
    assert sorted(line[:14] for line in bullets.split("\n")) == ["- **Eating**: ", "- **Museums**:"]
    assert "rice" not in text
    assert "Rome" not in text


def test_a_question_about_something_of_it_is_none_of_that() -> None:
    """It gets what answers it."""
    assert answer("Which museum of Cairo is pink?").startswith("The old museum of Cairo is pink.")
    assert "**Museums**" not in answer("What is the best time to visit Cairo?")


def test_a_document_without_words_of_its_own_is_answered_by_its_sections() -> None:
    """A page may begin with a heading right under its title."""
    pages = [("Kites › What are kites?", ["Kites are toys that fly.", "A kite needs wind."])]
    for question in ("What is a kite?", "Kites"):
        said = write_answer(Prompt(question, passages(question, pages))).text
        assert "Kites are toys that fly." in said


def test_sights_without_a_section_of_sights_are_an_introduction() -> None:
    """Of a document that has one, they are that section."""
    found = passages("sights", CITIES)
    assert not has_sights("Cairo", found)
    assert has_sights("Rome", found)
    assert "**Museums**" in answer("What are the best attractions in Cairo?")
    assert answer("What are the best attractions in Rome?").startswith("- The Colosseum")


def test_sights_are_no_answer_to_what_else_is_asked_of_them() -> None:
    """Free ones, or ones for children."""
    assert answer("free things to do in Rome").startswith(NOT_SAID)
    assert answer("old things to see in Rome").startswith("- The Colosseum")


def test_two_documents_that_are_only_named_are_introduced_side_by_side() -> None:
    """As many words of one as of the other."""
    assert answer("Cairo vs Rome") == answer("Cairo or Rome?")
    text = answer("Cairo or Rome?")
    assert text.startswith("| Cairo | Rome |")
    assert text.count("\n| ") == 5
    assert "hills" in text


def test_a_place_that_no_document_names_is_not_introduced() -> None:
    """Also where a trip elsewhere is described."""
    trip = ("A trip through Japan", ["A trip through Japan is easy to plan."])
    question = "Plan a trip to Nairobi"
    assert find_document("Nairobi", passages(question, [trip])) is None
    assert write_answer(Prompt(question, passages(question, [trip]))).text.startswith(NOT_SAID)
