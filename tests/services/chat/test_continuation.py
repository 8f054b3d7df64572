"""What was said and what is said now make one text, however the model begins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chat.continuation import Continuation


def continuation(so_far: str, pieces: list[str], *, by_instruction: bool = True) -> str:
    """Both, as a reader sees them."""
    continuation = Continuation(so_far, by_instruction=by_instruction)
    return so_far + "".join(map(continuation.feed, pieces)) + continuation.finish()


WHOLE = "The tower is lit every evening. It was built in 1889 [1]."


@pytest.mark.parametrize("cut", range(10, len(WHOLE)))
@pytest.mark.parametrize("again", [9, 20, 1000])
def test_a_repeated_end_is_shown_once(cut: int, again: int) -> None:
    """Wherever it was cut, however much is said again, letter by letter."""
    so_far = WHOLE[:cut]
    said = so_far.rstrip()
    rest = said[-again:] + WHOLE[len(said) :]
    assert continuation(so_far, list(rest)) == WHOLE
    assert continuation(so_far, [rest]) == WHOLE


@pytest.mark.parametrize("by_instruction", [True, False])
@pytest.mark.parametrize(
    ("so_far", "said", "whole"),
    [
        ("The tower ", "is lit.", "The tower is lit."),
        ("The tower", " is lit.", "The tower is lit."),
        ("The tower ", " is lit.", "The tower is lit."),
        ("One.\n\n", "Two.", "One.\n\nTwo."),
        ("No, no", ", no.", "No, no, no."),
        ("", "All of it.", "All of it."),
        ("The tower", "", "The tower"),
        ("塔は毎晩", "光ります。", "塔は毎晩光ります。"),
    ],
)
def test_the_space_between_is_one(so_far: str, said: str, whole: str, by_instruction: bool) -> None:
    """Not none, not two; and none where the script has none."""
    assert continuation(so_far, [said], by_instruction=by_instruction) == whole


def test_a_model_that_was_asked_and_forgot_the_space_gets_one() -> None:
    """It does not know how the last word ended; one that goes on with its own text does."""
    assert continuation("The tower", ["is lit."]) == "The tower is lit."
    assert continuation("It is lit.", ["The rest"]) == "It is lit. The rest"
    assert continuation("The tow", ["er is lit."], by_instruction=False) == "The tower is lit."


def test_text_is_not_held_back_for_long() -> None:
    """As soon as it differs from what was said it is shown."""
    continuation = Continuation("The tower is lit", by_instruction=True)
    assert continuation.feed("The tow") == ""
    assert continuation.feed("n is dark") == " The town is dark"
    assert continuation.feed("The tower") == "The tower"


@given(st.text(max_size=40), st.lists(st.text(max_size=8), max_size=8), st.booleans())
def test_nothing_but_repetition_and_space_is_ever_dropped(
    so_far: str, pieces: list[str], by_instruction: bool
) -> None:
    """What is shown is the end of what the model said, give or take the white space before."""
    said = "".join(pieces)
    shown = continuation(so_far, pieces, by_instruction=by_instruction)[len(so_far) :]
    assert said.endswith(shown.lstrip())
    dropped = said[: len(said) - len(shown.lstrip())].strip()
    assert so_far.rstrip().endswith(dropped)
