"""What a document is once its file format is forgotten: a title and sections of plain text.

The readers (one module a format) make these; chunking reads them. Nothing here opens a file.
Documents are untrusted: what leaves this module holds no control characters, no lone
surrogates and no anchor that needs escaping.
"""

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import quote

from ...errors import RiverrunError

LONGEST_HEADING = 200


class UnreadableError(RiverrunError):
    """A document that cannot be read. `message` is a clause about the file: "is encrypted"."""


@dataclass(frozen=True, slots=True)
class Section:
    """The text under one heading.

    `headings` leads from the document's title to this section. `anchor` is the fragment that
    finds it in the document, without "#" and already percent-encoded; empty when the format
    has none. A line break in a block is a boundary between sentences.
    """

    headings: tuple[str, ...]
    anchor: str
    blocks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A title and the sections below it, in reading order."""

    title: str
    sections: tuple[Section, ...]


def decode(data: bytes) -> str:
    """Return the text of a UTF-8 file, with or without a byte order mark.

    Raises `UnreadableError` for any other encoding: a guess would fill the index with mojibake.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError(
            f"is not UTF-8 (byte {error.start + 1:,}); save it as UTF-8"
        ) from error
    if "\0" in text:
        raise UnreadableError("holds NUL bytes, so it is not a text; save it as UTF-8")
    return text


def tidy(text: str) -> str:
    """Return `text` with single spaces, single line breaks, and no invisible characters."""
    visible = "".join(
        character
        for character in text
        if character.isspace() or unicodedata.category(character) not in ("Cc", "Cs")
    )
    # splitlines() also knows the vertical tab, the form feed and the Unicode separators.
    lines = (" ".join(line.split()) for line in visible.splitlines())
    return "\n".join(line for line in lines if line)


def heading(text: str) -> str:
    """Return a heading on one line and of a sane length."""
    line = " ".join(tidy(text).split())
    return line if len(line) <= LONGEST_HEADING else line[: LONGEST_HEADING - 1].rstrip() + "…"


def slug(text: str) -> str:
    """Return the anchor GitHub gives a heading: lower case, hyphens, no punctuation."""
    kept = "".join(
        character
        for character in text.strip().lower()
        if character in " -"
        or unicodedata.category(character)[0] in "LM"
        # \p{Word} of the rule GitHub publishes: letters, marks, digits, connectors.
        or unicodedata.category(character) in ("Nd", "Nl", "Pc")
    )
    return kept.replace(" ", "-")


class Anchors:
    """The anchors given out in one document; a repeated one gets -1, -2, as on GitHub."""

    __slots__ = ("_given",)

    def __init__(self) -> None:
        self._given: dict[str, int] = {}

    def give(self, wanted: str) -> str:
        """Return `wanted`, or `wanted-1`, ..., unused so far and percent-encoded."""
        anchor = wanted
        while anchor in self._given:
            self._given[wanted] += 1
            anchor = f"{wanted}-{self._given[wanted]}"
        self._given[anchor] = 0
        return quote(anchor, safe="")


def title_from_name(stem: str) -> str:
    """Return a title for a document that has none: its file name, with spaces."""
    return heading(re.sub(r"[-_\s]+", " ", stem)) or "Untitled"
