"""BERT WordPiece in pure Python: text in, token ids out.

It knows the vocabulary vendored beside it and nothing of models, vectors or batches. The
rules are those of the uncased BERT tokenizer (Devlin et al., 2018, as the `tokenizers`
library implements them), with one difference on purpose: text that spells a special token,
such as "[SEP]", is ordinary text here. Documents and questions come from strangers, and a
stranger must not be able to write the model's own punctuation.

The vocabulary is that of all-MiniLM-L6-v2 (Apache-2.0).
"""

import hashlib
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

from ..errors import SetupError

VOCABULARY = Path(__file__).with_name("vocab.txt")
VOCABULARY_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"

UNKNOWN, START, END = 100, 101, 102  # [UNK], [CLS], [SEP]
LONGEST_WORD = 100
"""A longer word is one [UNK], as in the reference implementation."""

REMEMBERED_WORDS = 1 << 15
"""Words whose pieces are kept: natural text repeats itself, and memory stays bounded."""
REMEMBERED_CHARACTERS = 1 << 13

INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cs"})
"""Categories that are dropped. Code points not yet assigned are kept: they become [UNK]."""

# The blocks BERT calls "CJK" (U+4E00 and its extensions and compatibility forms; not kana or
# hangul): each character stands alone, because these scripts write no spaces.
IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


@lru_cache(maxsize=1)
def read_vocabulary(path: Path = VOCABULARY) -> dict[str, int]:
    """Return piece -> id, in file order.

    Raises `SetupError` when the file is missing or is not the vocabulary the model was
    trained with: other ids would give nonsense vectors without any other sign.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SetupError(
            f"The vocabulary {path} cannot be read ({error.strerror}). Restore it from the release."
        ) from error
    if hashlib.sha256(data).hexdigest() != VOCABULARY_SHA256:
        raise SetupError(f"The vocabulary {path} was changed. Restore it from the release.")
    return {piece: number for number, piece in enumerate(data.decode("utf-8").splitlines())}


def open_tokenizer(vocabulary: dict[str, int]) -> Callable[[str, int], list[int]]:
    """Return ``encode(text, limit)``: ids with [CLS] first and [SEP] last, at most `limit`.

    What does not fit is left out at the end. Safe to call from several threads.
    """
    pieces = lru_cache(maxsize=REMEMBERED_WORDS)(
        lambda word: tuple(_pieces_of(word, vocabulary)),
    )

    def encode(text: str, limit: int) -> list[int]:
        ids = [START]
        for word in split_into_words(text):
            ids.extend(pieces(word))
            if len(ids) >= limit:
                break
        return [*ids[: limit - 1], END]

    return encode


def split_into_words(text: str) -> Iterator[str]:
    """Yield the words of `text`: lower case, without accents, punctuation standing alone."""
    for run in "".join(map(_clean, text)).split():
        # Per character, as the reference does: str.lower() on a whole word knows the final sigma.
        plain = "".join(map(_plain, unicodedata.normalize("NFD", run)))
        start = 0
        for position, character in enumerate(plain):
            if _is_punctuation(character):
                if position > start:
                    yield plain[start:position]
                yield character
                start = position + 1
        if start < len(plain):
            yield plain[start:]


def _pieces_of(word: str, vocabulary: dict[str, int]) -> list[int]:
    """Greedy longest match first; a word with any unknown part is unknown as a whole."""
    if len(word) > LONGEST_WORD:
        return [UNKNOWN]
    ids: list[int] = []
    start = 0
    while start < len(word):
        prefix = "##" if start else ""
        for end in range(len(word), start, -1):
            number = vocabulary.get(prefix + word[start:end])
            if number is not None:
                ids.append(number)
                start = end
                break
        else:
            return [UNKNOWN]
    return ids


@lru_cache(maxsize=REMEMBERED_CHARACTERS)
def _clean(character: str) -> str:
    if character in "\t\n\r":
        return " "
    # Controls go before spaces are looked for, so a form feed joins words: the reference does so.
    if character == "\ufffd" or unicodedata.category(character) in INVISIBLE:
        return ""
    if character.isspace():
        return " "
    code = ord(character)
    if any(low <= code <= high for low, high in IDEOGRAPHS):
        return f" {character} "
    return character


@lru_cache(maxsize=REMEMBERED_CHARACTERS)
def _plain(character: str) -> str:
    return "" if unicodedata.category(character) == "Mn" else character.lower()


@lru_cache(maxsize=REMEMBERED_CHARACTERS)
def _is_punctuation(character: str) -> bool:
    # All ASCII that is not a letter, digit or space counts, also "$" and "`" (categories S*).
    if character.isascii():
        return not character.isalnum()
    return unicodedata.category(character)[0] == "P"
