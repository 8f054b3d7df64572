"""HTML: what a reader of the page would read, cut at its headings.

Scripts, styles, navigation, forms and hidden parts are left out. Nothing is fetched and
nothing is run.
"""

import re
from typing import TYPE_CHECKING

from ...words import word_set
from ..documents import Anchors, Document, Section, decode, heading, slug, tidy

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
LEFT_OUT = word_set(
    """script style nav template noscript svg math iframe object embed canvas audio video footer
    aside form button select textarea dialog head title map"""
)
INLINE = word_set(
    """a abbr b bdi bdo big cite code data del dfn em font i ins kbd label mark q s samp small span
    strike strong sub sup time tt u var wbr ruby rt rp img br -text"""
)


def read_html(data: bytes, title: str) -> Document:
    """Read a UTF-8 page. Raises `UnreadableError` when it is not UTF-8."""
    return read_page(decode(data), title)


def read_page(page: str, title: str) -> Document:
    """Read the page `page`; its first `h1`, else its `title`, else `title` names it."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(page)
    reading = _PageReader()
    top = tree.css_first("main") or tree.body
    if top is not None:
        reading.read(top)
    named = tree.css_first("title")
    fallback = heading(named.text()) if named is not None else ""
    return reading.document(fallback or title)


class _PageReader:
    """The state of one walk over a page: the open block, the open row, the sections so far."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._blocks: list[str] = []
        self._found: list[tuple[int, str, str, list[str]]] = [(0, "", "", self._blocks)]
        self._anchors = Anchors()
        self._cells: list[str] | None = None
        self._is_header = True
        self._columns: list[str] = []
        self._preformatted = 0

    def read(self, top: "LexborNode") -> None:
        # A stack of our own: pages nest deeper than Python's.
        stack: list[tuple[LexborNode, bool]] = [(top, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                self._leave(node)
            elif self._enter(node):
                stack.append((node, True))
                children = list(node.iter(include_text=True))
                stack.extend((child, False) for child in reversed(children))
        self._flush()

    def _enter(self, node: "LexborNode") -> bool:
        tag = node.tag or ""
        if tag == "-text":
            text = node.text(deep=False)
            self._text.append(text if self._preformatted else re.sub(r"\s+", " ", text))
            return False
        if tag in LEFT_OUT or tag.startswith("-") or _is_hidden(node):
            return False
        if tag == "br":
            self._text.append("\n")
        elif tag == "img":
            self._text.append(node.attributes.get("alt") or "")
        elif tag == "table":
            self._flush()
            self._columns = []
        elif tag == "tr":
            self._flush()
            self._cells = []
            self._is_header = True
        elif tag not in INLINE:
            self._break()
        self._preformatted += tag == "pre"
        return True

    def _leave(self, node: "LexborNode") -> None:
        tag = node.tag or ""
        self._preformatted -= tag == "pre"
        if tag in HEADINGS and self._cells is None:
            self._start_section(node, HEADINGS[tag])
        elif tag in ("td", "th") and self._cells is not None:
            self._cells.append(" ".join(self._take().split()))
            self._is_header &= tag == "th"
        elif tag == "tr":
            self._end_row()
        elif tag not in INLINE:
            self._break()

    def _take(self) -> str:
        text, self._text = tidy("".join(self._text)), []
        return text

    def _flush(self) -> None:
        if text := self._take():
            self._blocks.append(text)

    def _break(self) -> None:
        """End the block; inside a table cell a block is only a space."""
        if self._cells is None:
            self._flush()
        else:
            self._text.append(" ")

    def _start_section(self, node: "LexborNode", level: int) -> None:
        # Generators of pages hang a "¶" or "#" on headings, to link to them.
        text = heading(self._take()).rstrip("¶#").rstrip()
        if not text:
            return
        anchor = self._anchors.give(node.attributes.get("id") or slug(text))
        self._blocks = []
        self._found.append((level, text, anchor, self._blocks))

    def _end_row(self) -> None:
        """Make a row a sentence that stands alone: each cell with the name of its column."""
        cells, self._cells = self._cells or [], None
        self._text = []
        if self._is_header:
            self._columns = cells
        elif any(cells):
            if len(cells) == len(self._columns):
                pairs = zip(self._columns, cells, strict=True)
                parts = [f"{name}: {cell}" if name else cell for name, cell in pairs if cell]
            else:
                parts = [cell for cell in cells if cell]
            self._blocks.append("; ".join(parts))

    def document(self, fallback: str) -> Document:
        """Return what was read, each section with the headings that lead to it."""
        title = next((text for level, text, _, _ in self._found if level == 1), fallback)
        titled = False
        path: list[tuple[int, str]] = []
        sections: list[Section] = []
        for level, text, anchor, blocks in self._found:
            path = [(above, name) for above, name in path if above < level]
            if level == 1 and not titled:
                titled = True  # the title itself: it heads every section already
            elif level:
                path.append((level, text))
            if blocks:
                headings = (title, *(name for _, name in path))
                sections.append(Section(headings, anchor, tuple(blocks)))
        return Document(title, tuple(sections))


def _is_hidden(node: "LexborNode") -> bool:
    attributes = node.attributes
    return "hidden" in attributes or attributes.get("aria-hidden") == "true"
