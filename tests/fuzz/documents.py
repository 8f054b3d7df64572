"""Documents for the ingest readers: what each format is made of, changed in a few places."""

import random
import unicodedata
from collections.abc import Callable

from services.context.ingest.chunks import chunk
from services.context.ingest.documents import Document, UnreadableError
from services.context.ingest.readers import READERS
from tests.fuzz.mutation import ODD, mutate
from tests.services.context.conftest import pdf

ODD_BYTES = [text.encode("utf-8", "surrogatepass") for text in ODD]

MARKDOWN = [
    b"# ", b"## A heading\n", b"\n\n", b"\r\n", b"    ", b"> ", b"* ", b"1. ", b"```", b"~~~\n",
    b"---\n", b"===\n", b"| a | b |\n|---|---|\n", b"[a](b)", b"![x](y)", b"[^1]: ", b"<div>",
    b"**",
    b"Words of a sentence. ", b"word ", b"`", b"&amp;", b"&#0;", b"<!-- ", b"-->", b"title: x\n",
]  # fmt: skip
HTML = [
    b"<h1>", b"</h1>", b"<h2 id='a b'>", b"<p>", b"</p>", b"<pre>", b"</pre>", b"<table><tr><td>",
    b"</table>", b"<ul><li>", b"</ul>", b"<script>", b"</script>", b"<!--", b"-->", b"<![CDATA[",
    b"<div hidden>", b"<div style='display:none'>", b"</div>", b"<meta charset=utf-16>", b"<br>",
    b"<base href=x>", b"<svg>", b"<math>", b"<template>", b"<noscript>", b"<select><option>", b"<",
    b"&#xD800;", b"&nbsp;", b"Words of a sentence. ", b"<title>", b"</title>", b"<main>", b'="',
    b">",
]  # fmt: skip
NOTEBOOK = [
    b'{"cells":[', b'{"cell_type":"markdown","source":["# A","b"]}',
    b'{"cell_type":"code","source":"x"}',
    b'"cell_type"', b'"source"', b'"outputs"', b":", b",", b"]}", b"}", b"[", b"]", b"null", b"1",
    b'"a"',
    b'"metadata":{"kernelspec":{"language":"python"}}', b'"nbformat":4',
]  # fmt: skip
PDF = [
    b"/Page", b"/Catalog", b"/Kids", b"1 0 R", b"2 0 R", b"<<", b">>", b"stream\n", b"endstream",
    b"obj",
    b"endobj", b"/Length 99999", b"/Filter /FlateDecode", b"BT", b"ET", b"Tj", b"(", b")", b"-1",
    b"99999",
    b"xref", b"trailer", b"startxref", b"/Encrypt 1 0 R", b"/Parent 4 0 R",
]  # fmt: skip

WHOLE = {
    ".md": b"---\ntitle: T\n---\n# A\n\nOne. Two.\n\n## B\n\n* x\n* y\n\n```py\nx = 1\n```\n",
    ".txt": b"A title\n\nOne sentence. Another one.\n\nA paragraph\nof two lines.\n",
    ".html": b"<title>T</title><h1 id=a>A</h1><p>One. <b>Two</b>.<ul><li>x<li>y</ul><pre>c</pre>",
    ".ipynb": b'{"cells":[{"cell_type":"markdown","source":["# A\\n","b"]}],"nbformat":4}',
    ".pdf": pdf("One page of words.", "Another page\nof two lines."),
}
PIECES = {".md": MARKDOWN, ".txt": MARKDOWN, ".html": HTML, ".ipynb": NOTEBOOK, ".pdf": PDF}


def _make_check(suffix: str) -> Callable[[random.Random], None]:
    pieces = [*PIECES[suffix], *PIECES[suffix], *ODD_BYTES]

    def check(chance: random.Random) -> None:
        data = WHOLE[suffix]
        if chance.random() < 0.4 and suffix != ".pdf":
            data = b"".join(chance.choices(pieces, k=chance.randrange(20)))
        try:
            document = READERS[suffix](mutate(data, pieces, chance), "title")
        except UnreadableError:
            return
        check_document(document)

    return check


def check_document(document: Document) -> None:
    """Fail for what no reader may let through: it would stand in a link, a prompt or a line."""
    texts = [document.title]
    for section in document.sections:
        assert section.anchor.isascii()
        assert not set(section.anchor) & set(" \"'<>&\r\n#")
        texts += [*section.headings, *section.blocks]
    for text in texts:
        assert text.isprintable() or not [
            character
            for character in text
            if unicodedata.category(character) in ("Cs", "Cc") and character not in "\n\t"
        ]
    assert all(piece.text.strip() for piece in chunk(document, "a.md"))


DOCUMENTS = {suffix[1:]: _make_check(suffix) for suffix in WHOLE}
