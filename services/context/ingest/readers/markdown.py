"""Markdown (CommonMark with GitHub's tables), read as the page it would become.

Rendered once and read by the HTML reader, so that links become their text, entities their
characters, and raw HTML gets no more trust than any other page. It follows no link.
"""

import re

from ..documents import Document, decode
from .html import read_page

# YAML between "---" lines, or TOML between "+++" lines, at the very start.
_FRONT_MATTER = re.compile(r"\A(---|\+\+\+)[^\S\n]*\n(?:.*\n)*?(?:\1|\.\.\.)[^\S\n]*(?:\n|\Z)")


def read_markdown(data: bytes, title: str) -> Document:
    """Read UTF-8 Markdown, front matter skipped. Raises `UnreadableError` when it is not UTF-8."""
    from markdown_it import MarkdownIt

    text = decode(data).replace("\r\n", "\n").replace("\r", "\n")
    renderer = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return read_page(renderer.render(_FRONT_MATTER.sub("", text, count=1)), title)
