"""PDF: the text layer, by page."""

import io
from collections.abc import Callable

import pytest
from pypdf import PdfReader, PdfWriter

from services.context.ingest.documents import UnreadableError
from services.context.ingest.readers.pdf import read_pdf

MakePdf = Callable[..., bytes]


def test_each_page_with_text_is_a_section(make_pdf: MakePdf) -> None:
    """Its anchor opens the page in a viewer; an empty page is left out."""
    document = read_pdf(make_pdf("First page.", "", "Third page."), "manual")
    assert [
        (section.headings, section.anchor, section.blocks) for section in document.sections
    ] == [
        (("manual", "page 1"), "page=1", ("First page.",)),
        (("manual", "page 3"), "page=3", ("Third page.",)),
    ]


def test_lines_are_joined_and_hyphens_mended(make_pdf: MakePdf) -> None:
    """What was one sentence is one again."""
    page = "The committee met in the capi-\ntal and agreed on the new rules\nfor all its members."
    (section,) = read_pdf(make_pdf(page), "m").sections
    assert section.blocks == (
        "The committee met in the capital and agreed on the new rules for all its members.",
    )


def encrypt_pdf(data: bytes, password: str, algorithm: str) -> bytes:
    """Return the PDF, encrypted for readers."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(data)))
    writer.encrypt(user_password=password, owner_password="owner", algorithm=algorithm)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-256"])
def test_an_encrypted_file_is_refused_unless_anyone_may_read_it(
    make_pdf: MakePdf, algorithm: str
) -> None:
    """Many "protected" files have an empty password for readers."""
    with pytest.raises(UnreadableError, match="is encrypted"):
        read_pdf(encrypt_pdf(make_pdf("Secret."), "word", algorithm), "m")
    if algorithm.startswith("RC4"):
        (section,) = read_pdf(encrypt_pdf(make_pdf("Open."), "", algorithm), "m").sections
        assert section.blocks == ("Open.",)


def test_a_file_cut_anywhere_is_refused_or_read_never_a_crash(make_pdf: MakePdf) -> None:
    """Broken files raise whatever the broken part breaks; the ingest goes on."""
    whole = make_pdf("One page.", "Another page.")
    for end in range(0, len(whole), 37):
        try:
            read_pdf(whole[:end], "m")
        except UnreadableError as error:
            assert "PDF" in error.message or "no text" in error.message  # noqa: PT017 - either is right


def test_a_scan_is_refused(make_pdf: MakePdf) -> None:
    """It says what would help."""
    with pytest.raises(UnreadableError, match=r"no text.*recognition"):
        read_pdf(make_pdf("", ""), "m")
