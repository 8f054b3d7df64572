"""Passages as clients see them: the whole text, and what of it the answer quotes."""

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote

from ...chat import find_quotes
from ...passages import Passage
from ..events import Source

SNIPPET_LENGTH = 240

TEXT_LENGTH = 4_000
TEXTS_LENGTH = 24_000
"""Characters of one passage, and of all together: an event has to fit into an entry of the log."""

DOCUMENTS = "/api/sources/"
"""Where this server opens the documents it has indexed."""


def make_sources(passages: Sequence[Passage]) -> tuple[Source, ...]:
    """Make the sources of an answer from the passages that were found."""
    room = min(TEXT_LENGTH, TEXTS_LENGTH // max(1, len(passages)))
    return tuple(_make_source(passage, room) for passage in passages)


def mark_quotes(
    sources: Sequence[Source], answer: str, passages: Sequence[Passage]
) -> tuple[Source, ...]:
    """Mark the sources that `answer` cites, and the places in them that it quotes.

    The whole text stays with those alone: the others had it when they were found.
    """
    quotes = find_quotes(answer, passages)
    return tuple(
        replace(
            source,
            cited=number in quotes,
            quotes=tuple(
                (_count_units(source.text, start), _count_units(source.text, end))
                for start, end in quotes.get(number, ())
                if source.text is not None and end <= len(source.text)
            )
            or None,
            text=source.text if number in quotes else None,
        )
        for number, source in enumerate(sources, 1)
    )


def _make_source(passage: Passage, room: int) -> Source:
    text = " ".join(passage.text.split())
    snippet = (
        text if len(text) <= SNIPPET_LENGTH else text[: SNIPPET_LENGTH - 1].rsplit(" ", 1)[0] + "…"
    )
    return Source(
        id=passage.id,
        title=passage.title,
        uri=passage.uri,
        score=round(passage.score, 4),
        snippet=snippet,
        text=passage.text[:room],
        href=_address(passage) if passage.has_document else None,
    )


def _address(passage: Passage) -> str:
    return f"{DOCUMENTS}{quote(passage.id, safe='')}#passage"


def _count_units(text: str, characters: int) -> int:
    """Count UTF-16 units, as browsers do: a character beyond the first plane is two."""
    return len(text[:characters].encode("utf-16-le", "surrogatepass")) // 2
