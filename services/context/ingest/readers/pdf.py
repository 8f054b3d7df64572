"""PDF: the text layer, page by page. It knows nothing of scans: without text, a page is empty."""

import io
import re
import unicodedata
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from ..documents import Document, Section, UnreadableError, heading, tidy

if TYPE_CHECKING:
    from pypdf import PdfReader


def read_pdf(data: bytes, title: str) -> Document:
    """Read the pages of a PDF that hold text; the anchor is ``page=N`` (RFC 8118), N from 1.

    Raises `UnreadableError` when it is encrypted, broken, or has no text. A file "protected"
    with an empty password, which anyone may open, is read.
    """
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, FileNotDecryptedError

    try:
        reader = PdfReader(io.BytesIO(data))
        title = _title(reader) or title
        pages = [page.extract_text() for page in reader.pages]
    except (DependencyError, FileNotDecryptedError) as error:
        raise UnreadableError("is encrypted; save it without a password") from error
    except Exception as error:
        raise UnreadableError("is not a PDF that can be read; save it again") from error
    sections = [
        Section((title, f"page {number}"), f"page={number}", blocks)
        for number, text in enumerate(pages, 1)
        if (blocks := _paragraphs(text))
    ]
    if not sections:
        raise UnreadableError("has no text (a scan?); run text recognition on it first")
    return Document(title, tuple(sections))


def _title(reader: "PdfReader") -> str:
    named = reader.metadata.title if reader.metadata else None
    return heading(named) if isinstance(named, str) else ""


def _paragraphs(text: str) -> tuple[str, ...]:
    """Join the lines of a page into paragraphs; a short line before a capital is a heading."""
    # NFKC turns ligatures such as "ﬁ" back into letters.
    text = unicodedata.normalize("NFKC", text.replace("\xad\n", "").replace("\xad", ""))
    text = re.sub(r"(?<=[a-z])-\n(?=[a-z])", "", text)
    blocks: list[str] = []
    for part in re.split(r"\n\s*\n", text):
        lines = tidy(part).split("\n")
        usual = median(len(line) for line in lines)
        joined = lines[0]
        for last, line in pairwise(lines):
            short = len(last) < 0.6 * usual and not last.endswith((",", "-"))
            joined += ("\n" if short and not line[:1].islower() else " ") + line
        if joined:
            blocks.append(joined)
    return tuple(blocks)
