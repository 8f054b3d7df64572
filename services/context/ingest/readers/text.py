"""Plain text: paragraphs between blank lines. It looks for no headings and no lists."""

import re

from ..documents import Document, Section, decode, keep_lines, tidy
from ..lines import is_leader, join_hyphens, known_words


def read_text(data: bytes, title: str) -> Document:
    """Read a text. Lines of one paragraph are joined: they were broken to fit a screen.

    A paragraph that is indented as a whole, further than the text, is a listing and keeps its
    lines. Raises `UnreadableError` when it is no text.
    """
    text = decode(data).replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)
    known = known_words(text)
    paragraphs = re.split(r"\n[^\S\n]*\n", text)
    margin = min((_margin(part) for part in paragraphs if part.strip()), default=0)
    blocks = (
        keep_lines(part) if _margin(part) >= margin + 4 else _paragraph(join_hyphens(part, known))
        for part in paragraphs
    )
    return Document(title, (Section((title,), "", tuple(block for block in blocks if block)),))


_ITEM = re.compile(r"\s*(?:[-*•·–]|\d{1,3}[.)])\s")


def _margin(paragraph: str) -> int:
    lines = [line for line in paragraph.split("\n") if line.strip()]
    return min((len(line) - len(line.lstrip()) for line in lines), default=0)


def _paragraph(text: str) -> str:
    lines: list[str] = []
    for line in tidy(text).split("\n"):
        if is_leader(line):
            continue
        if lines and not _ITEM.match(line):
            lines[-1] += " " + line
        else:
            lines.append(line)
    return "\n".join(lines)
