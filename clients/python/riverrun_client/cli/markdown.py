"""The Markdown of an answer for a terminal, a row at a time: headings, lists, emphasis, code.

An answer is shown while it is written, so no row waits for another: what a row leaves open
(bold, code, a fence) is kept for the next.
"""

import re
from dataclasses import dataclass

from rich.text import Text

_CITATION = r"\[\d{1,2}\]"
_MARK = re.compile(r"(?<!\*)\*\*(?!\*)|`")
_HEADING = re.compile(r"#{1,6} +")
_ITEM = re.compile(r"(\s*)[*+-] +(?=\S)")
_LINK = re.compile(r"\[([^\]\n]+)\]\((https?://[^\s)]+)\)")


@dataclass(frozen=True, slots=True)
class Open:
    """What the rows so far have begun and not ended. `begins` is whether a line begins here."""

    begins: bool = True
    heading: bool = False
    bold: bool = False
    code: bool = False
    fence: bool = False


def render_row(row: str, was: Open, *, ends: bool) -> tuple[Text | None, Open]:
    """Return a row as styled text (None for a fence, which is not shown), and what it leaves open.

    `ends` says that its line ends here.
    """
    if was.begins and row.lstrip().startswith("```"):
        return None, Open(begins=ends, fence=not was.fence)
    if was.fence:
        return Text(row, style="cyan"), Open(begins=ends, fence=True)
    heading = was.heading
    if was.begins and (marks := _HEADING.match(row)):
        heading, row = True, row[marks.end() :]
    elif was.begins and (item := _ITEM.match(row)):
        row = f"{item.group(1)}• {row[item.end() :]}"
    row = _LINK.sub(r"\1 (\2)", row)
    text, bold, code = Text(), was.bold, was.code
    at = 0
    for mark in _MARK.finditer(row):
        is_bold = mark.group() == "**"
        if is_bold and (code or not _is_emphasis(row, mark, opens=not bold)):
            continue
        if not is_bold and not code and "`" not in row[mark.end() :]:
            continue  # a lone backtick is itself
        text.append(row[at : mark.start()], _style(heading, bold, code))
        at = mark.end()
        bold, code = (not bold, code) if is_bold else (bold, not code)
    text.append(row[at:], _style(heading, bold, code))
    text.highlight_regex(_CITATION, "cyan")
    if ends:
        return text, Open()
    return text, Open(begins=False, heading=heading, bold=bold, code=code)


def _is_emphasis(row: str, mark: re.Match[str], *, opens: bool) -> bool:
    beside = row[mark.end() : mark.end() + 1] if opens else row[: mark.start()][-1:]
    return bool(beside.strip()) or (not opens and mark.start() == 0)


def _style(heading: bool, bold: bool, code: bool) -> str:
    return "cyan" if code else "bold" if heading or bold else ""
