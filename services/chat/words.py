"""Find the words of a question: content words, names, and how much it asks for.

English, and small on purpose: vectors carry the meaning. Knows nothing of passages or answers.
"""

import re
import unicodedata
from functools import lru_cache

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_POSSESSIVE = re.compile(r"['’]s\b")
_SENTENCE_START = re.compile(r"(?:^|[.!?:]\s+|[\"“(]\s*)\W*$")
_LOWER_CASE_NAME = re.compile(
    r"\b(?:in|near|around|visit(?:ing)?|(?:trip|travel|go|going|fly|flight|holiday) to)"
    r"\s+([a-z]{3,}(?:\s+[a-z]{3,})?)\W*$"
)

MOST_NAMES = 12
"""A question that names more is not asking; what it costs to look for them stays bounded."""

# The last line praises or looks; it says nothing of what is praised or looked at.
STOP_WORDS = frozenset(
    _WORD.findall("""
    a about after again all also am an and any are as at be because been before being but by can
    could did do does doing done for from further get give had has have having he her here hers him
    his how i if in into is it its just let like make me might more most much must my need no nor
    not of off on once one only or other else our out over own please really same shall she
    should show
    so some such take tell than that the their them then there these they this those through to
    too under until up us use very want was we were what when where which while who whom whose why
    will with within without would yes you your i'm i've i'd i'll it's that's there's what's where's
    who's how's don't doesn't didn't can't couldn't isn't aren't won't wouldn't shouldn't
    whats wheres whos hows thats theres im ive dont doesnt didnt cant isnt arent wont
    hello hi hey thanks know happen happened vs versus compare comparison difference between thing
    things plan list recommend suggest anything something anyone someone way kind sort lot time
    times best better famous go good great nice see top visit visiting visited
    """)
)

_FORMS: dict[str, str] = dict(
    re.findall(
        r"(\w+):(\w+)",
        """
    ate:eat eaten:eat began:begin begun:begin bought:buy broke:break broken:break brought:bring
    built:build caught:catch chose:choose chosen:choose drank:drink drew:draw drawn:draw drove:drive
    driven:drive flew:fly flown:fly froze:freeze frozen:freeze grew:grow grown:grow held:hold
    kept:keep lent:lend lost:lose meant:mean paid:pay ran:run rode:ride ridden:ride sang:sing
    sung:sing sent:send shook:shake slept:sleep sold:sell spent:spend spoke:speak spoken:speak
    swam:swim swum:swim taught:teach threw:throw thrown:throw woke:wake wore:wear worn:wear
    wrote:write written:write
    cloudy:cloud foggy:fog rainy:rain snowy:snow stormy:storm sunny:sun windy:wind
    """,
    )
)
"""Forms of a word that no rule for its ending tells, and the word: "paid" says who to pay."""

MONTHS = tuple(
    _WORD.findall(
        "january february march april may june july august september october november december"
    )
)

MONTH = f"(?:{'|'.join(MONTHS)})"
"""The pattern of a month's name, to be matched without regard to case."""

# Capital letters that name a time, the reader's language or the speaker, not a subject.
_NOT_NAMES = frozenset(MONTHS).union(
    _WORD.findall("""
    monday tuesday wednesday thursday friday saturday sunday christmas easter english i ok
    spring summer autumn fall winter morning afternoon evening night
    """)
)

_BROAD = re.compile(
    r"\b(?:best|top|list|plan|planning|itinerary|trips?|excursions?|guide|overview|recommend\w*"
    r"|suggest\w*|ideas?|things|attractions|highlights|must[- ]see|compare|comparison|difference"
    r"|summar\w+|every|all|tell me about|describe|introduce|what (?:can|should)|where (?:should|to)"
    r"|sights|museums|restaurants|places|districts|neighbou?rhoods|options|ways|tips)\b"
)
_EXPLAINING = re.compile(r"\b(?:how (?:do|does|can|should|to)|why|explain|how come|what happens)\b")
_NARROW = re.compile(
    r"\b(?:when|who|whose|how (?:large|big|tall|high|long|far|old|many|much|deep|wide|often|heavy)"
    r"|what (?:is|was) the (?:name|date|year|height|length|capital|population|number)"
    r"|which (?:year|day|month|line)|what (?:time|year|day))\b"
    r"|^(?:is|are|was|were|do|does|did|can|could|has|have|will|should|may|must)\b"
)


