"""HTML: what a reader of the page would read, cut at its headings.

Scripts, styles, menus and hidden parts are left out (`page_parts` says which). Nothing is
fetched and nothing is run.
"""

import re
from typing import TYPE_CHECKING

from ..documents import Anchors, Document, Section, decode, heading, keep_lines, slug, tidy
from .page_parts import INLINE, LEFT_OUT, find_content, is_hidden, is_menu, is_note_mark, open_page

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}

CONTENTS = frozenset({"table of contents", "contents", "on this page", "in this article"})
"""What stands above a table of contents, which is left out."""

_DECLARED = re.compile(
    rb"""<meta[^>]{0,200}charset\s*=\s*["']?\s*([\w:.-]+)|<\?xml[^>]{0,200}encoding=["']([\w:.-]+)""",
    re.IGNORECASE,
)
_EXPLICIT_ID = re.compile(r"\s*\{\s*#([^\s{}]+)[^{}]*\}\s*$")


def read_html(data: bytes, title: str) -> Document:
    """Read a page in UTF-8 or the encoding it declares. Raises `UnreadableError` for another."""
    found = _DECLARED.search(data[:4096])
    declared = (found[1] or found[2]).decode("ascii") if found else None
    # What is called Latin-1 on the web is its superset (WHATWG Encoding Standard).
    if declared and declared.lower() in ("iso-8859-1", "latin1", "us-ascii", "ascii"):
        declared = "cp1252"
    if declared and declared.lower().startswith("utf-16"):
        declared = "utf-8"  # it could not have been read up to here
    return read_page(decode(data, declared), title)


def read_page(page: str, title: str, *, named: str = "", with_slugs: bool = False) -> Document:
    """Read the page `page`. `named` is its name if it is known, `title` what else names it.

    `with_slugs` gives a heading without an id the anchor that GitHub would; otherwise such a
    section is found by the anchor above it.
    """
    tree = open_page(page)
    reading = _PageReader(with_slugs=with_slugs)
    top = find_content(tree)
    if top is not None:
        reading.read(top)
    tab = tree.css_first("head > title") or tree.css_first("title")
    return reading.document(named, heading(tab.text()) if tab is not None else "", title)


class _PageReader:
    """The state of one walk over a page: the open block, the open row, the sections so far."""

    def __init__(self, *, with_slugs: bool) -> None:
        self._with_slugs = with_slugs
        self._text: list[str] = []
        self._blocks: list[str] = []
        self._found: list[tuple[int, str, str, list[str]]] = [(0, "", "", self._blocks)]
        self._anchors = Anchors()
        self._passed_id = ""  # of an element that began since the last text
        self._block_id: str | None = None  # of one that began right before the open block
        self._cells: list[str] | None = None
        self._is_header = True
        self._columns: list[str] = []
        self._preformatted = 0
        self._code = 0

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
            self._add_text(node.text(deep=False))
            return False
        if tag in LEFT_OUT or tag.startswith("-") or is_hidden(node) or is_menu(node):
            return False
        if is_note_mark(node):
            return False
        own = node.attributes.get("id") or (node.attributes.get("name") if tag == "a" else None)
        if own and tag not in HEADINGS:
            self._passed_id = own
        self._open(tag, node)
        return tag not in ("math", "br", "img")

    def _open(self, tag: str, node: "LexborNode") -> None:
        if tag == "math":
            self._text.append(_formula(node))
        elif tag == "br":
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
        if tag == "pre":
            self._preformatted += 1
        elif tag == "code" and not self._preformatted:
            self._code += 1
            self._text.append("`")

    def _add_text(self, text: str) -> None:
        if text.strip():
            if self._block_id is None:
                self._block_id = self._passed_id
            self._passed_id = ""
        self._text.append(text if self._preformatted else re.sub(r"\s+", " ", text))

    def _leave(self, node: "LexborNode") -> None:
        tag = node.tag or ""
        if tag not in INLINE and node.attributes.get("id") == self._passed_id:
            self._passed_id = ""  # it is over, and was not empty as an anchor is
        if tag == "pre":
            self._end_listing()
            self._preformatted -= 1
        elif tag == "code" and self._code and not self._preformatted:
            self._code -= 1
            self._text.append("`")
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
        self._block_id = None
        return text.replace("``", "")

    def _flush(self) -> None:
        if self._preformatted and self._cells is None:
            self._end_listing()
        elif (text := self._take()) and text.casefold().rstrip(":") not in CONTENTS:
            self._blocks.append(text)

    def _end_listing(self) -> None:
        """End a block of code, which keeps its lines; in a table cell it is text."""
        if self._cells is not None:
            return
        code, self._text = keep_lines("".join(self._text)), []
        self._block_id = None
        if code.strip():
            self._blocks.append(code)

    def _break(self) -> None:
        """End the block; inside a table cell a block is only a space, in code a line."""
        if self._preformatted:
            self._text.append("\n" if self._text and not self._text[-1].endswith("\n") else "")
        elif self._cells is None:
            self._flush()
        else:
            self._text.append(" ")

    def _start_section(self, node: "LexborNode", level: int) -> None:
        passed = self._block_id
        # Generators of pages hang a "¶" or "#" on headings, to link to them.
        text = heading(self._take().replace("`", "")).rstrip("¶#").rstrip()
        explicit = _EXPLICIT_ID.search(text)
        text = _EXPLICIT_ID.sub("", text)
        if not text:
            return
        own = explicit[1] if explicit else node.attributes.get("id") or passed or _link_to(node)
        if own:
            anchor = self._anchors.keep(own)
        elif self._with_slugs:
            anchor = self._anchors.give(slug(text))
        else:
            anchor = self._found[-1][2]
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

    def document(self, named: str, tab: str, fallback: str) -> Document:
        """Return what was read, each section with the headings that lead to it."""
        tops = [text for level, text, _, _ in self._found if level == 1]
        title = named or _name_of_page(tops, tab) or fallback
        titled = False
        path: list[tuple[int, str]] = []
        sections: list[Section] = []
        for level, text, anchor, blocks in self._found:
            path = [(above, name) for above, name in path if above < level]
            if level == 1 and not titled and text == title:
                titled = True  # the title itself: it heads every section already
            elif level:
                path.append((level, text))
            if blocks:
                headings = (title, *(name for _, name in path))
                sections.append(Section(headings, anchor, tuple(blocks)))
        return Document(title, tuple(sections))


def _name_of_page(tops: list[str], tab: str) -> str:
    """Pick the title among the page's first-level headings and the title of its tab.

    Of several headings, one is the page's and the others a site's or a chapter's: the one that
    the tab repeats.
    """
    distinct = list(dict.fromkeys(tops))
    if len(distinct) > 1 and tab:
        folded = tab.casefold()
        told = [top for top in distinct if top.casefold() in folded]
        return max(told, key=lambda top: (-folded.index(top.casefold()), len(top)), default=tab)
    return next(iter(distinct), tab)


def _link_to(node: "LexborNode") -> str:
    """Return the fragment that a heading's own link names, or the id of something in it."""
    for part in node.css("a[href^='#']"):
        if fragment := (part.attributes.get("href") or "")[1:]:
            return fragment
    inner = node.css_first("[id]")
    return (inner.attributes.get("id") or "") if inner is not None else ""


def _formula(node: "LexborNode") -> str:
    source = node.css_first("annotation")
    text = source.text() if source is not None else node.attributes.get("alttext")
    return f" {text or node.text(separator=' ')} "
