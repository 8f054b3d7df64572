"""What may be asked next stands in the documents that were found."""

from services.passages import Passage
from services.streaming.answering.follow_ups import suggest_follow_ups


def _make(*titles: str, coverage: float = 0.5) -> list[Passage]:
    return [Passage(title, title, "a.md", "Text.", 0.5, coverage, ()) for title in titles]


FOUND = _make("Paris", "Paris › Museums", "Rome › Food", "Paris › Eating › Late", "Paris › Museums")


def test_the_sections_that_were_not_quoted_are_offered() -> None:
    """Of the document that was, each once, as they may be asked."""
    assert suggest_follow_ups("q", FOUND, {1}) == ("Paris: Museums", "Paris: Eating, Late")
    assert suggest_follow_ups("q", FOUND, {2}) == ("Paris: Eating, Late",)
    assert suggest_follow_ups("q", FOUND, {3}) == ()
    assert suggest_follow_ups("paris: museums", FOUND, {1}) == ("Paris: Eating, Late",)


def test_a_refusal_offers_what_there_is() -> None:
    """Nothing is cited then; what shares no word with the question is about something else."""
    assert suggest_follow_ups("q", FOUND, set()) == ("Paris: Museums", "Paris: Eating, Late")
    assert suggest_follow_ups("q", _make("Rome › Food", coverage=0.0), set()) == ()
    assert suggest_follow_ups("q", [], {1}) == ()
    assert suggest_follow_ups("q", FOUND, {9}) == ("Paris: Museums", "Paris: Eating, Late")


def test_a_heading_that_is_a_paragraph_is_not_offered() -> None:
    """It would be no question."""
    assert suggest_follow_ups("q", _make(f"Paris › {'x' * 200}"), set()) == ()