class _WithoutMarks(dict[int, int | None]):
    """A table for `str.translate` that drops combining marks, filled as characters come."""

    def __missing__(self, code: int) -> int | None:
        kept = None if unicodedata.combining(chr(code)) else code
        self[code] = kept
        return kept


_WITHOUT_MARKS = _WithoutMarks()


def fold(text: str) -> str:
    """Fold case and accents of `text`, so that "Sacré-Cœur" and "sacre-coeur" are equal."""
    text = text.casefold()
    if text.isascii():
        return text
    plain = unicodedata.normalize("NFKD", text.replace("œ", "oe").replace("æ", "ae"))
    return plain.translate(_WITHOUT_MARKS).replace("’", "'")


def split_words(text: str) -> list[str]:
    """Split `text` into its words, folded, without a possessive 's."""
    return _WORD.findall(_POSSESSIVE.sub("", fold(text)))


@lru_cache(maxsize=1 << 14)
def stem(word: str) -> str:
    """Cut the endings of plurals and verbs off `word`: roughly, and the same on both sides."""
    word = _FORMS.get(word, word)
    for ending, keep in (("ies", "y"), ("ing", ""), ("ed", ""), ("es", ""), ("s", ""), ("e", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)] + keep
    return word


# The same passages are found again and again, and a question is looked at from many sides.
@lru_cache(maxsize=1 << 13)
def collect_stems(text: str) -> frozenset[str]:
    """Collect the stems of the words of `text` that carry meaning."""
    return frozenset(stem(word) for word in split_words(text) if word not in STOP_WORDS)


@lru_cache(maxsize=1 << 9)
def find_names(question: str) -> tuple[tuple[str, ...], ...]:
    """Find the things a question names, each as its folded words.

    A run of capitalised words inside a sentence ("Mount Everest"), or something of four
    characters or more with a digit in it (a year, an error code). A question typed without any
    capital names what stands after its last "in", "near" or "trip to", if that ends it. At most
    `MOST_NAMES`, in order.
    """
    runs: list[list[str]] = []
    last_end = -1
    capitals_tell = not _is_headline(question)
    for match in _WORD.finditer(question):
        word = match.group()
        if not is_number(word) and not (
            capitals_tell
            and _is_capital(word, question[max(0, match.start() - 12) : match.start()])
        ):
            continue
        if runs and question[last_end : match.start()] == " ":
            runs[-1].extend(split_words(word))
        else:
            runs.append(split_words(word))
        last_end = match.end()
    if not runs and question == question.lower():
        found = _LOWER_CASE_NAME.search(question.strip()[-80:])
        words = split_words(found.group(1)) if found else []
        if words and not any(word in STOP_WORDS or word in _NOT_NAMES for word in words):
            runs.append(words)
    return tuple(tuple(run) for run in runs[:MOST_NAMES])


def is_number(word: str) -> bool:
    """Return whether `word` is exact, like a year or a code: 2031, E1042."""
    return len(word) >= 4 and any(c.isdigit() for c in word)


def count_sentences_wanted(question: str) -> int:
    """Count how many sentences the question asks for, 1 to 5, by its wording."""
    plain = fold(question).strip()
    narrow = _NARROW.search(plain)
    broad = _BROAD.search(plain)
    if narrow and not (broad and broad.start() < narrow.start()):
        return 2
    if broad:
        return 5
    return 4 if _EXPLAINING.search(plain) else 3


def _is_capital(word: str, before: str) -> bool:
    if not word[0].isupper() or split_words(word)[0] in _NOT_NAMES | STOP_WORDS:
        return False
    return not _SENTENCE_START.search(before)


def _is_headline(question: str) -> bool:
    # "WHERE TO EAT" and "The Best Places To Eat" write capitals for other reasons.
    long_words = [word for word in _WORD.findall(question)[1:] if len(word) >= 4]
    headline = len(long_words) >= 3 and all(word[0].isupper() for word in long_words)
    return headline or (question.isupper() and " " in question.strip())
