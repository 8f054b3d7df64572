"""No text at all makes a terminal do anything but show text."""

import json
import unicodedata
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from riverrun_client.cli.escape import escape_json, escape_line, escape_text

SHARP = "\x00\x07\x08\x09\x0a\x0b\x0c\x0d\x1b\x7f\x80\x85\x9b\x9d\u2028\u2029\u202e\u2066\ud83d"
texts = st.text(alphabet=st.sampled_from(SHARP) | st.characters(), max_size=30)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def acts(text: str) -> set[str]:
    """The characters of it that a terminal acts on, or that reorder what stands around them."""
    turning = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    return {one for one in text if unicodedata.category(one) in ("Cc", "Cs") or one in turning}


@given(texts)
def test_text_keeps_its_lines_and_nothing_else_that_acts(text: str) -> None:
    """Line ends and tabs are text in an answer."""
    assert acts(escape_text(text)) <= {"\n", "\t"}
    escape_text(text).encode()


@given(texts)
def test_a_line_is_one_line(text: str) -> None:
    """A title with a line end in it forges no further line."""
    assert acts(escape_line(text)) == set()
    assert len(escape_line(text).splitlines()) <= 1
    escape_line(text).encode()


@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"])))
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    """Of any script, emoji and all."""
    assert escape_text(text) == escape_line(text) == text


@given(values)
def test_json_means_the_same(value: Any) -> None:
    """Escaped, not replaced; one line, which any encoding can write that has its letters."""
    line = escape_json(value)
    assert json.loads(line) == value
    assert acts(line) == set()
    assert len(line.splitlines()) <= 1
    line.encode()


def test_an_escape_is_shown_as_its_picture() -> None:
    """The text is whole, and harmless."""
    assert escape_text("a\x1b[31mb\x9b2J\r\nc") == "a␛[31mb\ufffd2J\nc"
    assert escape_line("a\r\nb\tc\x07") == "a  b c␇"
