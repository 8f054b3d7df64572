"""What the documents say of a thing in general: "Cairo", "Tell me about Venice".

Such a question names a document and asks nothing of it, so no sentence answers it better than
others. The words under the document's own title introduce it, and the first words of a section
say what that one is about.
"""

from collections.abc import Sequence

from ...passages import Passage
from ...wording import is_sightseeing, read_plan
from ..words import collect_stems, split_words, stem
from .evidence import Evidence, collect_stems_of, document_of, read_subject
from .units import cut_units

INTRODUCTION = 3
"""Units that introduce the document."""

SECTIONS = 4
"""Sections of which the first unit is quoted."""


GENERAL = frozenset(
    stem(word)
    for word in split_words(
        """tell me us more about what who is are was can could you do know of on say introduce
        describe explain please give show some something anything overview information info the
        a an and hi hello hey i want to i'd like learn summary should need before visiting visit
        travel travelling traveling trip tips tip advice guide for interesting facts fact fun cool
        things worth knowing happen happened in about first time visitors visitor"""
    )
)
"""Words that ask for a thing as such; "the best time to visit" it is another question."""

SIGHTS = collect_stems("sights attractions landmarks highlights")


def find_document(thing: str, passages: Sequence[Passage]) -> str | None:
    """Return the title of the document that `thing` names and says nothing else of, if any."""
    said = read_subject(thing, passages).words
    words = {word for word in said if word not in GENERAL}
    if not words:
        return None
    titles = dict.fromkeys(map(document_of, passages))
    return next((title for title in titles if collect_stems(title) in (words, {*said})), None)


def is_general(question: str, passages: Sequence[Passage]) -> bool:
    """Tell whether a question wants a document introduced: also its sights, if it lists none."""
    if is_sightseeing(question) and (place := find_document(read_plan(question), passages)):
        return not has_sights(place, passages)
    title = find_document(question, passages)
    asks = {stem(word) for word in split_words(question)} - collect_stems(title or "")
    return title is not None and asks <= GENERAL


def is_asked_to_see(question: str, passages: Sequence[Passage]) -> bool:
    """Tell whether nothing but the sights is asked for, or a word of what else is said."""
    about = read_subject(question, passages).about
    said = SIGHTS.union(*map(collect_stems_of, passages))
    return not about or not said.isdisjoint(about)


def has_sights(title: str, passages: Sequence[Passage]) -> bool:
    """Tell whether a document has a section of sights."""
    sections = (passage.title for passage in passages if document_of(passage) == title)
    return any(SIGHTS & collect_stems(section) for section in sections)


def introduce(title: str, passages: Sequence[Passage], sections: int = SECTIONS) -> list[Evidence]:
    """Return the units that introduce a document, and the first one of some of its sections."""
    found: list[Evidence] = []
    firsts: list[Evidence] = []
    for rank, passage in enumerate(passages, 1):
        if document_of(passage) != title:
            continue
        units = [Evidence(unit, unit.similarity) for unit in cut_units(passage, rank)]
        if passage.title == title:
            found += units[: INTRODUCTION - len(found)]
        else:
            firsts += units[:1]
    return [*found, *firsts[:sections]] if found else []
