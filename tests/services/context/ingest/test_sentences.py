"""Sentences: where prose is cut, and where it must not be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.context.ingest.sentences import LONGEST_SENTENCE, split_sentences

# Written with "|" where a cut belongs.
CASES = [
    "He saw St. Peter's Basilica.|It was big.",
    "Customers may cancel at any time; access continues until the end.|No refunds.",
    "Use a map, e.g. the paper one.|Or i.e. the other.",
    "The U.S. Government sits in the U.S.|The rest is elsewhere.",
    "It costs 3.5 euros.|Version 2.0 cost 1,000.50.",
    "Wait... what?|Well… maybe.|Yes.",
    '"Really?" he asked.|"Yes."|She left.',
    "J. R. R. Tolkien wrote it.|Nobody else did.",
    "Arrive at 5 p.m.|The museum closes at 6 p.m. sharp.",
    "1. First do this.|2. Then do that.",
    "No. 5 is nice.|Is it?|No.|It is not.",
    "Louis XIV.|He reigned long.",
    "Bring apples, pears, etc.|The rest is there.",
    "东京很大。|京都很老！|走吧。",
    "京都は古い！|「行こう。」|彼は言った。",
    "all lower case here.|next one, e.g. this.|end",
    "It says so.[2]|Next one [3].|(Really.)|Done.",
    "Mt. Fuji rises.|Dr. Who visits St. Louis.|See Fig. 3 for more.",
    "What?!|Yes!!|Fine.",
    "She paid for modern art.|The museum was glad.",
    "iPhones are phones. eBay is a shop.",
    "Visit Washington D.C.|It is warm there.",
    "¿Qué?|¡Sí!|Vale.",
    "The end",
    "Between Nov. 3 and Dec. 5 it snows.",
    "He said “Stop.”|Then he left.",
]


@pytest.mark.parametrize("case", CASES)
def test_prose_is_cut_where_a_reader_would(case: str) -> None:
    """Each "|" is a cut, and there is no other."""
    text = case.replace("|", "" if "。" in case else " ")  # Chinese and Japanese write no spaces
    assert split_sentences(text) == case.split("|")


@given(st.text())
def test_nothing_is_lost_but_white_space(text: str) -> None:
    """The characters of the sentences, in order, are those of the text."""
    joined = "".join(split_sentences(text))
    assert "".join(joined.split()) == "".join(text.split())


@given(
    st.lists(st.sampled_from([*"abcA.!? \n\"')]…。", "St.", "e.g.", "3.5", "word "]), max_size=400)
)
def test_every_sentence_is_stripped_short_and_not_empty(parts: list[str]) -> None:
    """Whatever the text, an answer can quote what comes out."""
    for sentence in split_sentences("".join(parts)):
        assert sentence == sentence.strip()
        assert 0 < len(sentence) <= LONGEST_SENTENCE
        assert "\n" not in sentence


def test_text_without_full_stops_is_cut_at_clauses_and_words() -> None:
    """A sentence that never ends is still quoted in readable pieces."""
    clauses = split_sentences("a long list of many things, " * 60)
    assert all(piece.endswith(",") for piece in clauses)
    words = split_sentences("word " * 400)
    assert {word for piece in words for word in piece.split()} == {"word"}


@pytest.mark.parametrize("text", ["." * 200_000, "a. " * 100_000, "x" * 500_000, ". \"'" * 50_000])
def test_a_hostile_line_takes_linear_time(text: str) -> None:
    """Quadratic work on half a megabyte would outlast the test run."""
    assert split_sentences(text)
