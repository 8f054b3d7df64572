"""What a run may use at most is known before it starts."""

import pytest

from services.settings import Settings
from services.streaming import Question
from services.streaming.readers.admission import estimate_run


@pytest.mark.parametrize(
    "text", ["hello", "?!" * 4000, "\U0001f9d1\u200d\U0001f680" * 2000, "語" * 8000]
)
def test_no_text_has_more_tokens_than_are_reserved(text: str) -> None:
    """A token of any model is a byte at least; what a client sends as history is read as well."""
    nothing = estimate_run(Question(query=""), Settings()).tokens
    size = len(text.encode())
    assert estimate_run(Question(query=text), Settings()).tokens >= nothing + size
    question = Question(query="", history=(("a", text), (text, "")))
    assert estimate_run(question, Settings()).tokens >= nothing + 2 * size


def test_a_budget_is_what_is_reserved() -> None:
    """The answer ends there, however long the question."""
    settings = Settings(budget_tokens=500, budget_usd=0.25)
    found = estimate_run(Question(query="a" * 8000), settings)
    assert (found.tokens, found.usd) == (500, 0.25)
