"""The Markdown of an answer, row by row."""

import pytest

from riverrun_client.cli.markdown import Open, render_row


def show(*rows: tuple[str, bool]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each row's text, and which parts of it have which style."""
    shown, state = [], Open()
    for row, ends in rows:
        text, state = render_row(row, state, ends=ends)
        if text is not None:
            spans = [(text.plain[s.start : s.end], str(s.style)) for s in text.spans]
            shown.append((text.plain, [span for span in spans if span[1]]))
    return shown


@pytest.mark.parametrize(
    ("row", "plain", "styled"),
    [
        ("## Tokyo", "Tokyo", [("Tokyo", "bold")]),
        ("- Eat **early** [1]", "• Eat early [1]", [("early", "bold"), ("[1]", "cyan")]),
        ("run `make dev`", "run make dev", [("make dev", "cyan")]),
        ("2 ** 3 and a ` alone", "2 ** 3 and a ` alone", []),
        ("`a ** b`", "a ** b", [("a ** b", "cyan")]),
        ("[here](https://a.example/x)", "here (https://a.example/x)", []),
    ],
)
def test_marks_become_styles(row: str, plain: str, styled: list[tuple[str, str]]) -> None:
    """What is no mark is shown as it stands."""
    assert show((row, True)) == [(plain, styled)]


def test_what_a_row_leaves_open_goes_on_in_the_next() -> None:
    """A line is shown in rows; its end closes everything but a fence."""
    assert show(("a **b", False), ("c** d", True), ("e", True)) == [
        ("a b", [("b", "bold")]),
        ("c d", [("c", "bold")]),
        ("e", []),
    ]
    assert show(("```sh", True), ("# x **y**", True), ("```", True), ("# z", True)) == [
        ("# x **y**", []),
        ("z", [("z", "bold")]),
    ]
