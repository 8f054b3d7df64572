"""Passages: small enough to embed, cut only between sentences."""

from hypothesis import given
from hypothesis import strategies as st

from services.context.ingest.chunks import LONGEST_CHUNK, chunk
from services.context.ingest.documents import Document, Section

TEXTS = st.text(alphabet="abc XYZ.!?,\n日。", max_size=3000)


def document(*blocks: str, anchor: str = "part") -> Document:
    """A document of one section."""
    return Document("Doc", (Section(("Doc", "Part"), anchor, blocks),))


def test_a_short_section_is_one_passage() -> None:
    """Titled by its headings, found by its anchor."""
    (piece,) = chunk(document("One here. Two here.", "Three here."), "a%20b.md")
    assert (piece.id, piece.uri) == ("a%20b.md#part", "a%20b.md#part")
    assert piece.title == "Doc › Part"
    assert piece.text == "One here. Two here.\nThree here."
    assert piece.sentences == ("One here.", "Two here.", "Three here.")
    assert piece.meaning == "Doc, Part: " + piece.text
    assert piece.statements[0] == "Doc: One here."


def test_a_long_section_is_cut_into_even_pieces() -> None:
    """No crumb at the end; the ids differ and the URI does not."""
    sentences = " ".join(
        f"Sentence number {number} has exactly seven words." for number in range(60)
    )
    pieces = chunk(document(sentences), "a.md")
    sizes = [len(piece.text.split()) for piece in pieces]
    assert len(pieces) == 3
    assert max(sizes) - min(sizes) <= 14
    assert [piece.id for piece in pieces] == ["a.md#part", "a.md#part:2", "a.md#part:3"]
    assert {piece.uri for piece in pieces} == {"a.md#part"}


@given(st.lists(TEXTS, max_size=4))
def test_no_word_is_lost_and_no_passage_too_long(blocks: list[str]) -> None:
    """The passages, in order, are the section; their spans are their sentences."""
    pieces = chunk(document(*blocks), "a.md")
    assert "".join("".join(piece.text.split()) for piece in pieces) == "".join(
        "".join(blocks).split()
    )
    assert len({piece.id for piece in pieces}) == len(pieces)
    for piece in pieces:
        assert len(piece.text.split()) <= LONGEST_CHUNK
        assert "".join(piece.sentences).replace(" ", "") == "".join(piece.text.split())
        assert all(sentence.strip() == sentence != "" for sentence in piece.sentences)


def test_a_section_without_text_has_no_passage() -> None:
    """A heading alone answers nothing."""
    assert chunk(document(), "a.md") == []
