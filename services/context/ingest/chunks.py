"""Sections into passages: pieces small enough to embed, cut only between sentences.

It knows documents, not files, vectors or indexes. The same document gives the same passages,
always: incremental ingest stands on that. A change to what this module (or a
reader) makes of a document raises `RECIPE`, and every index is then made anew.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from math import ceil

from ..chunk import ARROW, Chunk
from .documents import Document, Section, Verbatim
from .sentences import split_sentences

RECIPE = 3
"""The version of reading and chunking, recorded in the index."""

LONGEST_CHUNK = 180
"""Words in a passage. With its headings that is what the model reads (256 word pieces)."""

LETTERS_PER_WORD = 7
"""For scripts without spaces, and for code: so many characters weigh as a word."""

LONGEST_CODE = 120
"""The same weight for one listing, so that the sentence before it fits beside it."""

LONGEST_LINE = 600
"""Characters of a line of code; a longer one is data, and cut."""


def chunk(document: Document, path: str) -> list[Chunk]:
    """Return the passages of `document`; `path` is its percent-encoded path, the root of URIs."""
    given: Counter[str] = Counter()
    return [
        piece for section in document.sections for piece in _pieces(document, section, path, given)
    ]


def _pieces(
    document: Document, section: Section, path: str, given: Counter[str]
) -> Iterator[Chunk]:
    """Yield the passages of a section; `given` counts those of the document by their URI."""
    uri = f"{path}#{section.anchor}" if section.anchor else path
    title = ARROW.join(dict.fromkeys(section.headings))
    for sentences in _pack(_sentences(section)):
        text, spans = _lay_out(sentences)
        given[uri] += 1
        # Sections without an anchor of their own share the one above them.
        name = uri if given[uri] == 1 else f"{uri}:{given[uri]}"
        yield Chunk(name, uri, title, document.title, text, spans)


def _sentences(section: Section) -> list[tuple[str, bool]]:
    """Return (sentence, begins a line) in order."""
    found: list[tuple[str, bool]] = []
    for block in section.blocks:
        if isinstance(block, Verbatim):
            found.extend((part, True) for part in _parts_of_code(block))
            continue
        for line in block.split("\n"):
            found.extend(
                (sentence, position == 0) for position, sentence in enumerate(split_sentences(line))
            )
    return found


def _parts_of_code(code: Verbatim) -> Iterator[str]:
    """Yield a listing whole, or in parts of whole lines when it is longer than a passage."""
    part: list[str] = []
    weight = 0
    for line in code.split("\n"):
        for piece in _pieces_of_line(line):
            more = _weight(piece)
            if part and weight + more > LONGEST_CODE:
                yield fence(part)
                part, weight = [], 0
            if part or piece.strip():
                part.append(piece)
                weight += more
    if any(line.strip() for line in part):
        yield fence(part)


def fence(lines: Sequence[str]) -> str:
    """Return lines of code as a block of Markdown, which an answer can quote as it stands."""
    code = "\n".join(lines).rstrip()
    marks = "`" * max(3, 1 + max(map(len, re.findall(r"`+", code)), default=0))
    return f"{marks}\n{code}\n{marks}"


def _pieces_of_line(line: str) -> Iterator[str]:
    for start in range(0, max(1, len(line)), LONGEST_LINE):
        yield line[start : start + LONGEST_LINE]


def _weight(text: str) -> int:
    return max(len(text.split()), ceil(len(text) / LETTERS_PER_WORD))


def _pack(sentences: list[tuple[str, bool]]) -> Iterator[list[tuple[str, bool]]]:
    """Cut into as few pieces as fit, of about the same size: no crumb at the end."""
    total = sum(_weight(sentence) for sentence, _ in sentences)
    target = total / ceil(total / LONGEST_CHUNK) if total else 0
    piece: list[tuple[str, bool]] = []
    weight = 0
    for sentence in sentences:
        more = _weight(sentence[0])
        if piece and (weight >= target or weight + more > LONGEST_CHUNK):
            yield piece
            piece, weight = [], 0
        piece.append(sentence)
        weight += more
    if piece:
        yield piece


def _lay_out(sentences: list[tuple[str, bool]]) -> tuple[str, tuple[tuple[int, int], ...]]:
    text = ""
    spans: list[tuple[int, int]] = []
    for sentence, begins in sentences:
        if text:
            text += "\n" if begins else " "
        spans.append((len(text), len(text) + len(sentence)))
        text += sentence
    return text, tuple(spans)
