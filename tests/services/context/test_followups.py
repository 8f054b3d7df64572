"""Follow-up questions, one case a line: earlier, asked, searched for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.context.followups import complete, title_words

TITLES = title_words(["Tokyo", "Kyoto", "New York", "A trip through Japan", "Refund policy"])

BEST = "What are the best restaurants in Tokyo?"
CASES = [
    # A whole question in common words is none about the one before.
    (
        "What does a taxi cost in Lisbon?",
        "What is there to see in Lisbon?",
        "What is there to see in Lisbon?",
    ),
    ("What does a taxi cost in Lisbon?", "Tell me about Tokyo", "Tell me about Tokyo"),
    # Stands alone: a subject of its own, or enough content.
    (BEST, "What are the sights of Kyoto?", "What are the sights of Kyoto?"),
    (BEST, "what are the sights of kyoto?", "what are the sights of kyoto?"),
    (
        BEST,
        "Is it worth climbing Mount Fuji in winter?",
        "Is it worth climbing Mount Fuji in winter?",
    ),
    (BEST, "How do rail passes work?", "How do rail passes work?"),
    (BEST, "Is there a train from the airport?", "Is there a train from the airport?"),
    (BEST, "Which museums that open late are free?", "Which museums that open late are free?"),
    # Takes over the subject.
    (BEST, "And what about its museums?", "Tokyo: And what about its museums?"),
    (BEST, "How do I get there?", "Tokyo: How do I get there?"),
    (BEST, "When should I go?", "Tokyo: When should I go?"),
    (BEST, "Museums?", "Tokyo: Museums?"),
    (
        BEST,
        "what does it cost to visit them by train",
        "Tokyo: what does it cost to visit them by train",
    ),
    ("best restaurants in tokyo", "and museums?", "tokyo: and museums?"),
    (
        "Hotels in New York",
        "Is breakfast included there?",
        "New York: Is breakfast included there?",
    ),
    (
        "how do refunds work under the refund policy",
        "and for annual plans?",
        "refund policy: and for annual plans?",
    ),
    # A new subject for the earlier question.
    (BEST, "And in Kyoto?", "What are the best restaurants in Kyoto?"),
    (BEST, "kyoto?", "What are the best restaurants in kyoto?"),
    ("Plan a trip to Japan", "What about Norway?", "Plan a trip to Norway"),
    ("Hotels in New York", "And in Kyoto?", "Hotels in Kyoto"),
    ("Should I come in spring?", "And to Kyoto?", "Kyoto: Should I come in spring?"),
    # A subject of its own, and another that it points at.
    (BEST, "How do I get there from Kyoto?", "Tokyo: How do I get there from Kyoto?"),
    # The whole earlier question.
    ("Should I come in spring?", "Why?", "Should I come in spring? Why?"),
    (BEST, "Tell me more", f"{BEST} Tell me more"),
    ("is spring warm enough", "and autumn?", "is spring warm enough and autumn?"),
    ("Museums in Tokyo", "Which one is the best?", "Museums in Tokyo Which one is the best?"),
    # Small talk between them is passed over, and what it wants done is done to the answer.
    (f"{BEST}\nThanks!", "And in Kyoto?", "What are the best restaurants in Kyoto?"),
    (BEST, "shorter", BEST),
    # An earlier question is completed, too.
    (f"{BEST}\nAnd in Kyoto?", "Why?", "What are the best restaurants in Kyoto? Why?"),
    # Several earlier questions, the newest last.
    (f"{BEST}\nWhat about its museums?", "How do I get there?", "Tokyo: How do I get there?"),
    # Nothing earlier.
    ("", "Why?", "Why?"),
    (None, "And its museums?", "And its museums?"),
]


@pytest.mark.parametrize(("previous", "question", "expected"), CASES)
def test_a_question_takes_over_what_it_needs(
    previous: str | None, question: str, expected: str
) -> None:
    """And nothing when it can stand alone."""
    assert complete(question, previous, TITLES) == expected


@given(st.text(), st.one_of(st.none(), st.text()))
def test_any_two_texts_can_follow_each_other(question: str, previous: str | None) -> None:
    """The words that were asked, or their subject, are always searched for."""
    complete(question, previous, TITLES)
    assert complete(question, None, TITLES) == question


def test_a_word_of_many_titles_names_nothing() -> None:
    """In a set of guides, "guide" is no subject."""
    assert title_words([f"Guide to place{number}" for number in range(10)]) == {
        f"place{number}" for number in range(10)
    }
