"""What a document is once its file format is forgotten: a title and sections of plain text.

The readers (one module a format) make these; chunking reads them. Nothing here opens a file.
Documents are untrusted: what leaves this module holds no control characters, no lone
surrogates and no anchor that needs escaping.
"""

import codecs
import re
import textwrap
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
    finds it in the document, without "#" and already percent-encoded; empty when the document
    has none. A line break in a block is a boundary between sentences, except in `Verbatim`.
    """

    headings: tuple[str, ...]
    anchor: str
    blocks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A title and the sections below it, in reading order.

    `doubts` says what may have gone wrong in reading it, each a clause about the file.
    """

    title: str
    sections: tuple[Section, ...]
    doubts: tuple[str, ...] = ()


class Verbatim(str):
    """A block that keeps its lines and their indentation: code, a listing, a diagram."""

    __slots__ = ()


def decode(data: bytes, declared: str | None = None) -> str:
    """Return the text of a file: UTF-8, or the encoding it declares.

    A byte order mark declares UTF-8, UTF-16 or UTF-32; `declared` is what the format itself
    says. Raises `UnreadableError` for any other encoding: a guess would fill the index with
    mojibake.
    """
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), declared)
    try:
        text = data.decode(encoding or "utf-8")
    except LookupError as error:
        raise UnreadableError(f"declares an unknown encoding ({declared})") from error
    except UnicodeDecodeError as error:
        if encoding:
            raise UnreadableError(f"is not {encoding}, which it says it is") from error
        raise UnreadableError(
            f"is not UTF-8 (byte {error.start + 1:,}); save it as UTF-8"
        ) from error
    if "\0" in text:
        raise UnreadableError("holds NUL bytes, so it is not a text; save it as UTF-8")
    return text


# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def is_invisible(character: str) -> bool:
    """Tell whether a character is a control or a lone surrogate, and no white space."""
    return not character.isspace() and unicodedata.category(character) in ("Cc", "Cs")


def keep_lines(text: str) -> Verbatim:
    """Return code as it stands, without invisible characters, margins and trailing blanks."""
    visible = "".join(character for character in text if not is_invisible(character))
    # A unit separator is the one control that is white space and ends no line.
    lines = [line.rstrip() for line in visible.replace("\x1f", " ").expandtabs(4).splitlines()]
    return Verbatim(textwrap.dedent("\n".join(lines)).strip("\n"))


def tidy(text: str) -> str:
    """Return `text` with single spaces, single line breaks, and no invisible characters."""
    visible = "".join(character for character in text if not is_invisible(character))
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

    def keep(self, own: str) -> str:
        """Return the id `own` percent-encoded: the document has it, repeated or not."""
        self._given.setdefault(own, 0)
        return quote(own, safe="")

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
