"""What kind of thing a question asks for, and whether words hold one."""

import pytest

from services.chat import Prompt
from services.chat.providers.asked import Asked, counts, holds, read_asked, read_counted
from services.chat.providers.selection import choose
from tests.services.chat.providers.bag import passages


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("How much does the ferry cost?", "price"),
        ("What is the price of a ticket?", "price"),
        ("How much is a ticket?", "price"),
        ("Is the castle free?", "price"),
        ("Are the lockers expensive", "price"),
        ("Is the castle free of ghosts?", "verdict"),
        ("How much memory does it take?", "number"),
        ("What time does the castle close?", "hours"),
        ("Is the castle open on Sundays?", "hours"),
        ("Is it open source?", "verdict"),
        ("When do the silent hours of the house begin?", "number"),
        ("Who built the castle?", "person"),
        ("And where is it?", "place"),
        ("How do I list files?", "command"),
        ("Can I swim there?", "verdict"),
        ("What is a castle?", None),
    ],
)
def test_the_wording_tells_what_kind_of_thing_is_asked_for(
    question: str, asked: Asked | None
) -> None:
    """A price before a number, a verdict after all others."""
    assert read_asked(question) == asked


@pytest.mark.parametrize(
    ("asked", "text", "has"),
    [
        ("price", "A day ticket costs € 7.", True),
        ("price", "A card pays for the metro.", False),
        ("price", "The deposit is 40 francs and is paid at the desk.", True),
        ("price", "A locker is 25 kroner, or 120 CZK for a week; it is 5 zloty.", True),
        ("price", "They won 3 cups with 40 rowers.", False),
        ("hours", "The gates close at dusk.", True),
        ("hours", "The castle was built in 1212.", False),
        ("number", "It has seven towers.", True),
        ("verdict", "No. The lake is private.", True),
        ("verdict", "The lake is not deep.", False),
        ("command", "Call `ls` with a path.", True),
        ("person", "It was built by Anna Gray.", True),
        ("place", "The log is kept in /var/log/app.", True),
    ],
)
def test_words_hold_a_thing_of_a_kind_or_not(asked: Asked, text: str, has: bool) -> None:
    """A verdict only at the beginning."""
    assert holds(asked, text) is has


def test_a_price_that_nothing_says_is_not_answered() -> None:
    """However much is said of the thing itself."""
    ferry = ("Harbour › Ferry", ["The harbour ferry to the island takes all cars and dogs."])
    fare = ("Harbour › Fares", ["The harbour ferry to the island costs four euros."])
    question = "How much does the harbour ferry to the island cost?"
    assert not choose(Prompt(question, passages(question, [ferry])))
    chosen = choose(Prompt(question, passages(question, [ferry, fare])))
    assert "four euros" in chosen[0].unit.text


@pytest.mark.parametrize(
    ("question", "text", "counted"),
    [
        ("How many towers has it?", "It has seven round stone towers.", True),
        ("How many towers has it?", "At most one tower stands.", True),
        ("How many towers has it?", "Its towers were built in 1212.", False),
        ("Is one day enough?", "Visitors see it in two days.", True),
        ("Is one day enough?", "A day trip goes there at 9.", False),
    ],
)
def test_what_is_to_be_counted_is_counted_or_not(question: str, text: str, counted: bool) -> None:
    """Its number stands before it."""
    noun = read_counted(question)
    assert noun is not None
    assert counts(noun, text) is counted


def test_most_questions_count_nothing() -> None:
    """Only "how many" and "enough" do."""
    assert read_counted("How much does it cost?") is None
