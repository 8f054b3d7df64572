"""What the wording of a question asks for, beside its subject: a plan, or a comparison.

Shared by retrieval, which searches for each side of a comparison, and the embedded engine, which
lays the answer out. English; a question in other words is an ordinary one.
"""

import re
from dataclasses import dataclass

LONGEST = 300
"""Characters of a question that are looked at; what is longer has no such wording."""

_PLAN = re.compile(
    r"\b(?:plan|itinerary|schedule)\b"
    r"|^\W*(?:\w\S*\s+){0,5}?(?:trip|days?|week|weekend)s? (?:in|to|through|around)\b",
    re.IGNORECASE,
)
_PLANNED = re.compile(
    r".*\b(?:plan|itinerary|schedule|trip|days?|week|weekend|see|do|visit|attraction|sight|landmark"
    r"|highlight)s?"
    r"\s+(?:in|to|through|around|for|of|near|at)"
    r"\s+(?P<where>[^,;.!?]+?)(?: (?:in|for|within|over|on|during)\b.*)?(?:[,;.!?]|$)",
    re.IGNORECASE,
)
_OF_A_PLAN = re.compile(
    r"\b(?:plan|itinerary|schedule)\b|\b(?:\d+|an?|one|two|three|four|five|six|seven|ten)[ -]"
    r"(?:days?|weeks?|weekends?|nights?)\b",
    re.IGNORECASE,
)
_SIGHTSEEING = re.compile(
    r"\b(?:what(?:'s| is| are)? (?:there )?(?:the best )?(?:things )?"
    r"(?:to|(?:can|should|could) (?:i|you|we))|(?:things|places) to)"
    r" (?:visit\b|(?:see|do)(?: and (?:see|do))? (?:in|around|near|at) (?-i:[A-Z]))"
    r"|\b(?:attractions|sights|landmarks|highlights) (?:in|of|around|near) (?-i:[A-Z])",
    re.IGNORECASE,
)
_MORE = re.compile(r"\b(?:more|else|another|others?|further|instead)\b", re.IGNORECASE)
_QUANTITY = re.compile(
    r"\b(?:how (?:many|much|long|far|tall|high|big|large|old|deep|wide|often|heavy|hot|cold|fast)"
    r"|when|what (?:time|year|day|date|number|size|version)|which (?:year|day|month|version)"
    r"|default|maximum|minimum|max|min|limit)\b",
    re.IGNORECASE,
)
_COMPARE = re.compile(
    r"\b(?:compare|comparison|versus|vs|difference between|differ from|better|cheaper|faster"
    r"|bigger|larger|older|prefer)\b|\b\w+ or \w+\?$|(?-i:\b[A-Z]\w+ or [A-Z])",
    re.IGNORECASE,
)
_TOPIC = r"(?: (?P<topic>(?:for|as|in|by|when|with)\b.*?))?[?.!\s]*$"
_SIDES = tuple(
    re.compile(sides + _TOPIC, re.IGNORECASE)
    for sides in (
        r"compare (?P<one>.+?) (?:and|with|to|against) (?P<other>.+?)",
        r"(?:difference|comparison) between (?P<one>.+?) and (?P<other>.+?)",
        r"^(?:is|are) (?P<one>.+?) (?:better|cheaper|faster|larger|older) than (?P<other>.+?)",
        r"^(?P<one>(?:\S+ ){0,2}\S+) (?:versus|vs\.?) (?P<other>.+?)",
        r"(?P<one>\S+) or (?P<other>\S+?)",
    )
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two things that are compared, and in what; `topic` is empty for a comparison in general."""

    sides: tuple[str, str]
    topic: str

    @property
    def searches(self) -> tuple[str, str]:
        """What to search for, for each of the two."""
        one, other = (f"{side} {self.topic}".strip() for side in self.sides)
        return one, other


def asks_more(question: str) -> bool:
    """Tell whether more is asked for than was said."""
    return _MORE.search(question) is not None


def asks_quantity(question: str) -> bool:
    """Tell whether a number, a date or a limit is asked for."""
    return _QUANTITY.search(question) is not None


def is_sightseeing(question: str) -> bool:
    """Tell whether the question is what to see or do at a place."""
    return _SIGHTSEEING.search(question[:LONGEST]) is not None


def is_plan(question: str) -> bool:
    """Tell whether a plan is asked for: days somewhere, a trip, an itinerary."""
    start = question[:LONGEST]
    return _PLAN.search(start) is not None and not asks_quantity(start)


def read_plan(question: str) -> str:
    """Return what a plan is to be about, without the words that ask for one."""
    found = _PLANNED.match(" ".join(question[:LONGEST].split()))
    where = found["where"] if found else question
    return " ".join(_OF_A_PLAN.sub(" ", where).split()) or where


def describe_visit(question: str) -> str | None:
    """Return what a plan or a visit is made of, as a heading would say it; None for other things.

    "Kyoto" alone is what all sections about Kyoto say.
    """
    if not (is_plan(question) or is_sightseeing(question)):
        return None
    return f"Sights and attractions of {read_plan(question)}"


def read_comparison(question: str) -> Comparison | None:
    """Return what a question compares, None when it compares nothing."""
    if len(question) > LONGEST or not _COMPARE.search(question):
        return None
    text = " ".join(question.split())
    for pattern in _SIDES:
        if found := pattern.search(text):
            return Comparison((found["one"], found["other"]), found["topic"] or "")
    return None
