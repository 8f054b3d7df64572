"""How kinds of fact are asked for, and what one of them looks like."""

import pytest

from services.chat.providers.fact_values import FACT_KINDS, POINTER


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("measure", "twenty-five metres"),
        ("measure", "12 ft"),
        ("distance", "one and a half kilometres"),
        ("size", "750KiB"),
        ("time", "since the 1840s"),
        ("time or length", "4096 bits"),
        ("number", "over a trillion"),
        ("date", "12 June"),
        ("date", "version 3.35.0"),
        ("date", "in winter"),
        ("name", "drawn by Utzon"),
        ("limit", "2000"),
        ("default", "unless it is set"),
    ],
)
def test_a_fact_is_recognised(name: str, text: str) -> None:
    """In words and in digits."""
    (kind,) = (one for one in FACT_KINDS if one.name == name)
    assert kind.value.search(text)
    assert not kind.value.search("the quiet house beside it")


def test_a_number_of_a_place_in_the_document_counts_nothing() -> None:
    """It is taken away; other numbers stay."""
    assert POINTER.sub("", "Listing 14-4 has 3 crates") == " has 3 crates"
