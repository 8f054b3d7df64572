"""Which entry of a script a question gets."""

from services.chat.providers.script import SayStep, Script, ScriptEntry


def script(*whens: str) -> Script:
    """A script whose entries say their own condition."""
    return Script(tuple(ScriptEntry(when, (SayStep(when),)) for when in whens))


def test_the_first_entry_that_occurs_in_the_question_wins() -> None:
    """Order is the author's."""
    steps = script("tokyo", "best", "*").find_steps("The best of Tokyo?")
    assert steps == (SayStep("tokyo"),)
    assert script("*", "tokyo").find_steps("Tokyo?") == (SayStep("*"),)


def test_case_and_the_way_accents_are_typed_do_not_matter() -> None:
    """A composed and a decomposed é are one letter; ß is SS in capitals."""
    assert script("CAFE\u0301").find_steps("a café") == (SayStep("CAFE\u0301"),)
    assert script("straße").find_steps("STRASSE") == (SayStep("straße"),)


def test_no_match_is_none() -> None:
    """The provider says so, not the script."""
    assert script("paris").find_steps("Tokyo?") is None
    assert script().find_steps("Tokyo?") is None
