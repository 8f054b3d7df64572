"""What kind of thing a question asks for, and whether words hold one of that kind. English.

"What does a ticket cost?" is answered by a price, "Who wrote it?" by a name, "Is it safe?" by a
sentence that begins with yes or no. A sentence that comes as close in meaning and holds none
is the second best.
"""

import re
from typing import Literal

from ...wording import asks_quantity
from ..words import MONTH, stem

Asked = Literal["price", "hours", "number", "person", "place", "command", "verdict"]

_AND = r"(?:and |so |but )?"

_COUNTED = re.compile(r"\bhow many ([^\W\d_]+)|\b([^\W\d_]+) (?:be )?enough\b")

COUNT_NEAR = 4
"""Words before what is counted within which its number stands: "two full summer days"."""

_COUNT = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty"
    r"|fifty|hundreds?|thousands?|millions?|billions?|trillions?|half|dozens?|single|no|several)\b"
)

LONGEST_READ = 300
"""Characters of a question that are looked at."""

MUST_BE_SAID: frozenset[Asked] = frozenset(("price", "hours"))
"""Kinds that no other words answer: where no passage has one, the answer is not there."""

VALUES: frozenset[Asked] = MUST_BE_SAID | {"number"}
"""Kinds that a text has or has not."""

_QUESTIONS: tuple[tuple[Asked, re.Pattern[str]], ...] = (
    (
        "price",
        re.compile(
            r"\bhow much (?:is|are) (?:an?|the|it|one|\w+ tickets?)\b"
            r"|\b(?:what|how much) .{1,80}\b(?:costs?|pay|charged?)\b"
            r"|\b(?:price|cost|fare|fee) (?:of|for)\b|\bentrance fee\b"
            r"|^(?:is|are) .{1,60} (?:free|free of charge|expensive|pricey|cheap)\W*$"
        ),
    ),
    (
        "hours",
        re.compile(
            r"\b(?:opening|closing) (?:hours?|times?)\b"
            r"|\b(?:what time|when) (?:does|do|is|are) .{1,80}\b(?:open|close)\b"
            r"|^(?:is|are) .{1,80} open(?! source|-source)\b"
        ),
    ),
    ("person", re.compile(rf"^{_AND}(?:who|whose|whom)\b")),
    ("place", re.compile(rf"^{_AND}where\b")),
    (
        "command",
        re.compile(rf"^{_AND}how (?:do|can|should|would|to)\b|^(?:which|what) command\b"),
    ),
    (
        "verdict",
        re.compile(
            rf"^{_AND}(?:is|are|was|were|do|does|did|can|could|has|have|will|should|may|must)\b"
        ),
    ),
)

_MONEY = (
    r"(?:euros?|dollars?|bucks|cents?|pounds?|quid|pence|francs?|centimes?|yen|yuan|renminbi|won"
    r"|baht|dong|kyat|kip|riel|ringgit|rupiah|rupees?|taka|pesos?|reais|soles|kron(?:a|e|er|or)"
    r"|koruna|forints?|zloty|złoty|lei|leva|lira|liras|rubles?|roubles?|hryvnia|shekels?|dinars?"
    r"|dirhams?|riyals?|rials?|rand|naira|cedis?|shillings?|birr"
    r"|eur|usd|gbp|chf|jpy|cny|inr|aud|cad|nzd|hkd|sgd|sek|nok|dkk|isk|czk|huf|pln|ron|try|krw"
    r"|thb|mxn|brl|zar|ils|aed)"
)
"""What money is counted in. "40 francs" is a price; "won" and "try" are only beside a number."""

_HELD: dict[Asked, re.Pattern[str]] = {
    "price": re.compile(
        rf"[$€£¥₹₩₪₺₽₫฿]\s?\d|\d\s?[€£$¥₩₪₺₽₫฿]|\d\s?{_MONEY}\b"
        r"|\b(?:free|gratis|costs?|prices?|priced|cheap\w*|expensive|fees?|fares?|charged?)\b",
        re.IGNORECASE,
    ),
    "hours": re.compile(
        r"\b\d{1,2}(?:[:.]\d\d)? ?(?:am|pm|a\.m|p\.m|o'clock)\b|\b\d{1,2}:\d\d\b"
        r"|\b(?:noon|midnight|open|opens|close|closes|closed|dusk|dawn|o'clock)\b",
        re.IGNORECASE,
    ),
    "number": re.compile(
        r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty"
        r"|fifty|hundred|thousand|million|half|once|twice|spring|summer|autumn|winter"
        rf"|{MONTH})\b",
        re.IGNORECASE,
    ),
    "person": re.compile(r"(?<=[a-z,;] )(?:[A-Z][\w'’-]+ ?){1,4}|^(?:[A-Z][\w'’-]+ ){2}"),
    "place": re.compile(
        r"[~\w]*/[\w.-]+/[\w./-]*|\b(?:in|at|on|under|beside|near) (?:the )?[`A-Z]"
    ),
    "command": re.compile(r"`[^`]+`|```"),
    "verdict": re.compile(r"(?:yes|no|not|never|only|of course|absolutely)\b", re.IGNORECASE),
}


def read_asked(question: str) -> Asked | None:
    """Return what kind of thing a question asks for, None where its wording does not tell."""
    plain = " ".join(question[:LONGEST_READ].casefold().split())
    for kind, pattern in _QUESTIONS[:2]:
        if pattern.search(plain):
            return kind
    if asks_quantity(question):
        return "number"
    return next((kind for kind, pattern in _QUESTIONS[2:] if pattern.search(plain)), None)


def read_counted(question: str) -> str | None:
    """Return the stem of what is to be counted: "How many days?", "Are two days enough?"."""
    found = _COUNTED.search(question[:LONGEST_READ].casefold())
    return stem(found[1] or found[2]) if found else None


def counts(noun: str, text: str) -> bool:
    """Tell whether a text says how many there are of what has this stem."""
    words = text.casefold().split()
    return any(
        stem(word.strip(".,;:()`\"'")) == noun
        and _COUNT.search(" ".join(words[max(0, place - COUNT_NEAR) : place + 1]))
        for place, word in enumerate(words)
    )


def holds(asked: Asked, text: str) -> bool:
    """Tell whether a text has a thing of the kind that is asked for."""
    pattern = _HELD[asked]
    # A verdict stands first; within a sentence "not" and "only" are said of anything.
    return (pattern.match(text) if asked == "verdict" else pattern.search(text)) is not None
