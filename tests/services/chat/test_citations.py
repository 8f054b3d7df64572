"""Citations against passages: true ones stand, planted ones are caught."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chat import citations
from services.chat.citations import check_citations, find_quotes
from services.chat.provider import Prompt
from services.chat.providers.extractive import write_answer
from services.passages import Passage
from tests.services.chat.providers.bag import passage, passages

PAGES = (
    passage("", "Eiffel Tower", "The tower was completed in 1889 and stands 330 metres tall.",
            "It is lit every evening until 23:45."),
    passage("", "Louvre", "The Louvre holds the Mona Lisa.", "A ticket costs 22.50 euros."),
    passage("", "Catacombs", "Six million Parisians rest in tunnels 20 metres below the street."),
)  # fmt: skip


def faults(answer: str, pages: tuple[Passage, ...] = PAGES) -> list[tuple[int, int, str]]:
    found = check_citations(answer, pages)
    return [(item.citation, item.mark, item.reason) for item in found.unmatched] if found else []


TRUE = [
    "The Eiffel Tower stands 330 metres tall [1].",
    "The tower, completed in 1889, is lit every evening. [1]",
    "The Louvre is home to the Mona Lisa [2]. Six million people rest in the Catacombs [3].",
    "The tower is 330 metres tall [1], and the Louvre holds the Mona Lisa [2].",
    "A ticket for the Louvre costs 22.5 euros. [2]",
    "The tower stands tall and the Mona Lisa hangs in the Louvre [1][2].",
    "The tower stands tall and the Mona Lisa hangs in the Louvre [1, 2].",
    "- The Louvre holds the Mona Lisa [2]\n- The tower is 330 metres tall [1]\n",
]


@pytest.mark.parametrize("answer", TRUE)
def test_what_the_passages_say_stands(answer: str) -> None:
    """In other words, too."""
    found = check_citations(answer, PAGES)
    assert found is not None
    assert (found.score, found.unmatched) == (1.0, ())


PLANTED = [
    ("The tower is 330 metres tall [4].", [(4, 1, "missing")]),
    ("The tower is 330 metres tall [0].", [(0, 1, "missing")]),
    ("The tower is 324 metres tall [1].", [(1, 1, "number")]),
    ("The tower was completed in 1887. [1]", [(1, 1, "number")]),
    ("The tower is 330 metres tall [2].", [(2, 1, "number")]),
    ("The Louvre holds the Mona Lisa [3].", [(3, 1, "unsupported")]),
    ("Dogs are welcome on every bus after nine [2].", [(2, 1, "unsupported")]),
    ("The Louvre holds the Mona Lisa [2]. Bring your own sandwiches [3].", [(3, 2, "unsupported")]),
    ("The Louvre holds the Mona Lisa [2][3].", [(3, 2, "unsupported")]),
    ("The Louvre holds the Mona Lisa [2, 9].", [(9, 2, "missing")]),
]


def test_only_what_is_cited_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a passage costs the event loop a millisecond, and most are never cited."""
    read: list[Passage] = []
    real = citations._CitedPassage

    def read_passage(page: Passage) -> citations._CitedPassage:
        read.append(page)
        return real(page)

    monkeypatch.setattr(citations, "_CitedPassage", read_passage)
    assert check_citations("The tower is tall.", PAGES) is None
    assert read == []
    assert check_citations("The Louvre holds the Mona Lisa [2]. It does [2, 9].", PAGES) is not None
    assert read == [PAGES[1]]


@pytest.mark.parametrize(("answer", "expected"), PLANTED)
def test_planted_citations_are_caught(answer: str, expected: list[tuple[int, int, str]]) -> None:
    """No such passage, another number, nothing of the kind, one for show."""
    assert faults(answer) == expected


def test_the_score_is_the_share_that_holds() -> None:
    """Of all citations."""
    found = check_citations(
        "The Louvre holds the Mona Lisa [2]. Buses are free [1]. Is it? [7]", PAGES
    )
    assert found is not None
    assert (found.score, found.citations, len(found.unmatched)) == (0.333, 3, 2)


@pytest.mark.parametrize("answer", ["", "Nothing is cited.", "list[int] and [a] and [] and x[i]."])
def test_without_citations_there_is_nothing_to_check(answer: str) -> None:
    """And no score that would look like praise."""
    assert check_citations(answer, PAGES) is None


def test_scripts_without_spaces_are_compared_too() -> None:
    """By pairs of characters."""
    pages = (passage("", "東京", "東京タワーは高さ333メートルで、毎晩光ります。"),)
    assert faults("東京タワーは毎晩光ります[1]。", pages) == []
    assert faults("地下鉄は朝五時に動き始めます[1]。", pages) == [(1, 1, "unsupported")]


def test_the_embedded_engine_is_always_borne_out() -> None:
    """It quotes."""
    question = "How tall is the tower and what does the Louvre hold?"
    found = passages(question, [(page.title, [s.text for s in page.sentences]) for page in PAGES])
    prompt = Prompt(question, found)
    answer = write_answer(prompt).text
    checked = check_citations(answer, found)
    assert checked is not None
    assert checked.score == 1.0


def test_an_element_in_code_is_no_citation() -> None:
    """In a span or in a listing."""
    answer = "Take `rows[7]`:\n\n```\nx = rows[8]\n```\n\nThe Louvre holds the Mona Lisa [2]."
    checked = check_citations(answer, PAGES)
    assert checked is not None
    assert (checked.citations, checked.score) == (1, 1.0)


@given(st.text(max_size=300), st.lists(st.text(max_size=60), max_size=3))
def test_any_text_can_be_checked(answer: str, texts: list[str]) -> None:
    """And the score is a share."""
    found = check_citations(answer, tuple(passage("", "T", text) for text in texts))
    assert found is None or (0 <= found.score <= 1 and found.citations >= len(found.unmatched))


def test_a_huge_answer_is_not_read_to_its_end() -> None:
    """Checking it takes no time that a reader would notice."""
    found = check_citations("The Louvre holds the Mona Lisa [2]. " * 100_000, PAGES)
    assert found is not None
    assert found.citations < 3000


@given(
    st.lists(st.sampled_from(["one", "two", "Three", "für", "x.y", "𝔘"]), min_size=3, max_size=12),
    st.lists(st.sampled_from([" ", "\n", "  ", "\n\n"]), min_size=12, max_size=12),
    st.integers(0, 5),
    st.integers(1, 6),
)
def test_a_quote_is_found_whatever_white_space_its_document_has(
    words: list[str], gaps: list[str], first: int, count: int
) -> None:
    """The place holds the same words as the answer."""
    text = "".join(word + gap for word, gap in zip(words, gaps, strict=False)) + "end"
    quoted = words[first : first + count]
    found = find_quotes(f"{' '.join(quoted)} [1]", (replace(PAGES[0], text=text),))
    if quoted:
        ((start, end),) = found[1]
        assert text[start:end].split() == quoted
