"""Prose into sentences, by rule; no language model, no data to download.

An answer quotes single sentences, so a cut in the wrong place is worse than a sentence that
is a little long: when in doubt, this module does not cut. It never cuts at a semicolon (the
second half rarely stands alone). It knows English abbreviations and the full stops of
Chinese and Japanese; it knows nothing of documents or their structure, except that a line
break is always a boundary.

Nothing is lost: the words of the sentences, in order, are the words of the text.
"""

import re
from collections.abc import Iterator

from ..words import COMMON, word_set

LONGEST_SENTENCE = 600
"""Characters. Text without full stops is cut at the last clause or word below this."""
WINDOW = 120
"""Characters looked at on either side of a full stop."""

# Never the end of a sentence: something always follows them.
TITLES = word_set(
    """mr mrs ms mx dr prof gen col capt lt sgt maj cmdr adm rev fr hon pres gov sen rep messrs e.g
    i.e eg ie cf vs viz ca approx fig figs eq sec ch pp vol vols no nos nr art dept mme mlle"""
)
# Often the end of one: a cut only before a word that likes to begin sentences.
ENDINGS = word_set(
    """st ste mt ft etc inc ltd co corp jr sr esq bros ave blvd rd sq bldg est jan feb mar apr jun
    jul aug sep sept oct nov dec"""
)
NUMBERED = frozenset({"no", "nos", "nr", "fig", "figs", "art", "sec", "ch", "vol", "vols", "pp"})
"""Abbreviations only before a number: otherwise "no." is a word that ends a sentence."""

# A full stop, what may close after it (quotes, brackets, a note mark), and white space; the
# full stops of CJK need no space.
_STOP = re.compile(
    r"""(?: (?<![.!?…‽؟।]) (?P<mark>[.!?…‽؟।]+) (?P<close>["'”’»)\]}*_]* (?:\[\d{1,3}\])*) (?=\s)
          | [。！？｡]+ [」』”’）]* )\s*""",
    re.VERBOSE,
)
_OPENERS = "\"'“‘«([{¿¡*_—–-"
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
_CLAUSE = re.compile(r"[;:,，；、](?=\s|[^\x00-\u2fff])|\s[–—-](?=\s)")


def split_sentences(text: str) -> list[str]:
    """Return the sentences of `text`, stripped, none empty, none longer than `LONGEST`.

    White space inside a sentence becomes one space.
    """
    return [
        piece
        for line in text.splitlines()
        for sentence in _sentences_of(" ".join(line.split()))
        for piece in _cut_long(sentence)
    ]


def _sentences_of(line: str) -> Iterator[str]:
    # Text that never uses capitals cannot be asked to begin its sentences with one.
    capitals = line != line.lower()
    start = 0
    for stop in _STOP.finditer(line):
        # Windows, not copies of the whole: a book may come as one line.
        before = line[max(start, stop.start() - WINDOW) : stop.start()]
        after = line[stop.end() : stop.end() + WINDOW]
        if after and _is_end(before, stop["mark"], after, capitals=capitals):
            yield line[start : stop.end()].rstrip()
            start = stop.end()
    if start < len(line):
        yield line[start:]


def _is_end(before: str, mark: str | None, after: str, *, capitals: bool) -> bool:
    """Tell whether the full stop `mark` between `before` and `after` ends a sentence."""
    if mark is None:
        return True
    following = after.lstrip(_OPENERS)
    if capitals and following[:1].islower():
        return False
    if mark != ".":
        return True
    word = before.rsplit(None, 1)[-1].lstrip(_OPENERS) if before.strip() else ""
    if not word:
        return False
    if word.isdigit():
        return len(before.split()) > 1 or len(word) > 2  # "1. First" is an item, not a sentence
    return _is_end_after_word(word, following)


def _is_end_after_word(word: str, following: str) -> bool:
    folded = word.casefold()
    if folded in NUMBERED:
        return not following[:1].isdigit()
    if folded in TITLES:
        return False
    if folded in ENDINGS or (word != "I" and _INITIALS.fullmatch(word)):
        return _can_begin_sentence(following)
    return True


def _can_begin_sentence(following: str) -> bool:
    match = re.match(r"[^\W\d_]+(?!\.)", following)
    return match is not None and match[0][0].isupper() and match[0].casefold() in COMMON


def _cut_long(sentence: str) -> Iterator[str]:
    start = 0
    while len(sentence) - start > LONGEST_SENTENCE:
        window = sentence[start : start + LONGEST_SENTENCE]
        clauses = [match.end() for match in _CLAUSE.finditer(window)]
        # A clause in the first third would leave a crumb; then a word will do, then anything.
        end = clauses[-1] if clauses and clauses[-1] > LONGEST_SENTENCE // 3 else window.rfind(" ")
        end = end if end > 0 else LONGEST_SENTENCE
        yield window[:end].rstrip()
        start += end
        start += sentence[start] == " "
    if rest := sentence[start:].strip():
        yield rest
