"""Markdown (CommonMark with GitHub's tables), read as the page it would become.

Rendered once and read by the HTML reader, so that links become their text, entities their
characters, and raw HTML gets no more trust than any other page. It follows no link. What the
generators of sites add to Markdown (front matter, admonitions, short codes, components) is
taken off first.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import Any

from ..documents import Document, Section, decode, heading
from .html import read_page

# YAML between "---" lines, or TOML between "+++" lines, at the very start.
_FRONT_MATTER = re.compile(r"\A(---|\+\+\+)[^\S\n]*\n((?:.*\n)*?)(?:\1|\.\.\.)[^\S\n]*(?:\n|\Z)")
_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
# "> [!NOTE]", ":::tip Title", "!!! note \"Title\"", "/// warning | Title".
_QUOTE_MARK = re.compile(r"(\s*>\s*)\[!\w+\][-+]?\s*(.*)")
_COLONS = re.compile(r"\s*:{3,}\s*\{?\.?\w*\}?\s*(?:\[(.*)\]|(.*?))\s*(?:\{.*\})?$")
# Filled in by a tool, with options below.
_GENERATED = re.compile(r"\s*:::\s+[\w-]+(?:\.[\w-]+)+\s*$")
_SLASHES = re.compile(r"\s*/{3}\s*(?:[\w-]+\s*)?(?:\|\s*(.*))?$")
_BANGS = re.compile(r"(\s*)(?:!!!|\?\?\?\+?|={3})\s+(?:[\w -]+?\s*)?(?:\"(.*)\")?\s*$")
_SHORT_CODE = re.compile(r"\{\{[<%].*?[>%]\}\}|\{%.*?%\}|^\s*<!--.*?-->\s*$")
_ATTRIBUTES = re.compile(r"(?<=\S)\s*\{:?\s*[.:][^{}\n]*\}\s*$")
_COMPONENT = re.compile(r"</?[A-Z][\w.]*(?:\s[^<>]*)?/?>")
_MODULE = re.compile(
    r"(?:import\s.+?from\s+['\"].*|import\s+['\"].*|export\s+(?:const|default)\b.*)$"
)


def read_markdown(data: bytes, title: str) -> Document:
    """Read Markdown; its front matter may name it. Raises `UnreadableError` when it is no text."""
    return read_markdown_text(decode(data), title)


def read_markdown_text(text: str, title: str) -> Document:
    """Read the text of a Markdown file."""
    from markdown_it import MarkdownIt

    text = text.replace("\r\n", "\n").replace("\r", "\n")
    matter = _FRONT_MATTER.match(text)
    about = _read_front_matter(matter[1], matter[2]) if matter else {}
    body = "\n".join(_clean_lines(text[matter.end() :] if matter else text))
    renderer = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    named = heading(_text_of(about, "title", "Title"))
    document = read_page(renderer.render(body), title, named=named, with_slugs=True)
    summary = read_page(
        renderer.render(_text_of(about, "description", "summary", "abstract")), title
    )
    return _introduce(document, [block for one in summary.sections for block in one.blocks])


def _introduce(document: Document, summary: Sequence[str]) -> Document:
    """Put what the front matter says of a page above its text, as a page shows it."""
    said = {block for section in document.sections for block in section.blocks}
    new = tuple(block for block in summary if block not in said)
    if not new:
        return document
    own = (document.title,)
    first, rest = document.sections[:1], document.sections[1:]
    if first and first[0].headings == own:
        # Its own words go on from there.
        first = (replace(first[0], blocks=(*new, *first[0].blocks)),)
    else:
        first = (Section(own, "", new), *first)
    return replace(document, sections=(*first, *rest))


def _read_front_matter(mark: str, text: str) -> Mapping[str, Any]:
    """Return what the front matter says, or nothing if it is not understood."""
    import tomllib

    import yaml  # type: ignore[import-untyped]  # PyYAML ships no types

    try:
        found = tomllib.loads(text) if mark == "+++" else yaml.safe_load(text)
    except (tomllib.TOMLDecodeError, yaml.YAMLError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text_of(about: Mapping[str, Any], *names: str) -> str:
    found = next((about[name] for name in names if isinstance(about.get(name), str)), "")
    return " ".join(found.split())


def _clean_lines(text: str) -> list[str]:
    """Return the lines of `text` without what is not CommonMark; code stays as it is."""
    kept: list[str] = []
    fence = ""
    generated = False
    margin: list[int] = []  # of the open admonitions, whose content is indented
    for line in text.split("\n"):
        while margin and line.strip() and _indent(line) < margin[-1]:
            margin.pop()
        content = line[margin[-1] :] if margin else line
        mark = _FENCE.match(content)
        if generated and (not line.strip() or _indent(line) >= 2):
            continue
        generated = not fence and _GENERATED.match(content) is not None
        if generated:
            continue
        if fence or mark:
            kept.append(content)
            if fence and mark and mark[1].startswith(fence) and not content.strip(" `~"):
                fence = ""
            elif not fence and mark:
                fence = mark[1]
            continue
        opened = _BANGS.match(content)
        if opened:
            margin.append(_indent(line) + 4)
            kept.extend(["", _bold(opened[2]), ""])
        else:
            kept.append(_clean_line(content))
    return kept


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _clean_line(line: str) -> str:
    for pattern in (_COLONS, _SLASHES):
        if found := pattern.match(line):
            title = next((group for group in found.groups() if group), "")
            return f"\n{_bold(title)}\n"
    if found := _QUOTE_MARK.match(line):
        return f"{found[1]}{_bold(found[2])}"
    if _MODULE.match(line):
        return ""
    line = _SHORT_CODE.sub("", line)
    return _ATTRIBUTES.sub("", _COMPONENT.sub(" ", line))


def _bold(title: str | None) -> str:
    text = (title or "").strip()
    return f"<p>{escape(text)}.</p>" if text and not text.endswith((".", "!", "?", ":")) else text
