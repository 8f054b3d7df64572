"""The tokenizer, held against ids recorded from the reference implementation."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.embedding.wordpiece import (
    END,
    START,
    open_tokenizer,
    read_vocabulary,
    split_into_words,
)
from services.errors import SetupError

GOLDEN = json.loads(Path(__file__).with_name("wordpiece.json").read_text("utf-8"))["cases"]
VOCABULARY = read_vocabulary()
encode = open_tokenizer(VOCABULARY)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: ascii(case["text"])[:40])
def test_a_text_has_the_ids_the_reference_gives_it(case: dict[str, object]) -> None:
    """74 nasty texts: accents, scripts, emoji, controls, long words."""
    assert encode(str(case["text"]), 10_000) == case["ids"]


@given(st.text(), st.integers(min_value=2, max_value=300))
def test_any_text_becomes_known_ids_within_the_limit(text: str, limit: int) -> None:
    """Whatever a stranger writes, the model gets [CLS], pieces it knows, [SEP]."""
    ids = encode(text, limit)
    assert ids[0] == START
    assert ids[-1] == END
    assert len(ids) <= limit
    assert all(0 <= number < len(VOCABULARY) for number in ids)


@given(st.text(), st.integers(min_value=2, max_value=20))
def test_a_limit_only_cuts_the_end(text: str, limit: int) -> None:
    """The ids below the limit are those of the whole text."""
    whole = encode(text, 10_000)
    assert encode(text, limit)[:-1] == whole[:-1][: limit - 1]


@pytest.mark.parametrize("mark", ["[SEP]", "[CLS]", "[PAD]", "[MASK]", "[UNK]"])
def test_no_text_can_write_the_models_own_punctuation(mark: str) -> None:
    """A document that spells a special token has only spelled a word in brackets."""
    assert VOCABULARY[mark] not in encode(f"before {mark} after", 100)[1:-1]


@given(st.text(alphabet=st.characters(max_codepoint=0x24F, exclude_categories=["Cs"])))
def test_capitals_make_no_difference_in_latin(text: str) -> None:
    """The model is uncased; only letters whose capitals are several letters differ."""
    plain = "".join(letter for letter in text if letter.upper().lower() == letter.lower())
    assert list(split_into_words(plain.upper().lower())) == list(split_into_words(plain))


def test_a_changed_vocabulary_is_refused(tmp_path: Path) -> None:
    """Other ids would give nonsense vectors without any other sign."""
    path = tmp_path / "vocab.txt"
    path.write_text("[PAD]\nhello\n")
    with pytest.raises(SetupError, match="was changed"):
        read_vocabulary(path)
    with pytest.raises(SetupError, match="cannot be read"):
        read_vocabulary(tmp_path / "none.txt")
