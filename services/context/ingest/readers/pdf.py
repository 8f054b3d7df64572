"""PDF: the text layer, page by page. It knows nothing of scans: without text, a page is empty."""

import re
import unicodedata
from collections import Counter
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from ..documents import Document, Section, UnreadableError, heading, tidy
from ..lines import has_no_spaces, is_leader, join_hyphens, known_words

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

_HEADING = re.compile(
    r"(?:\d+(?:\.\d+)*\.?|[A-Z]\.\d+(?:\.\d+)*|Chapter \d+\.?)\s+[^\W\d_][^.]{0,80}$"
)
_ITEM = re.compile(r"(?:[•·▪◦‣–*-]|\(?\d{1,3}[.)])\s")


def read_pdf(data: bytes, title: str) -> Document:
    """Read the pages of a PDF that hold text; the anchor is ``page=N`` (RFC 8118), N from 1.

    Raises `UnreadableError` when it is encrypted, broken, or has no text. A file "protected"
    with an empty password, which anyone may open, is read.
    """
    title, pages = _read_pages(data, title)
    pages = _without_furniture(pages)
    known = known_words("\n".join(pages))
    sections = [
        Section((title, f"page {number}"), f"page={number}", blocks)
        for number, text in enumerate(pages, 1)
        if (blocks := _paragraphs(join_hyphens(text, known)))
    ]
    if not sections:
        raise UnreadableError("has no text (a scan?); run text recognition on it first")
    if has_no_spaces(" ".join(pages)):
        raise UnreadableError("has no spaces between its words; save it again, or as HTML")
    silent = len(pages) - len(sections)
    doubt = f"has no text on {silent:,} of its {len(pages):,} pages (scans?)"
    return Document(title, tuple(sections), (doubt,) if silent > len(pages) / 4 else ())


def _read_pages(data: bytes, title: str) -> tuple[str, list[str]]:
    from pypdfium2 import PdfDocument, PdfiumError

    try:
        document = PdfDocument(data)
    except PdfiumError as error:
        if "password" in str(error).lower() or "security" in str(error).lower():
            raise UnreadableError("is encrypted; save it without a password") from error
        raise UnreadableError("is not a PDF that can be read; save it again") from error
    try:
        return _title(document) or title, [_text_of(document, n) for n in range(len(document))]
    except PdfiumError as error:
        raise UnreadableError("is not a PDF that can be read; save it again") from error
    finally:
        document.close()


def _text_of(document: "PdfDocument", number: int) -> str:
    page = document[number]
    text: str = page.get_textpage().get_text_range()
    page.close()
    # NFKC turns ligatures such as "ﬁ" back into letters; it would lose the mark of a hyphen.
    parts = (unicodedata.normalize("NFKC", part) for part in text.split("\ufffe"))
    return "\ufffe".join(parts).replace("\r\n", "\n").replace("\r", "\n")


def _title(document: "PdfDocument") -> str:
    named = document.get_metadata_dict().get("Title", "")
    return heading(named) if isinstance(named, str) else ""


def _without_furniture(pages: list[str]) -> list[str]:
    """Drop the lines that pages repeat at their top and bottom, and those with only a number."""
    edges = Counter(
        _shape(line) for page in pages for line in {*_lines(page)[:2], *_lines(page)[-2:]}
    )
    often = {shape for shape, count in edges.items() if count > 3 and count > len(pages) / 3}
    cleaned = []
    for page in pages:
        lines = page.split("\n")
        last = len(lines) - 1
        cleaned.append(
            "\n".join(
                line
                for at, line in enumerate(lines)
                if not (_shape(line) in often and (at < 3 or at > last - 3))
                and not is_leader(line)
                and not (line.strip().isdecimal() and at in (0, last))
            )
        )
    return cleaned


def _shape(line: str) -> str:
    return re.sub(r"\d+", "#", " ".join(line.split()))


def _lines(page: str) -> list[str]:
    return [line for line in page.split("\n") if line.strip()]


def _paragraphs(text: str) -> tuple[str, ...]:
    """Join the lines of a page into paragraphs; a short line before a capital is a heading."""
    blocks: list[str] = []
    for part in re.split(r"\n\s*\n", text):
        lines = tidy(part).split("\n")
        usual = median(len(line) for line in lines)
        joined = lines[0]
        for last, line in pairwise(lines):
            joined += ("\n" if _is_break(last, line, usual) else " ") + line
        if joined:
            blocks.append(joined)
    return tuple(blocks)


def _is_break(last: str, line: str, usual: float) -> bool:
    if _HEADING.match(line) or _HEADING.match(last) or _ITEM.match(line):
        return True
    short = len(last) < 0.6 * usual and not last.endswith((",", "-"))
    return short and not line[:1].islower()
