"""The kinds of fact that questions ask for: how they are asked, and what one looks like. English.

Only wordings that nothing but such a fact answers: "When do I use it?" asks for no date, and
"Who may use it?" for no name.
"""

import re
from dataclasses import dataclass

from ..words import MONTH

LEAST = 0.3
"""The share of the question's words, by rarity, that stands beside a fact of what is asked."""

LEAST_DEFAULT = 0.4
"""The same beside a default: documents of software have many, each of something else."""

_NUMBER = (
    r"(?:\d[\d.,_]*|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen"
    r"|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty"
    r"|seventy|eighty|ninety|hundreds?|thousands?|millions?|billions?|trillions?|half|quarter"
    r"|dozens?|twice|single)"
)
_HEIGHT = (
    r"(?:[cm]?m|ft|(?:centi|milli)?met(?:re|er)s?|feet|foot|inch(?:es)?|stor(?:ey|y|ie)s?|floors?)"
)
_DISTANCE = r"(?:km|kilomet(?:re|er)s?|miles?|yards?|blocks?)"
_TIME = r"(?:ms|\w*seconds?|minutes?|hours?|days?|nights?|weeks?|months?|years?|centur(?:y|ies))"
_SIZE = r"(?:bits?|\w*bytes?|[kmgt]i?b|characters?|digits?|letters?|words?|lines?)"
_SPAN = r"\b(?:entire|whole|forever|always|until|as long as|duration)\b"
"""How long something lasts, without a number."""

_DATE = (
    rf"\b(?:1\d|20)\d\d(?:['’]?s)?(?!\w)|\bin \d{{3}}\b|\bago\b|\bversion \d|\bv?\d+\.\d+\.\d"
    rf"|\b{MONTH}\b|\b(?:spring|summer|autumn|winter|century|easter|christmas|noon|midnight)\b"
    r"|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b|\b\d+ ?[ap]m\b|\b\d+:\d\d\b"
)
"""A day, a year, a time, or a version: software counts in them."""

_PERSON = (
    r"(?:\b(?:by|from) |(?<=[a-z,;(] )(?<!\bin )(?<!\bat )(?<!\bon )(?<!\bto ))[A-Z][\w'’.-]+"
    r"|(?:[A-Z][\w'’-]+ ){2}"
)
"""A name, and not that of where something is: "an attraction in Paris"."""

_MADE = (
    r"\b(?:found|creat|invent|design|buil[td]|wr[io]te?|develop|start|discover|paint|compos"
    r"|author|establish|conceiv|architect|engineer|made|make|name|by\b)\w*"
)
"""Words for making something, which stand beside its maker."""

POINTER = re.compile(
    r"\b(?:listing|figure|chapter|section|appendix|table|step|page|line) \d[\d.-]*", re.IGNORECASE
)
"""Numbers of places in the document, which count nothing."""


@dataclass(frozen=True, slots=True)
class FactKind:
    """A kind of fact: what it is called, how it is asked for, and what one looks like.

    `beside` is what has to stand beside it, `least` the share of the words asked for that has to.
    What asks is the whole of `asks`, or its group. `is_named` is one that is a name, and not one
    that the question has. `is_attribute` is one that has no form of its own: what is asked for
    has to be said ("Who is the mayor of Paris?").
    """

    name: str
    asks: re.Pattern[str]
    value: re.Pattern[str]
    beside: re.Pattern[str] | None = None
    least: float = LEAST
    is_named: bool = False
    is_attribute: bool = False


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def _measure(*units: str) -> str:
    more = rf"(?:[\s-]+(?:and|a|an|half|full|{_NUMBER}))*"
    return rf"\b{_NUMBER}{more}[\s-]?(?:{'|'.join(units)})\b"


_COUNTS = _compile(rf"(?<![\w/]){_NUMBER}(?:[kmgt]?i?b)?(?![\w/])")

_LIMIT = (
    r"\b(?:what|which)\b.*\b(biggest|largest|longest|maximum|minimum|smallest)\b"
    r".*\b(?:allow|accept|may\b|can\b|default|possibl|permit|limit|support)"
)

FACT_KINDS = (
    FactKind("measure", _compile(r"\bhow (?:tall|high|deep|wide)\b"), _compile(_measure(_HEIGHT))),
    FactKind("distance", _compile(r"\bhow far\b"), _compile(_measure(_HEIGHT, _DISTANCE, _TIME))),
    FactKind(
        "size",
        _compile(r"\bhow (?:much (?:memory|ram|space|disk)|big|large|heavy|fast)\b"),
        _COUNTS,
    ),
    FactKind(
        "time", _compile(r"\bhow long (?:has|have)\b"), _compile(f"{_DATE}|{_measure(_TIME)}")
    ),
    FactKind(
        "time or length",
        _compile(r"\bhow long\b"),
        _compile(f"{_measure(_HEIGHT, _DISTANCE, _TIME, _SIZE)}|{_SPAN}"),
    ),
    FactKind("number", _compile(r"\bhow many\b"), _COUNTS),
    FactKind(
        "date",
        _compile(
            r"\bwhen (?:was|were|did)\b|\b(?:what|which) (?:year|date|day)\b"
            r"|\bwhen will\b.{1,80}\b(?:releas|publish|launch|come|ready|avail|out\b|built|finish"
            r"|complet|open|arriv)"
        ),
        _compile(_DATE),
    ),
    FactKind(
        "name",
        _compile(
            r"\bwho (?:found|creat|invent|design|built|wrot|develop|start|discover|paint|compos"
            r"|establish)\w*|\b(?:which|what) (?:architect|engineer|author|painter|artist)\b"
        ),
        re.compile(_PERSON),
        beside=_compile(_MADE),
        is_named=True,
    ),
    FactKind("limit", _compile(_LIMIT), _COUNTS),
    FactKind(
        "default",
        _compile(r"\b(?:what|which)\b.*\b(default)\b"),
        _compile(
            r"\b(?:default\w*|unless|otherwise|initial\w*|normal\w*|if (?:not|none|no)|without)\b"
        ),
        least=LEAST_DEFAULT,
    ),
)
"""The first that a question asks for counts."""
