"""Words that answer the wording of a question: "because" a why, "unless" a default. English.

A sentence that has them is likelier to be the one that says it than another that comes as close in
meaning. They are signs and no proof: `scores` weighs each by what it was found to be worth.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .asked import LONGEST_READ


@dataclass(frozen=True, slots=True)
class Sign:
    """What asks for something of a kind, and what says it."""

    name: str
    asks: re.Pattern[str]
    says: re.Pattern[str]


def _sign(name: str, asks: str, says: str) -> Sign:
    return Sign(name, re.compile(asks, re.IGNORECASE), re.compile(says, re.IGNORECASE))


_YES_OR_NO = r"^(?:is|are|was|were|do|does|did|can|could|has|have|will|should|may|must)\b"

SIGNS = (
    _sign(
        "must",
        r"^(?:must|do|does|should|need|has|have)\b.*\b(?:must|have to|need|required|should)\b"
        r"|^must\b",
        r"\b(?:must|ha(?:s|ve) to|needs?|required?|mandatory|necessary|optional|should)\b",
    ),
    _sign(
        "can",
        r"^(?:can|may|could)\b",
        r"\b(?:can(?:not|['’]t)?|may|allow\w*|possible|impossible|able|unable|supports?)\b",
    ),
    _sign(
        "reason",
        r"\bwhy\b|\bwhat for\b|\breason",
        r"\b(?:because|since|so that|reasons?|as a result|therefore|thus|in order to|due to|means"
        r" that|otherwise|would|to (?:avoid|prevent|ensure|allow|make|keep))\b",
    ),
    _sign(
        "default",
        r"\bdefaults?\b|\b(?:if|when) (?:i|you) (?:do not|don['’]t|say nothing|leave|omit)"
        r"|\bwithout (?:an?|any|being|setting|configur)|\bleave .{0,20}out\b"
        r"|\bnot (?:set|given|configured|specified)|\bnormally\b",
        r"\b(?:default\w*|unless|otherwise|not (?:provided|given|set|specified|present)|omitted"
        r"|if (?:not|no)|without|initially|normally)\b",
    ),
    _sign(
        "limit",
        r"\b(?:max\w*|min\w*|limit\w*|largest|longest|biggest|smallest|shortest|at most|at least"
        r"|how (?:large|long|big|many|deep|far|often|much))\b",
        r"\b(?:max\w*|min\w*|limit\w*|at most|at least|up to|no more than|between \d|exceed\w*"
        r"|more than|less than|larger|greater|only)\b",
    ),
    _sign(
        "verdict",
        _YES_OR_NO,
        r"\b(?:not|no|never|only|cannot|\w+n['’]t|without|always|any|every|unless|even|instead"
        r"|must|may|can|allowed|possible|fail\w*|error)\b",
    ),
    _sign(
        "effect",
        r"\bwhat (?:happens|does .* (?:do|return|answer))\b|\bwhat .* (?:return|raise|throw)s?\b"
        r"|\bis .{1,60} (?:run|called|used)\b",
        r"\b(?:will|then|results?|returns?|raises?|throws?|causes?|error|fail\w*|panic\w*|ignored"
        r"|becomes?|instead)\b",
    ),
    _sign(
        "way",
        r"^(?:how (?:do|can|should|would|to)|i want|(?:which|what) (?:command|option|setting"
        r"|function|method|parameter|header|flag|keyword|field))\b",
        r"`[^`]+`|```|\b(?:use|run|type|call|set|add|install)\b",
    ),
    _sign(
        "code",
        r"^(?:which|what) (?:command|option|setting|function|method|parameter|header|flag|keyword"
        r"|field|query|class|trait|macro|package|file|library|hook|tool|variable|pragma|module"
        r"|type|error|status)\b",
        r"`[^`]+`|\w+[_(]\w*|/\w+/|(?-i:\b[a-z]+[A-Z]\w+|\b[A-Z]{3,}\b)|\w-\w+\(\d\)",
    ),
)


def find_asked_signs(question: str) -> Sequence[Sign]:
    """Find the kinds of thing that the wording of a question asks for."""
    start = question[:LONGEST_READ].strip()
    return [sign for sign in SIGNS if sign.asks.search(start)]
