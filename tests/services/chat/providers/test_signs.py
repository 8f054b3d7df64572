"""Which words answer the wording of a question."""

import pytest

from services.chat.providers.signs import find_asked_signs


@pytest.mark.parametrize(
    ("question", "text", "said"),
    [
        ("Must a parameter have a type?", "You must declare each type.", "must"),
        ("Do I have to log in?", "A login is not required.", "must"),
        ("Can I swim there?", "Swimming is not possible.", "can"),
        ("Why is it cold?", "It is cold because the wind is from the north.", "reason"),
        ("What happens when it is full?", "Then a write fails.", "effect"),
        ("Is it on if I don't set it?", "It is on unless it is turned off.", "default"),
        ("How many rows may it have?", "It has at most a thousand rows.", "limit"),
        ("Is a key kept?", "It is never kept.", "verdict"),
        ("How do I start it?", "Run `make serve`.", "way"),
        ("Which option turns it off?", "It is turned off by `--quiet`.", "code"),
    ],
)
def test_what_is_asked_is_said_in_such_words(question: str, text: str, said: str) -> None:
    """A sign of the kind is asked for, and stands in the text."""
    signs = {sign.name: sign for sign in find_asked_signs(question)}
    assert signs[said].says.search(text)


@pytest.mark.parametrize(
    ("question", "text"),
    [("Can I swim there?", "You dive."), ("What must I do?", "You must swim.")],
)
def test_another_wording_asks_for_none(question: str, text: str) -> None:
    """Nor is a word that nothing asked for a sign."""
    assert not any(sign.says.search(text) for sign in find_asked_signs(question))
