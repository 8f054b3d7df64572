"""Pieces joined are the text, and no cut goes through a character."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.chat.word_pieces import MAX_PIECE, split_into_pieces

FAMILY = "👩\u200d👩\u200d👧\u200d👦"
CLUSTERS = [
    "a",
    " ",
    "\n",
    "é",
    "e\u0301",
    FAMILY,
    "👍🏽",
    "🇫🇷",
    "각",
    "각",
    "क्षि",
    "ำ",
    "寿",
    "\r\n",
    "\u1100\u1161\u11a8",
]
texts = st.lists(st.sampled_from(CLUSTERS), max_size=120).map("".join)


@given(st.text() | texts)
@example("a" * 1000)
@example("\u0301" * 100)
@example("🇫🇷" * 40)
@example("a" + "🇫🇷" * 40)
@example(FAMILY * 20)
@example("寿司" * 50)
@example(" \n\n ")
@example("a\r\n" * 30)
def test_pieces_joined_are_the_text(text: str) -> None:
    """Byte for byte, with no empty piece."""
    pieces = list(split_into_pieces(text))
    assert "".join(pieces) == text
    assert all(pieces)


@given(st.text() | texts)
@example("🇫🇷" * 40)
@example("a" + "🇫🇷" * 40)
def test_no_cut_falls_inside_a_grapheme_cluster(text: str) -> None:
    """Judged by the clusters of the `regex` library."""
    regex = pytest.importorskip("regex")
    boundaries = {match.end() for match in regex.finditer(r"\X", text)}
    at = 0
    for piece in split_into_pieces(text):
        at += len(piece)
        # A new line after a carriage return, or a mark after a space, is still one cluster;
        # those cuts fall between words, where nothing is drawn.
        assert at in boundaries or text[at - 1].isspace() or text[at].isspace()


@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.parametrize("offset", range(8))
def test_no_cut_falls_inside_a_long_run_of_one_cluster(cluster: str, offset: int) -> None:
    """Wherever the longest piece ends, it ends between two of them."""
    for piece in split_into_pieces("x" * offset + cluster * 40):
        rest = piece.lstrip("x").replace(cluster, "")
        assert rest == ""


def test_prose_comes_a_word_at_a_time() -> None:
    """White space stays with the word before it."""
    assert list(split_into_pieces("  Tokyo  is\nbig. [1]")) == ["  Tokyo  ", "is\n", "big. ", "[1]"]


def test_a_script_without_spaces_comes_in_small_pieces_too() -> None:
    """No lump is longer than a piece may be."""
    assert {len(piece) for piece in split_into_pieces("寿" * 240)} == {MAX_PIECE}
