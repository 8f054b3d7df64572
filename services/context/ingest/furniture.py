"""What all pages of a site repeat: its name as a title, its slogan, its notices.

A page alone does not tell furniture from text; a sample of the folder does. What is found is
taken off each document before it is cut into passages.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from .documents import Document, Section

SAMPLE = 40
"""Documents that are looked at."""

SHARE = 0.5
FEWEST = 5
"""Furniture stands in so large a share of the sample, and in so many documents at least."""

LONGEST = 400
"""Characters; a longer block that stands everywhere is text all the same."""


_STAMP = re.compile(r"modified|updated|generated|copyright|©", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Furniture:
    """The titles and blocks that most documents share."""

    titles: frozenset[str] = frozenset()
    blocks: frozenset[str] = frozenset()


def find_furniture(documents: Iterable[Document]) -> Furniture:
    """Return what most of the sampled `documents` share; nothing when they are few."""
    titles: Counter[str] = Counter()
    blocks: Counter[str] = Counter()
    count = 0
    for document in documents:
        count += 1
        titles[document.title] += 1
        blocks.update(
            {
                _shape(block)
                for section in document.sections
                for block in section.blocks
                if len(block) <= LONGEST
            }
        )
    least = max(FEWEST, SHARE * count)
    return Furniture(
        frozenset(title for title, times in titles.items() if times >= least),
        frozenset(block for block, times in blocks.items() if times >= least),
    )


def sample(sources: Collection[str]) -> list[str]:
    """Pick the documents to look at: evenly over the folder, the same ones always."""
    ordered = sorted(sources)
    step = max(1, len(ordered) // SAMPLE)
    return ordered[::step][:SAMPLE]


def remove_furniture(document: Document, furniture: Furniture, fallback: str) -> Document:
    """Return `document` without what its folder repeats.

    A title that is the site's gives way to the first heading below it, else to `fallback`.
    """
    sections = [
        replace(section, blocks=blocks)
        for section in document.sections
        if (blocks := tuple(b for b in section.blocks if _shape(b) not in furniture.blocks))
    ]
    if document.title not in furniture.titles:
        return replace(document, sections=tuple(sections))
    below = (section.headings[1] for section in sections if len(section.headings) > 1)
    title = next(below, fallback)
    renamed = (replace(section, headings=_rename(section, title)) for section in sections)
    return replace(document, title=title, sections=tuple(renamed))


def _rename(section: Section, title: str) -> tuple[str, ...]:
    rest = section.headings[1:]
    return (title, *(rest[1:] if rest[:1] == (title,) else rest))


def _shape(block: str) -> str:
    # "Last modified on 2022-04-18" differs from page to page, and says the same.
    return re.sub(r"\d+", "0", block) if _STAMP.search(block) else block
