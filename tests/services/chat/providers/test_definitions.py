"""What is asked to be defined, and what defines it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chat.providers.definitions import is_definition, names_code_of, read_thing


@pytest.mark.parametrize(
    ("question", "thing"),
    [
        ("What is banchan?", "banchan"),
        ("What is a string slice?", "string slice"),
        ("What does the pub keyword do?", "pub keyword"),
        ("What are generics for?", "generics"),
        ("What is the best way to Rome?", None),
        ("What is the difference between a and b?", None),
        ("Where is Rome?", None),
    ],
)
def test_a_thing_is_what_the_question_is_about(question: str, thing: str | None) -> None:
    """Not a way, a place or a difference."""
    assert read_thing(question) == thing


@pytest.mark.parametrize(
    ("thing", "text", "expected"),
    [
        ("banchan", "Banchan are the small side dishes of a meal.", True),
        ("banchan", "Banchan is the name for small side dishes.", True),
        ("string slice", "A *string slice* is a reference to part of a `String`.", False),
        ("string slice", "A string slice is a reference to part of a `String`.", True),
        ("virtual package", "It is therefore called a virtual package.", True),
        ("testing", 'The "testing" distribution is sometimes frozen.', False),
        ("match", "The `match` operator lets you compare a value.", True),
        ("match", "You can use it with a match.", False),
        ("nmu", "Such uploads are called Non-Maintainer Uploads (NMU).", True),
        ("pam", "Systems have PAM (Pluggable Authentication Modules) and more.", True),
        ("advocate", "You need a developer to support you (an *advocate*).", False),
        ("advocate", "You need a developer to support you (an advocate).", True),
        ("after function", "`after` slices an array to the items after the Nth.", True),
        ("after function", "`first` slices an array after sorting it.", False),
        ("after function", "The following shows `after` being used.", False),
        ("fmt", "`fmt` formats a value.", True),
        ("mpsc", "`mpsc` stands for multiple producer, single consumer.", True),
    ],
)
def test_a_definition_begins_with_the_thing(thing: str, text: str, expected: bool) -> None:
    """And says what it is or does."""
    assert is_definition(thing, text) is expected


def test_a_keyword_may_be_a_common_word() -> None:
    """The question says that it is one."""
    asked = "What does the use keyword do?"
    assert names_code_of(asked, "Paths come into scope with `use`.")
    assert names_code_of(asked, "The use keyword brings a path into scope.")
    assert not names_code_of(asked, "You use it often.")


@given(st.text(max_size=120), st.text(max_size=120))
def test_any_texts_can_be_compared(question: str, text: str) -> None:
    """Whatever stands in them."""
    if thing := read_thing(question):
        is_definition(thing, text)
    names_code_of(question, text)
