"""Documents: titles, anchors and clean text, whatever the file said."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.context.ingest.documents import (
    Anchors,
    UnreadableError,
    decode,
    heading,
    keep_lines,
    slug,
    tidy,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Getting there and around", "getting-there-and-around"),
        ("Sights & Sounds!", "sights--sounds"),
        ("What's new?", "whats-new"),
        ("C++ / C#", "c--c"),
        ("snake_case-and-dash", "snake_case-and-dash"),
        ("Ärger 東京", "ärger-東京"),
        ("1. First", "1-first"),
    ],
)
def test_an_anchor_is_the_one_github_gives(text: str, expected: str) -> None:
    """A citation's link lands where a reader of the repository would land."""
    assert slug(text) == expected


def test_a_repeated_anchor_is_numbered() -> None:
    """Also when a heading already has the number's name."""
    anchors = Anchors()
    wanted = ["sights", "sights", "sights-1", "sights"]
    assert [anchors.give(anchor) for anchor in wanted] == [
        "sights",
        "sights-1",
        "sights-1-1",
        "sights-2",
    ]


@given(st.text())
def test_an_anchor_needs_no_escaping(text: str) -> None:
    """It goes into links as it is: ASCII, no quotes, no brackets, no second "#"."""
    anchor = Anchors().give(text.encode("utf-8", "replace").decode())
    assert anchor.isascii()
    assert not set(anchor) & set(" \"'<>#?&:")


@given(st.text())
def test_tidy_text_shows_all_it_holds(text: str) -> None:
    """No control characters but line breaks, no double spaces, no empty lines."""
    clean = tidy(text)
    assert all(
        unicodedata.category(character) not in ("Cc", "Cs") for character in clean.replace("\n", "")
    )
    assert all(line and line == " ".join(line.split()) for line in clean.split("\n") if clean)


def test_a_long_heading_is_shortened() -> None:
    """A paragraph marked as a heading is no title."""
    assert len(heading("word " * 100)) <= 200


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("é".encode("latin-1"), "not UTF-8 .byte 1"),
        (b"a\0b", "NUL"),
    ],
)
def test_other_encodings_are_refused_not_guessed(data: bytes, reason: str) -> None:
    """The reason says what is wrong and what to do."""
    with pytest.raises(UnreadableError, match=reason) as raised:
        decode(data)
    assert "save it as UTF-8" in raised.value.message


def test_a_text_that_is_not_what_it_declares_is_refused() -> None:
    """By its mark, or by what its format says."""
    with pytest.raises(UnreadableError, match="is not utf-16, which it says it is"):
        decode(b"\xff\xfeh\x00i")
    with pytest.raises(UnreadableError, match="unknown encoding"):
        decode(b"hi", "klingon")


def test_a_byte_order_mark_is_no_text() -> None:
    """Windows editors write one."""
    assert decode(b"\xef\xbb\xbfhello") == "hello"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_declares_its_encoding(encoding: str) -> None:
    """What Windows programs call "Unicode" is read."""
    assert decode("Zürich, 8 °C".encode(encoding)) == "Zürich, 8 °C"


def test_code_has_no_control_character() -> None:
    """Neither one that ends a line elsewhere, nor the one that is white space and ends none."""
    kept = keep_lines("".join(map(chr, range(1, 160))) + "\ud800x")
    assert not [one for one in kept if unicodedata.category(one) in ("Cc", "Cs") and one != "\n"]
