"""Passages as clients see them: whole, and marked where the answer quotes them."""

from dataclasses import replace

from services.passages import Passage
from services.streaming.answering.sources import TEXTS_LENGTH, make_sources, mark_quotes

TEXT = "𝔘eno has cherries 🌸.\nIt opens at nine. It is free."


def passage(number: int, text: str = TEXT) -> Passage:
    """A passage of an index."""
    return Passage(f"tokyo.md#p {number}", "Tokyo", "tokyo.md", text, 0.5, 0.0, (), {}, True)


def test_a_source_has_the_whole_passage_and_an_address_that_opens_it() -> None:
    """The address survives any name of a file."""
    (source,) = make_sources([passage(1)])
    assert source.text == TEXT
    assert source.href == "/api/sources/tokyo.md%23p%201#passage"
    (other,) = make_sources([replace(passage(1), has_document=False)])
    assert other.href is None


def test_all_texts_together_are_bounded() -> None:
    """Twenty long passages fit into one event."""
    sources = make_sources([passage(number, "x" * 9_000) for number in range(20)])
    assert sum(len(source.text or "") for source in sources) <= TEXTS_LENGTH


def test_a_quoted_sentence_is_found_in_units_that_a_browser_counts() -> None:
    """Whatever stands around it in the answer."""
    found = (passage(1), passage(2), passage(3))
    answer = "- 𝔘eno has cherries 🌸. [1]\n- It is free. [1]\n\nPeople like parks. [2]"
    sources = mark_quotes(make_sources(found), answer, found)
    assert [source.cited for source in sources] == [True, True, False]
    units = TEXT.encode("utf-16-le")
    quoted = [
        units[2 * start : 2 * end].decode("utf-16-le") for start, end in sources[0].quotes or ()
    ]
    assert quoted == ["𝔘eno has cherries 🌸.", "It is free."]
    assert sources[1].quotes is None
    assert (sources[1].text, sources[2].text) == (TEXT, None)


def test_an_answer_without_citations_cites_no_source() -> None:
    """A refusal."""
    found = (passage(1),)
    (source,) = mark_quotes(make_sources(found), "I looked, but found nothing.", found)
    assert (source.cited, source.text, source.quotes) == (False, None, None)
