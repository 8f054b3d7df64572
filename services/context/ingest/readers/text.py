"""Plain text: paragraphs between blank lines. It looks for no headings and no lists."""

import re

from ..documents import Document, Section, decode, tidy


def read_text(data: bytes, title: str) -> Document:
    """Read UTF-8 text. Lines of one paragraph are joined: they were broken to fit a screen.

    Raises `UnreadableError` when it is not UTF-8.
    """
    paragraphs = re.split(r"\n[^\S\n]*\n", decode(data).replace("\r\n", "\n").replace("\r", "\n"))
    blocks = (_paragraph(paragraph) for paragraph in paragraphs)
    return Document(title, (Section((title,), "", tuple(block for block in blocks if block)),))


_ITEM = re.compile(r"\s*(?:[-*•·–]|\d{1,3}[.)])\s")


def _paragraph(text: str) -> str:
    lines: list[str] = []
    for line in tidy(text).split("\n"):
        if lines and not _ITEM.match(line):
            lines[-1] += " " + line
        else:
            lines.append(line)
    return "\n".join(lines)
