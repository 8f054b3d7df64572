"""Which entry of a script a question gets."""

from services.chat.providers.script import Entry, Say, Script


def script(*whens: str) -> Script:
    """A script whose entries say their own condition."""
    return Script(tuple(Entry(when, (Say(when),)) for when in whens))


def test_the_first_entry_that_occurs_in_the_question_wins() -> None:
    """Order is the author's."""
    steps = script("tokyo", "best", "*").steps_for("The best of Tokyo?")
    assert steps == (Say("tokyo"),)
    assert script("*", "tokyo").steps_for("Tokyo?") == (Say("*"),)


def test_case_and_the_way_accents_are_typed_do_not_matter() -> None:
    """A composed and a decomposed é are one letter; ß is SS in capitals."""
    assert script("CAFE\u0301").steps_for("a café") == (Say("CAFE\u0301"),)
    assert script("straße").steps_for("STRASSE") == (Say("straße"),)


def test_no_match_is_none() -> None:
    """The provider says so, not the script."""
    assert script("paris").steps_for("Tokyo?") is None
    assert script().steps_for("Tokyo?") is None
