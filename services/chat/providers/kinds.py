"""What kind of answer a question asks for, by its wording."""

import re
from dataclasses import dataclass
from typing import Literal

from ..words import count_sentences_wanted, fold

Kind = Literal["plan", "compare", "list", "how", "plain"]

_PLAN = re.compile(
    r"\b(?:plan|itinerary|schedule)\b|\b(?:trip|days?|week|weekend)s? (?:in|to|through|around)\b"
)
_COMPARE = re.compile(
    r"\b(?:compare|comparison|versus|vs|difference between|differ from|better,? .+ or)\b"
    r"|\b(?:\w+) or (?:\w+)\?$"
)
_SIDES = tuple(
    re.compile(rf"{sides}(?: (?:for|as|in|by|when)\b.*)?[?.!]*$", re.IGNORECASE)
    for sides in (
        r"compare (.+?) (?:and|with|to|against) (.+?)",
        r"(?:difference|comparison) between (.+?) and (.+?)",
        r"(\S+) (?:versus|vs\.?|or) (\S+?)",
    )
)
_LIST = re.compile(
    r"^(?:list|name|which|what are|give me|show me)\b.*s\b|\b(?:best|top|list of|all the"
    r"|options|ideas|recommend\w*|suggest\w*|tips|highlights|must[- ]see)\b"
)
_HOW = re.compile(r"^(?:how (?:do|can|should|to)|can i|show|example)\b")
_QUANTITY = re.compile(
    r"\b(?:how (?:many|much|long|far|tall|high|big|large|old|deep|wide|often|heavy|hot|cold|fast)"
    r"|when|what (?:time|year|day|date|number|size|version)|which (?:year|day|month|version)"
    r"|default|maximum|minimum|max|min|limit)\b"
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: the kind of answer, how many units, whether a number or a date.

    `sides` are the two things to compare.
    """

    kind: Kind
    units: int
    wants_number: bool
    sides: tuple[str, str] | None = None


def read_wish(question: str) -> Wish:
    """Read the wish in the wording of a question."""
    plain = fold(question).strip()
    units = count_sentences_wanted(question)
    number = _QUANTITY.search(plain) is not None
    if _COMPARE.search(plain):
        for pattern in _SIDES:
            if found := pattern.search(" ".join(question.split())):
                return Wish("compare", 8, number, (found[1], found[2]))
    if _PLAN.search(plain) and not number:
        return Wish("plan", 8, number)
    if units == 5 or (_LIST.search(plain) and not number):
        return Wish("list", max(units, 4), number)
    if _HOW.search(plain):
        return Wish("how", units, number)
    return Wish("plain", units, number)
