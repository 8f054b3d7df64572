"""Whether the passages have the fact that a question asks for, beside the words it is asked in.

"How many towers has it?" wants a number beside towers, "When was it opened?" a date, "Who built
it?" a name, "What is the default timeout?" a default. What is near such a question in meaning is
of the same thing, and without the fact it is no answer. English.
"""

import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from ...passages import Passage
from ..topics import collect_heading_stems, collect_said
from ..words import STOP_WORDS, collect_stems, split_words, stem
from .asked import LONGEST_READ
from .evidence import (
    MARK,
    Evidence,
    Subject,
    collect_stems_of,
    compute_share,
    is_said,
    is_said_whole,
)
from .fact_values import FACT_KINDS, POINTER, FactKind

NEAR = 20
"""Words on each side of a fact that say what it is of."""

REACH = 400
"""Characters on each side that are looked at for them: a listing may hold hundreds of numbers."""

COUNTED_NEAR = 5
"""Words on each side of a number within which stands what it counts: "seven round towers"."""

_VAGUE = collect_stems(
    "lie lies take takes get gets last come comes go goes going appear need needs reach live there"
    " use used say said do make happen"
)
"""Words that say nothing of what a fact is of: how long it takes, how high it lies."""

_COUNTED = re.compile(r"\bhow many ((?:[^\W\d_]+\W){1,4})", re.IGNORECASE)

_ASKS_MORE = re.compile(r"\band (?:what|who|how|when|where|which|why)\b", re.IGNORECASE)
"""Two questions in one: what answers the other is an answer."""

_AFTER_COUNTED = STOP_WORDS | {"does", "may", "must", "exist"}
"""Words that what is counted ends before: "How many round towers does it have?"."""

_ALIKE = tuple(
    map(
        collect_stems,
        (
            "kinds types sorts forms classes",
            "people persons inhabitants residents population citizens",
        ),
    )
)
"""Words that are counted as one."""


_ATTRIBUTE = re.compile(
    r"^\W*(?:what|which|who)(?:['’]s| is| are| was| were) the ((?:[\w-]+ ){1,2}?)of\b",
    re.IGNORECASE,
)
"""What of a thing is asked for: "Who is the mayor of Paris?"."""

_SUPERLATIVE = re.compile(
    r"^\W*(?:what|which) (?P<what>[\w-]+) (?:is|are|was|were|has|have) (?:the )?"
    r"(?P<most>(?:most|least) [\w-]+|\w+est\b)",
    re.IGNORECASE,
)
"""What is the most of its kind: "Which city is the safest?"."""

_VAGUE_ATTRIBUTES = collect_stems(
    "name names purpose use point meaning role idea effect result kind type sort list rest number"
    " difference advantage disadvantage best biggest most least"
)
"""What is asked of everything, and is said in other words."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A fact that is asked for: its kind, the words it is of, and those that it counts."""

    kind: FactKind
    subject: Subject
    words: frozenset[str]
    counted: frozenset[str]


def find_lacking(question: str, subject: Subject, evidence: Sequence[Evidence]) -> FactKind | None:
    """Return the kind of fact that a question asks for, and no unit has beside words of it."""
    wanted = read_wanted(question, subject)
    if wanted is None or any(item.has_fact for item in evidence):
        return None
    return wanted.kind


def read_wanted(question: str, subject: Subject) -> Wanted | None:
    """Return the fact that a question asks for; None where its wording does not tell."""
    start = question[:LONGEST_READ]
    if _ASKS_MORE.search(start):
        return None
    for kind in FACT_KINDS:
        if found := kind.asks.search(start):
            asking = {stem(word) for word in split_words(found[found.lastindex or 0])}
            words = frozenset(set(subject.words) - asking or subject.words) - _VAGUE
            return Wanted(kind, subject, words, _read_counted(start, subject))
    return _read_attribute(start, subject)


def _read_attribute(question: str, subject: Subject) -> Wanted | None:
    """Return what of a thing is asked for as a fact whose only form is its name."""
    if found := _SUPERLATIVE.search(question):
        said, counted = found["most"], frozenset({stem(found["what"].casefold())})
        name = f"{said} {found['what']}"
    elif found := _ATTRIBUTE.search(question):
        name = said = found[1].strip()
        counted = frozenset[str]()
    else:
        return None
    stems = [stem(word) for word in split_words(said)]
    if not collect_stems(said) or not _VAGUE_ATTRIBUTES.isdisjoint(stems):
        return None
    value = r"\W+".join(rf"\b{re.escape(one)}\w{{0,4}}" for one in stems)
    words = frozenset(set(subject.words) - set(stems) - counted) - _VAGUE
    kind = FactKind(name, _ATTRIBUTE, re.compile(value, re.IGNORECASE), is_attribute=True)
    return Wanted(kind, subject, words, counted)


def _read_counted(question: str, subject: Subject) -> frozenset[str]:
    """Return the stems of what is counted, none of a name before it: "SQLite databases"."""
    found = _COUNTED.search(question)
    nouns: list[str] = []
    for word in split_words(found[1]) if found else ():
        if word in _AFTER_COUNTED:
            break
        nouns.append(stem(word))
    names = {word for name in subject.names for word in name}
    counted = frozenset(noun for noun in nouns if noun not in names or noun == nouns[-1])
    return counted.union(*(alike for alike in _ALIKE if not alike.isdisjoint(counted)))


def has_fact(wanted: Wanted, text: str, passage: Passage) -> bool:
    """Tell whether a unit has the fact, in a passage that says a name of the question."""
    names, said = wanted.subject.names, collect_stems_of(passage)
    if names and not any(is_said_whole(name, said) for name in names):
        return False
    document, _, headings = passage.title.partition(MARK)
    asked = wanted.words - (collect_stems(document) - wanted.counted)
    headed = collect_heading_stems(headings)
    return any(
        _is_of(asked, wanted.subject, collect_said(beside) | headed, wanted.kind.least)
        and (wanted.kind.beside is None or wanted.kind.beside.search(beside))
        for beside in _read_beside(wanted, POINTER.sub(" ", text))
    )


def _read_beside(wanted: Wanted, text: str) -> Iterator[str]:
    """Read what stands around each thing of the kind, itself with it."""
    for found in wanted.kind.value.finditer(text):
        before = text[max(0, found.start() - REACH) : found.start()].split()
        after = text[found.end() : found.end() + REACH].split()
        if wanted.kind.is_named and not collect_stems(found[0]).isdisjoint(wanted.subject.words):
            continue  # Who built the Chain Bridge is not the Chain Bridge.
        close = [*before[-COUNTED_NEAR:], found[0], *after[:COUNTED_NEAR]]
        if wanted.counted:
            said = collect_said(" ".join(close))
            if not any(is_said(noun, said) for noun in wanted.counted):
                continue
        yield " ".join([*before[-NEAR:], found[0], *after[:NEAR]])


def _is_of(asked: AbstractSet[str], subject: Subject, said: AbstractSet[str], least: float) -> bool:
    """Tell whether what stands beside a fact has the least share of the words asked for."""
    held = frozenset(word for word in asked if is_said(word, said))
    return compute_share(subject, sorted(asked), held) >= least
