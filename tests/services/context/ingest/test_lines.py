"""Lines that a typesetter broke, made into text again."""

import pytest

from services.context.ingest.lines import has_no_spaces, is_leader, join_hyphens, known_words


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("infor-\nmation", "information"),
        ("архи-\nтектура", "архитектура"),
        ("in\ufffestallation", "installation"),
        (
            "well-\nknown, and architecture-\nindependent",
            "well-known, and architecture-independent",
        ),
        ("Debian-\nSpecific", "Debian-Specific"),
        ("soft\xadhyphen", "softhyphen"),
        ("a - b\nc", "a - b\nc"),
    ],
)
def test_a_hyphen_goes_unless_the_word_has_it(text: str, joined: str) -> None:
    """The rest of the document tells compounds from broken words."""
    rest = "A well-known text about an architecture that is independent of installation."
    assert join_hyphens(text, known_words(rest)) == joined


@pytest.mark.parametrize(
    ("line", "leads"),
    [
        ("1.2 Packages . . . . . . . . 17", True),
        ("Preface ........ xii", True),
        ("And so on... 3 of them", False),
        ("Wait .....", True),
        ("See 1.2.3.4.5", False),
    ],
)
def test_a_line_of_a_table_of_contents_is_known_by_its_dots(line: str, leads: bool) -> None:
    """Dots that lead to a page."""
    assert is_leader(line) is leads


def test_lost_spaces_are_noticed() -> None:
    """Some fonts carry none; a long word or address now and then is no loss."""
    good = "The quick brown fox jumps over a Donaudampfschifffahrtsgesellschaft. " * 10
    assert not has_no_spaces(good)
    assert has_no_spaces("ifapackagehasavitallyimportantpieceofinformation to pass " * 30)
    assert not has_no_spaces("日本語の文章には空白がありません。" * 100)
