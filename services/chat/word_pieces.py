"""Split a finished text into the small pieces a model would stream.

A piece is about a word with the white space behind it; joined, the pieces are the text. It
knows nothing of who wrote the text or where the pieces go.
"""

import re
import unicodedata
from collections.abc import Iterator

MAX_PIECE = 24
"""Characters. Scripts that put no spaces between words would otherwise come in one lump."""

_WORD = re.compile(r"\s*\S+\s*|\s+")
_ZERO_WIDTH_JOINER = "\u200d"


def split_into_pieces(text: str) -> Iterator[str]:
    """Yield the pieces of `text`, none empty, in order.

    A cut inside a word falls between two grapheme clusters (as in Unicode TR 29, a little
    coarser: where in doubt it does not cut), so that no reader sees half an emoji.
    """
    for match in _WORD.finditer(text):
        word = match.group()
        start = 0
        while len(word) - start > MAX_PIECE:
            end = start + MAX_PIECE
            while end < len(word) and not _can_cut(word, end):
                end += 1
            yield word[start:end]
            start = end
        if start < len(word):
            yield word[start:]


def _can_cut(text: str, at: int) -> bool:
    before, after = text[at - 1], text[at]
    if _ZERO_WIDTH_JOINER in (before, after) or _is_extension(after):
        return False
    if _is_prefix(before):
        return False
    if _is_flag(before) and _is_flag(after):
        # A flag is two regional indicators: count those before the cut.
        run = at
        while run and _is_flag(text[run - 1]):
            run -= 1
        return (at - run) % 2 == 0
    return not (_is_jamo(before) and _is_jamo(after)) and (before, after) != ("\r", "\n")


def _is_extension(character: str) -> bool:
    # Marks, skin tones, tags, the halfwidth voiced marks, and the vowels Thai and Lao write as
    # letters although they lean on the one before.
    return (
        unicodedata.category(character)[0] == "M"
        or "\U0001f3fb" <= character <= "\U0001f3ff"
        or "\U000e0020" <= character <= "\U000e007f"
        or character in "\u200c\uff9e\uff9f\u0e33\u0eb3"
    )


def _is_prefix(character: str) -> bool:
    # Viramas join the consonant behind them to the one before; "prepend" signs precede theirs.
    return unicodedata.combining(character) == 9 or (
        unicodedata.category(character) == "Cf" and unicodedata.bidirectional(character) == "AN"
    )


def _is_flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _is_jamo(character: str) -> bool:
    return (
        "\u1100" <= character <= "\u11ff"
        or "\ua960" <= character <= "\ua97c"
        or "\uac00" <= character <= "\ud7fb"
    )
