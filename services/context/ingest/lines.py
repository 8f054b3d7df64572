"""Lines that were broken to fit a page or a screen, made into text again."""

import re
from collections.abc import Collection

# What a line ends with where a word goes on: a hyphen, or the mark PDFium puts for one.
_BROKEN = re.compile(r"([^\W\d_]+)(?:[-\u2010\xad\ufffe]\n|[\xad\ufffe])\s*([^\W\d_]+)")
_LEADER = re.compile(r"(?:\.\s?){5,}|(?:[·…_]\s?){3,}")
_PAGE = re.compile(r"(?:[\divxlc]{1,6})?\s*$", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")


def known_words(text: str) -> frozenset[str]:
    """Return the words of `text` that stand whole on a line, compounds included."""
    whole = re.sub(r"\S+(?:[-\u2010]\n|[\xad\ufffe]\n?)\s*\S+", " ", text)
    return frozenset(word.casefold() for word in _WORD.findall(whole))


def join_hyphens(text: str, known: Collection[str]) -> str:
    """Join words that a line break divides; keep a hyphen that belongs to the word.

    "infor-/mation" is one word and "architecture-/independent" a compound: the rest of the
    document, whose words are `known`, tells which. In doubt the hyphen goes, as most were put
    there by a typesetter.
    """

    def join(found: re.Match[str]) -> str:
        left, right = found[1], found[2]
        compound, word = f"{left}-{right}", left + right
        if compound.casefold() in known:
            return compound
        if word.casefold() in known:
            return word
        if right[0].isupper() or (
            len(left) > 2 and len(right) > 2 and {left.casefold(), right.casefold()} <= set(known)
        ):
            return compound
        return word

    joined = text
    for _ in range(2):  # "a-/b-/c" overlaps
        joined = _BROKEN.sub(join, joined)
    return joined.replace("\xad", "").replace("\ufffe", "-")


def is_leader(line: str) -> bool:
    """Tell whether a line is one of a table of contents: a title, dots and a page."""
    found = _LEADER.search(line)
    return found is not None and _PAGE.match(line, found.end()) is not None


def has_no_spaces(text: str) -> bool:
    """Tell whether a text in an alphabet has lost the spaces between its words."""
    words = text.split()
    letters = [word for word in words if word[:1].isalpha() and word[0] < "\u0e00"]
    if len(letters) < 50:
        return False
    long = sum(len(word) > 30 and not re.search(r"[/_.\\:=-]", word) for word in letters)
    return long > 0.02 * len(letters)
