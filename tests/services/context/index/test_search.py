"""Ranking: by meaning, and by words where words are telling."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.context.index.index import Index, open_index
from services.context.index.search import best, passages, search


@given(
    st.lists(
        st.one_of(st.sampled_from([0.0, 0.5, -np.inf]), st.floats(-1, 1, width=32)), max_size=60
    ),
    st.integers(min_value=1, max_value=70),
)
def test_the_best_rows_are_those_a_full_sort_finds(values: list[float], count: int) -> None:
    """Ties go to the earlier row; what is ruled out never comes."""
    scores = np.array(values, np.float32)
    finite = [row for row in range(len(scores)) if np.isfinite(scores[row])]
    expected = sorted(finite, key=lambda row: (-scores[row], row))[:count]
    assert best(scores, count) == expected


@pytest.fixture
async def index(run: Callable[..., Any], docs: Path, tmp_path: Path) -> Any:
    """An index with error codes that look alike, and with copies."""
    codes = "\n\n".join(
        f"## Code {number}\n\nThe device shows E-{number} when the valve is stuck."
        for number in range(1001, 1201)
    )
    (docs / "codes.md").write_text(f"# Codes\n\n{codes}\n")
    (docs / "copy.md").write_text((docs / "cities" / "oslo.md").read_text())
    await run()
    with open_index(tmp_path / "index") as opened:
        yield opened


def ask(
    index: Index, embedder: Any, question: str, top_k: int = 5, length: float = 1.0
) -> list[tuple[str, float]]:
    """Return (URI, coverage) of the best passages; the vector says nothing of the words.

    Of the length 0 it says nothing at all: all passages are as near.
    """
    vector = np.full(64, length / 8, np.float32)
    hits = search(index, index.vectors @ vector, vector, question, top_k)
    return [(found.uri, found.coverage) for found in passages(index, hits, vector)]


pytestmark = pytest.mark.anyio


async def test_a_code_is_found_among_two_hundred_that_look_alike(
    index: Index, embedder: Any
) -> None:
    """Meaning cannot tell them apart; the one word can."""
    for number in (1001, 1077, 1200):
        ((uri, coverage), *_) = ask(index, embedder, f"What does E-{number} mean for the valve?")
        assert uri == f"codes.md#code-{number}"
        assert coverage > 0.5


async def test_coverage_is_the_share_of_rare_words(index: Index, embedder: Any) -> None:
    """Everything, nothing, or something between; common words do not count."""
    assert dict(ask(index, embedder, "Where is the fish market of Bergen?"))[
        "cities/bergen.html"
    ] == pytest.approx(1.0)
    assert {coverage for _, coverage in ask(index, embedder, "zzz qqq")} == {0.0}
    assert {coverage for _, coverage in ask(index, embedder, "what is it?")} == {0.0}


async def test_a_copy_is_never_found_beside_its_original(index: Index, embedder: Any) -> None:
    """Whether by meaning or by words."""
    uris = [uri for uri, _ in ask(index, embedder, "Fram Museum polar ship Oslo", 20)]
    assert "cities/oslo.md#museums" in uris
    assert not any(uri.startswith("copy.md") for uri in uris)


async def test_the_same_question_has_the_same_answer(index: Index, embedder: Any) -> None:
    """Two hundred ties, and no flicker."""
    first = ask(index, embedder, "stuck valve", 20)
    assert len(first) == 20
    assert all(ask(index, embedder, "stuck valve", 20) == first for _ in range(3))
    assert ask(index, embedder, "stuck valve", 7) == first[:7]


async def test_sentences_are_compared_one_by_one(index: Index) -> None:
    """Their vectors are unit rows, their similarities the cosines with the question."""
    vector = np.zeros(64, np.float32)
    vector[3] = 1
    for passage in passages(index, search(index, index.vectors @ vector, vector, "", 3), vector):
        assert " ".join(sentence.text for sentence in passage.sentences) == " ".join(
            passage.text.split()
        )
        for sentence in passage.sentences:
            assert sentence.vector.dtype == np.float32
            assert np.linalg.norm(sentence.vector) == pytest.approx(1, abs=1e-5)
            assert sentence.similarity == pytest.approx(float(sentence.vector[3]), abs=1e-6)


async def test_a_pasted_page_is_a_question_too(index: Index, embedder: Any) -> None:
    """Thousands of words and every operator of the query language."""
    page = " ".join(f'word{number} AND "NEAR(' for number in range(3000))
    assert ask(index, embedder, page)


async def test_the_section_that_explains_an_identifier_comes_before_those_that_use_it(
    run: Callable[..., Any], docs: Path, tmp_path: Path, embedder: Any
) -> None:
    """Its heading begins with it, whatever else the heading says."""
    (docs / "options.md").write_text(
        "# Options\n\n## Uses\n\nSet trustProxy when a proxy helps.\n\n"
        "## `trustProxy(list)`\n\nBelieve those of trustProxy.\n"
    )
    await run()
    with open_index(tmp_path / "index") as index:
        ((uri, _), *_) = ask(index, embedder, "What does trustProxy do?")
    assert uri == "options.md#trustproxylist"


async def test_of_two_passages_alike_the_one_in_company_comes_first(
    run: Callable[..., Any], docs: Path, tmp_path: Path, embedder: Any
) -> None:
    """A document that has more to say is about the thing; the other mentions it."""
    (docs / "a.md").write_text(
        "# Notes\n\n## Kites\n\nA kite flies.\n\n## Other\n\nNothing here.\n"
    )
    more = "".join(f"## Kite {n}\n\nThe kite number {n} flies.\n\n" for n in "123")
    (docs / "b.md").write_text(f"# Notes\n\n## Kites\n\nA kite flies!\n\n{more}")
    await run()
    with open_index(tmp_path / "index") as index:
        found = [uri for uri, _ in ask(index, embedder, "kites fly")]
    assert found.index("b.md#kites") < (
        found.index("a.md#kites") if "a.md#kites" in found else len(found)
    )


async def test_a_rare_word_in_a_heading_tells_more_than_a_title_that_says_what_all_are_about(
    run: Callable[..., Any], docs: Path, tmp_path: Path, embedder: Any
) -> None:
    """Every page is about boats: that one is called so says nothing of where the fuel is."""
    for number in range(12):
        (docs / f"page{number}.md").write_text(
            f"# Page {number}\n\nMore of boats, part {number}.\n"
        )
    (docs / "about.md").write_text("# Boats\n\n## Use\n\nBoats store fuel in tanks.\n")
    (docs / "engine.md").write_text("# Engine\n\n## Fuel\n\nBoats store fuel in tanks.\n")
    await run()
    with open_index(tmp_path / "index") as index:
        found = [
            uri for uri, _ in ask(index, embedder, "Where do boats store their fuel?", length=0)
        ]
    assert found[0] == "engine.md#fuel"


async def test_a_document_that_the_question_names_comes_before_another_that_says_the_same(
    run: Callable[..., Any], docs: Path, tmp_path: Path, embedder: Any
) -> None:
    """A name that few have nearly decides."""
    for name in ("Coast", "Tromso"):
        (docs / f"{name}.md").write_text(
            f"# {name}\n\n## Eating\n\nFish is eaten in Tromso at the port.\n"
        )
    await run()
    with open_index(tmp_path / "index") as index:
        ((uri, _), *_) = ask(index, embedder, "Where is fish eaten in Tromso?", length=0)
    assert uri == "Tromso.md#eating"
