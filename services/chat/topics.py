"""What words say without saying it: "from June to August" says July, "clubs" say nightlife.

Questions and documents call the same thing by other words, and cosines of single words do not tell
these from others: that of "tomorrow" with "When to go" is 0.57, that of "weather" 0.22. So a few
are told here. English, and small on purpose.
"""

import re
from functools import lru_cache

from .words import MONTH, MONTHS, collect_stems, stem

_SPAN = re.compile(
    rf"\b(?P<first>{MONTH})\s+(?:to|until|till|through)\s+(?:\w+[- ]){{0,2}}?(?P<last>{MONTH})\b"
    rf"|\bbetween (?:\w+ ){{0,2}}?(?P<one>{MONTH}) and (?:\w+ ){{0,2}}?(?P<other>{MONTH})\b",
    re.IGNORECASE,
)
_ALWAYS = re.compile(
    r"\b(?:every|any|each) month\b|\ball (?:the )?year\b|\byear[- ]round\b|\bthroughout the year\b"
    r"|\bany day of the year\b",
    re.IGNORECASE,
)

_SAME_TOPIC = tuple(
    frozenset(map(stem, group.split()))
    for group in (
        "food eat eating dining cuisine meals dishes restaurants",
        "accommodation lodging hotels",
        "sights attractions landmarks highlights sightseeing",
        "neighbourhoods neighborhoods districts quarters areas",
        "shopping shops markets",
        "prices pricing costs fees",
        f"weather climate season temperature {' '.join(MONTHS)}",
        "transport transit transfer arrival",
        "setup installation installing install",
    )
)
"""What sections are called, and what is asked for instead. Only a heading says its topic in one
word for all."""

_PHRASES = (
    (
        re.compile(
            r"\bwhen (?:to|is|should|can|do|would)\b.{0,40}\b(?:go|visit|travel|come)\b"
            r"|\b(?:best|good|right|ideal) (?:time|month|season)s?\b|\btimes? of (?:the )?year\b",
            re.IGNORECASE,
        ),
        stem("season"),
    ),
    (
        re.compile(
            r"\b(?:get|getting|go|travel|move|moving) (?:there|here|around|about)\b"
            r"|\b(?:get|go|travel) (?:in)?to\b|\bget from\b",
            re.IGNORECASE,
        ),
        stem("transport"),
    ),
    (
        re.compile(r"\b(?:go(?:ing)?|night) out\b|\bparty(?:ing)?\b", re.IGNORECASE),
        stem("nightlife"),
    ),
)
"""Topics that are said in words which are too common to be searched for."""

_KINDS = {
    stem(general): frozenset(map(stem, kinds.split()))
    for general, kinds in {
        "nightlife": "clubs nightclubs bars pubs disco",
        "night": "clubs nightclubs bars pubs disco",
        "shopping": "shops stores boutiques malls markets bazaar souks",
        "transport": "train trains metro underground subway bus buses tram trams ferry taxi",
        "transfer": "train trains metro underground subway bus buses tram trams shuttle taxi",
        "alcohol": "beer wine wines spirits whisky cocktails",
        "kids": "children family families",
        "children": "kids family families",
        "family": "kids children",
        "hotel": "hotels hostel hostels stay",
        "rain": "rainy showers monsoon drizzle",
        "weather": "hot cold warm cool mild rain rainy sunny humid dry wet winter summer",
    }.items()
}
"""What each general word is said by: a text about clubs says nightlife, not the other way round."""


@lru_cache(maxsize=1 << 13)
def collect_said(text: str) -> frozenset[str]:
    """Collect the stems of what `text` says, and of the months and general words it implies."""
    stems = collect_stems(text)
    general = (word for word, kinds in _KINDS.items() if not kinds.isdisjoint(stems))
    return stems.union(general, collect_months(text))


@lru_cache(maxsize=1 << 10)
def collect_heading_stems(headings: str) -> frozenset[str]:
    """Collect the stems of headings and of what else they are called: "Eating" is about food."""
    said = collect_stems(headings) | collect_topics(headings)
    return said.union(*(group for group in _SAME_TOPIC if not group.isdisjoint(said)))


def is_topic(word: str) -> bool:
    """Tell whether a stem is what a whole section may be called, in one of its words."""
    return any(word in group for group in _SAME_TOPIC)


@lru_cache(maxsize=1 << 10)
def collect_topics(text: str) -> frozenset[str]:
    """Collect the stems of topics that `text` says in common words: "When to go" is a season."""
    return frozenset(topic for phrase, topic in _PHRASES if phrase.search(text))


def collect_months(text: str) -> frozenset[str]:
    """Collect the stems of months between those that `text` says."""
    found: set[str] = set()
    for span in _SPAN.finditer(text):
        first, last = (
            (span["first"], span["last"]) if span["first"] else (span["one"], span["other"])
        )
        start, end = MONTHS.index(first.casefold()), MONTHS.index(last.casefold())
        length = (end - start) % len(MONTHS) + 1
        found.update(MONTHS[(start + step) % len(MONTHS)] for step in range(length))
    if _ALWAYS.search(text):
        found.update(MONTHS)
    return frozenset(map(stem, found))
