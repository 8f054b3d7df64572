"""The terminal's view, without a terminal: which rows are printed for good."""

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from riverrun_client.cli.terminal import TerminalView
from riverrun_client.events import Final, Result, Token

WIDTH = 20

pieces = st.lists(
    st.text(alphabet="ab[1] \n", max_size=9)
    | st.sampled_from(["word ", " ", "東京", "e\u0301", "👩‍👩‍👧"]),
    max_size=25,
)


def print_tokens(tokens: list[str]) -> str:
    """What stands in the end."""
    out = io.StringIO()
    view = TerminalView(Console(file=out, width=WIDTH), Console(file=out), quiet=True)
    for text in tokens:
        view.show(Token(text=text))
    view.show(Final(result=Result(answer="".join(tokens))))
    return out.getvalue()


@given(pieces)
def test_no_letter_and_no_division_of_words_is_lost(tokens: list[str]) -> None:
    """However the tokens fall on the edge of the window. A word longer than a row is broken."""
    shown, said = print_tokens(tokens), "".join(tokens)
    assert "".join(shown.split()) == "".join(said.split())
    if all(len(word) < WIDTH // 2 for word in said.split()):
        assert shown.split() == said.split()


def test_a_space_at_the_edge_divides() -> None:
    """Twenty letters fill the row; the space behind them is not shown."""
    assert print_tokens(["aaaaaaaaaaaaaaaaaaaa", " ", "b"]).split() == ["a" * 20, "b"]
    assert print_tokens(["aaaaaaaaaaaaaaaaaaaa ", "b"]).split() == ["a" * 20, "b"]


def test_lines_of_the_answer_are_lines() -> None:
    """Also empty ones."""
    assert print_tokens(["a\n", "\nb\n", "  - c"]).strip("\n") == "a\n\nb\n  • c"
