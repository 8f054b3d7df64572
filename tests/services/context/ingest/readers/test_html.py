"""HTML: what a reader of the page would read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.context.ingest.documents import Section
from services.context.ingest.readers.html import read_html


def blocks(page: str) -> tuple[str, ...]:
    """All blocks of a page, in order."""
    return tuple(
        block for section in read_html(page.encode(), "t").sections for block in section.blocks
    )


def test_only_what_is_read_is_kept() -> None:
    """Scripts, styles, navigation, forms and hidden parts are not part of the text."""
    page = (
        "<head><title>T</title><style>a{}</style></head><body><nav>menu</nav><script>x()</script>"
        "<p>Keep <b>bo</b>ld &amp; <i>plain</i>.</p><p hidden>no</p><div aria-hidden=true>no</div>"
        "<form>no</form><template>no</template><!-- no -->"
        "<noscript>no</noscript><footer>no</footer>"
    )
    assert blocks(page) == ("Keep bold & plain.",)


def test_the_title_is_the_first_h1_then_the_pages_own() -> None:
    """The name of the file comes last."""
    assert read_html(b"<title>Tab</title><h1>Head</h1>x", "stem").title == "Head"
    assert read_html(b"<title>Tab</title>x", "stem").title == "Tab"
    assert read_html(b"x", "stem").title == "stem"


def test_anchors_are_the_pages_own_ids() -> None:
    """Percent-encoded; a heading without an id gets a slug; the mark of a generator goes."""
    page = b"<h1>T</h1><h2 id='q 1'>One<a href=#q>\xc2\xb6</a></h2>a<h2>Two words</h2>b"
    assert read_html(page, "stem").sections == (
        Section(("T", "One"), "q%201", ("a",)),
        Section(("T", "Two words"), "two-words", ("b",)),
    )


def test_text_before_inside_and_after_a_block_stays_apart() -> None:
    """A paragraph inside a division ends what came before it."""
    assert blocks("<div>a<p>b</p>c<br>d</div>e") == ("a", "b", "c\nd", "e")


def test_main_is_the_page_when_there_is_one() -> None:
    """What stands around it is furniture."""
    assert blocks("<header>site</header><main><p>text</p></main><div>ads</div>") == ("text",)


def test_a_row_without_column_names_is_its_cells() -> None:
    """Blocks inside a cell do not break it."""
    assert blocks("<table><tr><td><p>a</p><p>b</p><td>c</table>") == ("a b; c",)


@pytest.mark.parametrize("tag", ["div", "b", "blockquote", "table><tr><td"])
def test_a_page_nests_deeper_than_pythons_stack(tag: str) -> None:
    """Ten thousand levels are a broken page, not a crash."""
    assert "deep" in " ".join(blocks(f"<{tag}>" * 10_000 + "deep"))


@given(st.text(alphabet="<>/ahp12 =\"'&;!-trbliscn\n"))
def test_any_page_can_be_read(page: str) -> None:
    """Tag soup gives sections or none, never an exception."""
    read_html(page.encode(), "stem")
