"""Mend what was mistyped: "Seol" where the documents have Seoul.

A word is taken for a mistake only if neither the index nor English knows it, and a word that one
of them knows is one slip of the fingers away: a letter left out, doubled, swapped or wrong. The
words of the documents come first; a name is mended to nothing else.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from ..embedding.wordpiece import read_vocabulary
from ..errors import SetupError
from .words import COMMON, is_english, is_foreign, words

SHORTEST = 4
"""Letters; a shorter word is one slip away from too many."""

LONG = 6
"""Letters from which one of them may be too many: "halal" is no "hall"."""

ENGLISH_SLIPS = 2
"""Kinds of slips of which English is looked up, where no document has the word: letters swapped or
left out. A letter too many or a wrong one makes other words: "vegan" is no "vegas"."""

OFTEN = 3
"""How often the documents have to say a word, for one with a letter too many or a wrong one to be
mended to it."""

MOST_WORDS = 24
"""Words of a question that are looked at: a pasted page need not be."""
LONGEST = 40
"""Letters of a word that is looked at. Its slips are as many again, each as long: of one of 8,000
letters they are gigabytes, and seconds of a processor."""

_WORD = re.compile(r"(?<![\w.$@/#-])[^\W\d_]+(?:['’][^\W\d_]+)?(?![\w$@/#-]|\.\w)")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def correct(
    question: str,
    is_known: Callable[[str], bool],
    own: Callable[[], Mapping[str, int]],
) -> str:
    """Return `question` with its slips mended.

    `is_known` tells whether the index has a word; `own` counts the words of the documents.
    """
    if not _is_english(question):
        return question
    parts: list[str] = []
    end = 0
    for found in list(_WORD.finditer(question))[:MOST_WORDS]:
        word = found[0]
        mended = _mend(word, is_known, own)
        if mended != word:
            parts += [question[end : found.start()], mended]
            end = found.end()
    return "".join(parts) + question[end:]


def count_words(texts: Iterable[str]) -> Mapping[str, int]:
    """Count the words of `texts` that another may be mended to."""
    found = Counter(word for text in texts for word in words(text) if len(word) >= SHORTEST)
    return {word: count for word, count in found.items() if word.isascii() and word.isalpha()}


def _is_english(question: str) -> bool:
    """Tell whether a question is English, or keywords of which English has at least half."""
    if is_english(question):
        return True
    known = _read_english()
    found = [word for word in words(question) if len(word) >= SHORTEST]
    has_half = sum(word in known for word in found) >= len(found) / 2
    return bool(found) and has_half and not is_foreign(question)


def _read_english() -> Mapping[str, int]:
    try:
        return read_vocabulary()
    except SetupError:
        return {}  # a package without the local model


def _mend(
    word: str,
    is_known: Callable[[str], bool],
    own: Callable[[], Mapping[str, int]],
) -> str:
    folded = word.casefold()
    has_capitals_within = word[1:] != word[1:].lower() and not word.isupper()
    if not SHORTEST <= len(folded) <= LONGEST or not folded.isascii() or not folded.isalpha():
        return word
    if has_capitals_within or folded in COMMON or is_known(folded):
        return word
    known = _read_english()
    if folded in known:
        return word
    counts = own()
    for number, kind in enumerate(_list_slips(folded)):
        slips = [one for one in kind if len(one) >= SHORTEST]
        least = 1 if number < ENGLISH_SLIPS else OFTEN
        if near := [one for one in slips if counts.get(one, 0) >= least]:
            return _write_like(word, max(near, key=lambda one: counts[one]))
        # A name is none of English; a question may begin with "Waht".
        if near := [
            one
            for one in slips
            if one in COMMON or (number < ENGLISH_SLIPS and one in known and not word[0].isupper())
        ]:
            # The common words of the language have the lowest numbers.
            return _write_like(word, min(near, key=lambda one: known.get(one, 0)))
    return word


def _list_slips(word: str) -> Iterator[list[str]]:
    """Yield the words one slip away, the likelier slips first; the first letter is right.

    Two letters swapped, one left out, one too many, one wrong.
    """
    places = range(1, len(word))
    yield [word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in places[:-1]]
    yield [word[:at] + one + word[at:] for at in (*places, len(word)) for one in _LETTERS]
    yield [word[:at] + word[at + 1 :] for at in places] if len(word) >= LONG else []
    if len(word) > SHORTEST:  # "yolk" is no "york"
        yield [word[:at] + one + word[at + 1 :] for at in places for one in _LETTERS]


def _write_like(word: str, mended: str) -> str:
    return mended.capitalize() if word[0].isupper() else mended
