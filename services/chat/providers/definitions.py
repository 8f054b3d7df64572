"""What a question wants defined, and the sentences that define it.

"What is a slice?" is answered by a sentence that begins with the thing and says what it is or does;
one that only uses the word comes close in meaning and answers nothing. English.
"""

import re
from functools import lru_cache

from ..words import fold, stem
from .asked import LONGEST_READ

_ASKS = re.compile(
    r"^\W*(?:what(?:'s| is| are)|what (?:do|does)|define|explain)"
    r" (?:(?:the|an?) )?(?:(?:term|word|concept of) )?(?P<thing>[^?!.]{1,60}?)"
    r"(?: (?:do|mean|for|used for|about|stand for))?\W*$",
    re.IGNORECASE,
)
_NOT_A_THING = re.compile(
    r"\b(?:best|difference|way|time|name|in|on|at|of|to|for|from|with|between|i|you|we|and|or)\b",
    re.IGNORECASE,
)
_KIND = re.compile(
    r"\b(?P<name>[\w.$!-]+) (?P<kind>keyword|method|function|command|operator|macro|option|trait"
    r"|type|attribute|flag|module|statement|expression|setting|parameter|middleware|pragma)\b",
    re.IGNORECASE,
)
_VERB = (
    r"(?:(?:is|are) (?:an?|the|any|one|used|what|how|where|when|like|to|just|simply|another)\b"
    r"|means?\b|lets?\b|allows?\b|provides?\b|takes?\b|returns?\b|brings?\b|does\b|refers?\b"
    r"|stands? for\b|contains?\b|consists?\b|sets?\b|makes?\b|defines?\b|enables?\b)"
)
_CALLED = r"(?:called|known as|named)"

MOST_WORDS = 4


def read_thing(question: str) -> str | None:
    """Return the thing whose definition is asked for, folded; None where none is."""
    found = _ASKS.match(" ".join(question[:LONGEST_READ].split()))
    thing = fold(found["thing"]).strip(" `'\"") if found else ""
    if not thing or len(thing.split()) > MOST_WORDS or _NOT_A_THING.search(thing):
        return None
    return thing


def is_definition(thing: str, text: str) -> bool:
    """Tell whether a sentence says what the thing is or does."""
    return _compile(thing).search(fold(text)) is not None or defines_code(thing, text)


def defines_code(thing: str, text: str) -> bool:
    """Tell whether a text begins with a name of code and what it does: "`after` slices a list"."""
    found = _KIND.fullmatch(thing)
    name = re.escape(found["name"] if found else thing)
    return re.match(rf"\W*`{name}\W*` (?:\w+ )?(?:is|are|\w+s)\b", fold(text)) is not None


def names_code_of(question: str, text: str) -> bool:
    """Tell whether a text has what the question calls a keyword, a method: "the use keyword"."""
    folded = fold(text)
    return any(
        re.search(rf"`{re.escape(fold(found['name']))}\W*`|\b{re.escape(fold(found[0]))}", folded)
        for found in _KIND.finditer(question[:LONGEST_READ])
    )


@lru_cache(maxsize=1 << 10)
def _compile(thing: str) -> re.Pattern[str]:
    words = r"[\s`'\"]+".join(rf"{re.escape(stem(word))}\w{{0,3}}" for word in thing.split())
    quoted = rf"[`'\"(]*{words}[`'\")]*"
    in_brackets = rf"\((?:an? |the |called )?{quoted}s?\)"
    spelled_out = rf"{quoted} \((?:\w+[ -]){{1,5}}\w+\)|{quoted} (?:stands for|is short for)\b"
    begins = rf"^\W*(?:(?:the|an?|each|every|in \w+,?) )*(?:\w+ )?{quoted}(?: \w+)? {_VERB}"
    named = rf"\b{_CALLED} (?:an? |the )?{quoted}|^\W*{quoted}\s*[:–—-]"
    return re.compile(rf"{begins}|{named}|{in_brackets}|{spelled_out}")
