"""Plain text: paragraphs."""

from services.context.ingest.documents import Section
from services.context.ingest.readers.text import read_text


def test_paragraphs_are_joined_and_items_kept_apart() -> None:
    """Lines were broken to fit a screen; a list was not."""
    text = (
        b"\xef\xbb\xbfOne line\nand its end.\r\n\r\n"
        b"Things:\n- first\n  goes on\n- second\n \n1) third\n"
    )
    assert read_text(text, "notes").sections == (
        Section(
            ("notes",),
            "",
            ("One line and its end.", "Things:\n- first goes on\n- second", "1) third"),
        ),
    )


def test_white_space_is_no_paragraph() -> None:
    """So that the ingest can say that the file holds no text."""
    assert read_text(b" \n\n\t\n", "notes").sections[0].blocks == ()
