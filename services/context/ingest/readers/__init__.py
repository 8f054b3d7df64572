"""Readers: bytes in, a `Document` out, one module a format; the suffix picks one.

A reader is a function of the file's bytes and the title to use when the file names none. It
opens no file, follows no link and runs nothing it reads.
"""

from collections.abc import Callable

from ...words import word_set
from ..documents import Document


def _markdown(data: bytes, title: str) -> Document:
    from .markdown import read_markdown

    return read_markdown(data, title)


def _html(data: bytes, title: str) -> Document:
    from .html import read_html

    return read_html(data, title)


def _notebook(data: bytes, title: str) -> Document:
    from .notebook import read_notebook

    return read_notebook(data, title)


def _pdf(data: bytes, title: str) -> Document:
    from .pdf import read_pdf

    return read_pdf(data, title)


def _text(data: bytes, title: str) -> Document:
    from .text import read_text

    return read_text(data, title)


Reader = Callable[[bytes, str], Document]

READERS: dict[str, Reader] = {
    ".md": _markdown,
    ".markdown": _markdown,
    ".mdown": _markdown,
    ".mkd": _markdown,
    ".mdx": _markdown,
    ".qmd": _markdown,
    ".rmd": _markdown,
    ".ipynb": _notebook,
    ".txt": _text,
    ".text": _text,
    ".html": _html,
    ".htm": _html,
    ".xhtml": _html,
    ".pdf": _pdf,
}

# Kinds that one would expect to be read. They are refused by name; a picture is passed over.
FOREIGN_DOCUMENTS = word_set(
    """.doc .docx .odt .rtf .epub .pages .ppt .pptx .odp .xls .xlsx .ods .tex .rst .adoc
    .asciidoc .org .textile .wiki .mediawiki .dbk .docbook .djvu .mobi .azw3 .fb2 .numbers .msg
    .eml .mht .mhtml"""
)
