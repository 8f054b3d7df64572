"""What is said to the engine, and what is asked of the documents."""

import pytest

from services.small_talk import find_small_talk


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Hi", "greeting"),
        ("hey, how are you?", "greeting"),
        ("👋", "greeting"),
        ("Thanks!", "thanks"),
        ("ok thank you very much", "thanks"),
        ("thank you so much, that helped", "thanks"),
        ("Thanks, that was very helpful!", "thanks"),
        ("ok", "nod"),
        ("?", "nod"),
        ("no thanks", "nod"),
        ("Danke schön!", "thanks"),
        ("bye bye", "goodbye"),
        ("What can you do?", "about"),
        ("Who are you?", "about"),
        ("help", "about"),
        ("who made this?", "about"),
        ("Which cities do you know?", "about"),
        ("Which documents are there?", "about"),
        ("give me sources", "sources"),
        ("are you sure?", "sources"),
        ("That's wrong", "sources"),
        ("write me a poem about Rome", "joke"),
        ("Can you explain that in simpler words?", "rework"),
        ("in bullet points", "rework"),
        ("Tell me a joke", "joke"),
        ("in German please", "language"),
        ("Auf Deutsch, bitte", "language"),
        ("Can you say that in French?", "language"),
        ("Summarise that", "rework"),
        ("shorter", "rework"),
        ("make it shorter", "rework"),
    ],
)
def test_a_whole_utterance_is_small_talk(text: str, kind: str | None) -> None:
    """Whatever its case and its marks."""
    assert find_small_talk(text) == kind


@pytest.mark.parametrize(
    "text",
    [
        "Hi, where can I eat in Rome?",
        "What can you do in Paris?",
        "Which storage classes are there?",
        "How do you know that a stream has ended?",
        "Explain the router in two sentences",
        "Write a file with a header",
        "How do you say thanks in Japanese?",
        "What do you know about Vienna?",
        "Explain encapsulation",
        "Help with WAL mode",
        "Who are the Habsburgs?",
        "",
        "thanks " * 100,
    ],
)
def test_a_question_is_none(text: str) -> None:
    """Polite or not."""
    assert find_small_talk(text) is None
