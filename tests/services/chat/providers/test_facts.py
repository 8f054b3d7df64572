"""A fact that is asked for stands beside the words it is asked in, or is not there."""

import pytest

from services.chat.providers.answerability import is_sufficient
from services.chat.providers.evidence import read_subject
from services.chat.providers.facts import find_lacking
from services.chat.providers.replies import explain_refusal
from services.chat.providers.scores import weigh
from services.passages import Passage
from tests.services.chat.providers.bag import passage
from tests.services.chat.providers.test_evidence import at


def lacks(question: str, *found: Passage) -> str | None:
    """The kind of fact that these passages lack."""
    lacking = find_lacking(question, read_subject(question, found), weigh(question, found))
    return lacking.name if lacking else None


def castle(*lines: str) -> Passage:
    """A section about a castle."""
    return passage("", "Oslo › Sights", *lines)


@pytest.mark.parametrize(
    ("question", "line", "kind"),
    [
        ("How many towers has the castle?", "The castle has seven round towers.", None),
        ("How many towers has the castle?", "Castle: towers 7, gates 2.", None),
        (
            "How many towers has the castle?",
            "The castle of 1212 is known to all for the height of its towers.",
            "number",
        ),
        ("How many towers has the castle?", "Listing 3: the towers of the castle.", "number"),
        ("How many people live in the castle?", "The castle has 12 inhabitants.", None),
        ("How tall is the castle?", "The castle is 40 metres tall.", None),
        ("How tall is the castle?", "The castle is two kilometres from the sea.", "measure"),
        ("How far is the castle?", "The castle is two kilometres from the sea.", None),
        (
            "How long does the castle walk take?",
            "The castle walk takes an hour or two.",
            "time or length",
        ),
        ("How long does the castle walk take?", "The castle walk takes half an hour.", None),
        ("When was the castle built?", "The castle was built in 1212.", None),
        ("When was the castle built?", "The castle was built by a king.", "date"),
        ("When will the castle open?", "The castle is large.", "date"),
        ("Who built the castle?", "The castle was built by Anna Gray.", None),
        ("Who built the castle?", "The castle was built on a hill.", "name"),
        ("Which architect designed the castle?", "The castle is an old design.", "name"),
        ("Who built the castle?", "You see the castle beside Anna Gray.", "name"),
        ("What is the default wall of the castle?", "A castle wall is stone by default.", None),
        ("What is the default wall of the castle?", "The castle wall is stone.", "default"),
        ("What is the largest cart that the castle may hold?", "A castle cart is up to 2 m.", None),
        ("What is the largest cart that the castle may hold?", "A castle has carts.", "limit"),
    ],
)
def test_a_fact_of_the_kind_is_there_or_named_as_lacking(
    question: str, line: str, kind: str | None
) -> None:
    """Of the same thing, in a list or a sentence, in digits or words."""
    assert lacks(question, castle(line)) == kind


@pytest.mark.parametrize(
    "question",
    [
        "When do I use the castle gate?",
        "When will the gate be closed?",
        "Who can enter the castle?",
        "What is the largest castle?",
        "Does the castle have many towers?",
        "How tall is the castle and what does it hold?",
    ],
)
def test_what_words_of_any_kind_answer_lacks_no_fact(question: str) -> None:
    """A condition answers "when", a role "who", and two questions have two answers."""
    assert lacks(question, castle("The castle has a gate.")) is None


def test_a_fact_of_something_else_is_none() -> None:
    """It stands far from the words asked for, or in what says no name of the question."""
    far = castle("The castle stands. " + "The sea is blue and wide there. " * 5 + "It was 1212.")
    assert lacks("When was the castle built?", far) == "date"
    bergen = passage("", "Bergen › Sights", "The tower is 40 metres tall.")
    oslo = castle("The tower of Oslo is old.")
    assert lacks("How tall is the tower of Oslo?", oslo, bergen) == "measure"


def test_the_name_in_a_question_is_not_the_name_that_it_asks_for() -> None:
    """Who built the Anna Gray Bridge is not Anna Gray."""
    line = "He said it was built beside the Gray Bridge, which is old."
    assert lacks("Who built the Gray Bridge?", castle(line)) == "name"


def test_what_lacks_its_fact_is_refused_and_told() -> None:
    """Though its words are those of the question."""
    question = "How many towers has the castle of Oslo?"
    plain = at(castle("The castle of Oslo has towers."), 0.6, 0.6)
    counted = at(castle("The castle of Oslo has two towers."), 0.6, 0.6)
    assert not is_sufficient(question, (plain,), weigh(question, (plain,)))
    assert is_sufficient(question, (counted,), weigh(question, (counted,)))
    assert "They have no number for it." in explain_refusal(question, (plain,))
