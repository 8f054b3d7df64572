"""The parts of a page: what is its content, and what is furniture, hidden or a menu."""

import re
from typing import TYPE_CHECKING

from ...words import word_set

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

LEFT_OUT = word_set(
    """script style nav template noscript svg iframe object embed canvas audio video footer
    button select textarea input dialog head title map"""
)
INLINE = word_set(
    """a abbr b bdi bdo big cite code data del dfn em font i ins kbd label mark math q s samp small
    span strike strong sub sup time tt u var wbr ruby rt rp img br -text"""
)

DEEPEST = 500
"""Levels of nesting that a page may have; the parser's time grows with their square."""

ENOUGH = 0.2
"""The share of the page's text that its `main` has to hold: an empty one is filled by a script."""

MENU_LINKS = 4
"""Links from which a list of nothing but links is a menu."""

_TAG = re.compile(r"<(/?)([a-zA-Z][\w-]*)[^<>]*?(/?)>")
_FLAT = word_set("html head title body main h1 h2 h3 h4 h5 h6 p br pre script style hr")
_VOID = word_set("area base br col embed hr img input link meta param source track wbr")
_HIDING = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_SIMPLE = re.compile(r"[\w.#-]+")
_TAB = re.compile(r"\btab(?:s|bed|-?(?:pane|panel|content|set))?\b")
_FOR_SCREEN_READERS = word_set("sr-only visually-hidden visuallyhidden screen-reader-text")


def open_page(page: str) -> "LexborHTMLParser":
    """Parse `page`, without the parts that its own style sheets hide."""
    from selectolax.lexbor import LexborHTMLParser

    if _depth(page) > DEEPEST:
        page = _TAG.sub(lambda found: found[0] if found[2].lower() in _FLAT else " ", page)
    tree = LexborHTMLParser(page)
    for style in tree.css("style"):
        for selectors, rules in _RULE.findall(style.text() or ""):
            if _HIDING.search(rules) and "@" not in selectors:
                _remove(tree, selectors)
    return tree


def find_content(tree: "LexborHTMLParser") -> "LexborNode | None":
    """Return the part of the page that is its text: `main` if it holds it, else the body."""
    body = tree.body
    if body is None:
        return None
    whole = len(body.text() or "")
    for node in tree.css("main, [role=main]"):
        text = (node.text() or "").strip()
        if text and len(text) >= ENOUGH * min(whole, 1_000):
            return node
    return body


def is_hidden(node: "LexborNode") -> bool:
    """Tell whether an element is not shown. The panel of a tab waits to be chosen: it is read."""
    attributes = node.attributes
    if is_tab(node):
        return False
    return (
        ("hidden" in attributes and attributes["hidden"] != "until-found")
        or attributes.get("aria-hidden") == "true"
        or bool(_HIDING.search(attributes.get("style") or ""))
        or not _FOR_SCREEN_READERS.isdisjoint((attributes.get("class") or "").split())
    )


def is_tab(node: "LexborNode") -> bool:
    """Tell whether an element is one of several that a reader chooses among."""
    return node.attributes.get("role") == "tabpanel" or bool(
        _TAB.search(node.attributes.get("class") or "")
    )


def is_menu(node: "LexborNode") -> bool:
    """Tell whether an element only leads elsewhere: a bar, a table of contents, a list of links."""
    role = node.attributes.get("role")
    if role in ("navigation", "search", "menu", "menubar"):
        return True
    if node.tag not in ("ul", "ol", "div", "aside", "table"):
        return False
    links = node.css("a[href]")
    if len(links) < MENU_LINKS:
        return False
    text = "".join((node.text() or "").split())
    linked = sum(len("".join((link.text() or "").split())) for link in links)
    inside = all((link.attributes.get("href") or "").startswith("#") for link in links)
    return linked >= (0.7 if inside else 0.85) * len(text)


def is_note_mark(node: "LexborNode") -> bool:
    """Tell whether an element is the mark of a footnote: it would pass for a citation."""
    if node.tag not in ("sup", "a") or not re.fullmatch(
        r"\s*\[?[\d*†‡]{1,4}\]?\s*", node.text() or ""
    ):
        return False
    link = node if node.tag == "a" else node.css_first("a")
    return link is not None and (link.attributes.get("href") or "").startswith("#")


def _remove(tree: "LexborHTMLParser", selectors: str) -> None:
    for selector in map(str.strip, selectors.split(",")):
        # Simple selectors only: those of a state or of a printer hide nothing here.
        if _SIMPLE.fullmatch(selector) and selector not in ("html", "body", "main"):
            for node in tree.css(selector):
                if not is_tab(node):
                    node.decompose()


def _depth(page: str) -> int:
    """Return about how deep the page nests, without parsing it."""
    depth = deepest = 0
    for closing, name, alone in _TAG.findall(page):
        if closing:
            depth -= depth > 0
        elif not alone and name.lower() not in _VOID:
            depth += 1
            deepest = max(deepest, depth)
    return deepest
