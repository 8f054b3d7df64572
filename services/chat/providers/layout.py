"""Lay quoted units out as an answer in Markdown, each with its citation.

Prose for most questions; bullets for a list, headings and bullets for a plan, two columns for a
comparison. Nothing is added to what is quoted but headings that stand in the documents.
"""

import re
from collections.abc import Callable, Sequence
from itertools import groupby

from ...passages import Passage
from ..words import collect_stems
from .evidence import MARK, Evidence
from .kinds import Wish
from .units import Unit, find_listing

_INDEX = re.compile(r"(?<![\w`.])(?:\w[\w.]*[_.(]\S*?|\w+)(?:\[\d{1,4}\])+(?![`\w])")
_FOOTNOTE = re.compile(r" ?\[\^?\d{1,4}\]")
_CODE_LIKE = re.compile(r"[\w$@./#-]*(?:[a-z][A-Z]|[A-Z][a-z]+[A-Z]|[_@(]|\w\.\w)[\w$@./()#-]*")
_FENCED = re.compile(r"(`{3,}\n.*?\n`{3,})", re.DOTALL)


def compose(chosen: Sequence[Evidence], passages: Sequence[Passage], wish: Wish) -> str:
    """Compose the answer of the units that were chosen, in the order they come."""
    layouts: dict[str, Callable[[Sequence[Evidence], Sequence[Passage], Wish], str]] = {
        "compare": _lay_out_columns,
        "plan": _lay_out_plan,
        "list": _lay_out_list,
        "overview": _lay_out_overview,
    }
    lay_out = layouts.get(wish.kind, _lay_out_prose)
    return (
        lay_out(chosen, passages, wish)
        if len(chosen) > 1
        else _lay_out_prose(chosen, passages, wish)
    )


def clean_quote(text: str) -> str:
    """Return prose on one line, closed, without footnote marks that would pass for citations."""
    line = " ".join(text.split())
    line = _INDEX.sub(_quote_index, line)
    line = "".join(
        part if part.startswith("`") else _FOOTNOTE.sub("", part)
        for part in re.split(r"(`[^`]*`)", line)
    )
    return f"{line}." if line and (line[-1].isalnum() or line[-1] == "`") else line


def cite(unit: Unit) -> str:
    """Return the words of a unit with its citation; what a lead-in leads to stands below it."""
    first, *rest = (part for part in _FENCED.split(unit.text) if part.strip())
    lines = [line for line in first.split("\n") if line.strip()]
    cited = f"{clean_quote(lines[0])} [{unit.rank}]"
    items = [f"- {clean_quote(line)}" for line in lines[1:]]
    blocks = [part if part.startswith("```") else clean_quote(part) for part in rest]
    parts = [cited, *(["\n".join(items)] if items else []), *blocks]
    return "\n\n".join(parts)


def _quote_index(found: re.Match[str]) -> str:
    # An element of something: "items[0]" or "rows_of(x)[1]", no footnote mark on a word.
    is_element = found[0].endswith("[0]") or re.search(r"[_.(]", found[0])
    return f"`{found[0]}`" if is_element else found[0]


def _lay_out_prose(chosen: Sequence[Evidence], passages: Sequence[Passage], wish: Wish) -> str:
    text = ""
    for _, group in groupby(chosen, key=lambda item: item.unit.rank):
        items = list(group)
        for place, item in enumerate(items):
            passage = passages[item.unit.rank - 1]
            part = cite(item.unit)
            if place == 0:
                part = _name_heading(passage, part) + part
            if wish.kind == "how" and (found := find_listing(passage, item.unit.end)):
                part += f"\n\n{passage.text[found[0] : found[1]]}"
            is_block = "\n" in part or "\n" in text.rsplit("\n\n", 1)[-1] or text.endswith("```")
            text += ("\n\n" if is_block else " ") + part if text else part
    return text


def _lay_out_list(chosen: Sequence[Evidence], passages: Sequence[Passage], wish: Wish) -> str:
    del wish
    bullets = []
    for item in chosen:
        part = cite(item.unit)
        part = _name_heading(passages[item.unit.rank - 1], part) + part
        bullets.append("- " + part.replace("\n\n", "\n").replace("\n", "\n  "))
    return "\n".join(bullets)


def _lay_out_overview(chosen: Sequence[Evidence], passages: Sequence[Passage], wish: Wish) -> str:
    titles = [passages[item.unit.rank - 1].title for item in chosen]
    introduction = [item for item, title in zip(chosen, titles, strict=True) if MARK not in title]
    bullets = [
        f"- **{title.rpartition(MARK)[2]}**: {cite(item.unit)}"
        for item, title in zip(chosen, titles, strict=True)
        if MARK in title
    ]
    return "\n\n".join(
        filter(None, (_lay_out_prose(introduction, passages, wish), "\n".join(bullets)))
    )


def _lay_out_plan(chosen: Sequence[Evidence], passages: Sequence[Passage], wish: Wish) -> str:
    parts = []
    for rank, group in groupby(chosen, key=lambda item: item.unit.rank):
        heading = passages[rank - 1].title.rpartition(MARK)[2]
        parts.append(f"**{heading}**\n\n{_lay_out_list(list(group), passages, wish)}")
    return "\n\n".join(parts)


def _lay_out_columns(chosen: Sequence[Evidence], passages: Sequence[Passage], wish: Wish) -> str:
    if wish.sides is None:
        return _lay_out_list(chosen, passages, wish)
    columns: list[list[str]] = [[], []]
    above = []
    for item in chosen:
        title = passages[item.unit.rank - 1].title
        sides = [says_side(side, item.unit.text, title) for side in wish.sides]
        if sides[0] == sides[1]:
            above.append(cite(item.unit))
            continue
        part = " ".join(cite(item.unit).split()).replace("|", "\\|")
        columns[sides.index(True)].append(part)
    if not all(columns):
        return _lay_out_list(chosen, passages, wish)
    rows = max(map(len, columns))
    left, right = (column + [""] * (rows - len(column)) for column in columns)
    head = f"| {_name(wish.sides[0])} | {_name(wish.sides[1])} |\n| --- | --- |\n"
    table = head + "\n".join(f"| {one} | {other} |" for one, other in zip(left, right, strict=True))
    return "\n\n".join([*above, table])


def says_side(side: str, text: str, title: str) -> bool:
    """Tell whether a unit is about one of two things that are compared."""
    words = collect_stems(side)
    return bool(words) and words <= collect_stems(f"{title} {text}")


def _name(side: str) -> str:
    return side if side != side.casefold() else side[:1].upper() + side[1:]


def _name_heading(passage: Passage, text: str) -> str:
    """Return the heading of a passage if it is the thing asked for: a class, an option."""
    heading = passage.title.rpartition(MARK)[2]
    if not _CODE_LIKE.fullmatch(heading) or heading in text:
        return ""
    return f"`{heading}`: "
