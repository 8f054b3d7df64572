"""HTML: what a reader of the page would read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.context.ingest.documents import Section, Verbatim
from services.context.ingest.readers.html import read_html


def blocks(page: str) -> tuple[str, ...]:
    """All blocks of a page, in order."""
    return tuple(
        block for section in read_html(page.encode(), "t").sections for block in section.blocks
    )


def test_only_what_is_read_is_kept() -> None:
    """Scripts, styles, navigation, controls and hidden parts are not part of the text."""
    page = (
        "<head><title>T</title><style>a{}</style></head><body><nav>menu</nav><script>x()</script>"
        "<p>Keep <b>bo</b>ld &amp; <i>plain</i>.</p><p hidden>no</p><div aria-hidden=true>no</div>"
        "<select><option>no</select><template>no</template><!-- no -->"
        "<noscript>no</noscript><footer>no</footer>"
    )
    assert blocks(page) == ("Keep bold & plain.",)


def test_the_title_is_the_first_h1_then_the_pages_own() -> None:
    """The name of the file comes last."""
    assert read_html(b"<title>Tab</title><h1>Head</h1>x", "stem").title == "Head"
    assert read_html(b"<title>Tab</title>x", "stem").title == "Tab"
    assert read_html(b"x", "stem").title == "stem"


def test_anchors_are_the_pages_own_ids() -> None:
    """Percent-encoded; a heading without an id is found by the one above it."""
    page = b"<h1>T</h1><h2 id='q 1'>One<a href=#q>\xc2\xb6</a></h2>a<h2>Two words</h2>b"
    assert read_html(page, "stem").sections == (
        Section(("T", "One"), "q%201", ("a",)),
        Section(("T", "Two words"), "q%201", ("b",)),
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


@pytest.mark.parametrize(
    "page",
    [
        "<section id=here><h2>Head<a class=headerlink href='#here'>¶</a></h2>x</section>",
        "<a name=here></a><h2>Head</h2>x",
        "<h2><span id=here>Head</span></h2>x",
        "<h2>Head<a href='#here'>#</a></h2>x",
        "<div id=menu><input><select></select></div><h2 id=here>Head</h2>x",
        "<div id=here><div id=menu><select></select></div></div><h2><a name=here></a>Head</h2>x",
    ],
)
def test_an_anchor_is_an_id_that_the_page_has_beside_its_heading(page: str) -> None:
    """Sphinx puts it on the section, older pages into a named anchor, others inside."""
    document = read_html(f"<h1 id=top>T</h1>before{page}".encode(), "stem")
    assert [section.anchor for section in document.sections] == ["top", "here"]


def test_of_several_first_headings_the_one_in_the_tab_names_the_page() -> None:
    """The others are a site's, or chapters of one page."""
    page = b"<title>Usage - Acme docs</title><h1>Acme</h1>slogan<h1>Usage</h1>text<h1>More</h1>x"
    document = read_html(page, "stem")
    assert document.title == "Usage"
    assert [section.headings for section in document.sections] == [
        ("Usage", "Acme"),
        ("Usage",),
        ("Usage", "More"),
    ]


@pytest.mark.parametrize(
    "part",
    [
        "<form><p>read</p></form>",
        "<aside class=note><p>read</p></aside>",
        "<div role=tabpanel hidden>read</div>",
        "<div hidden=until-found>read</div>",
        "<style>.tab-pane{display:none}</style><div class=tab-pane>read</div>",
        "<main></main><div>read</div>",
        "<math><semantics><mi>x</mi><annotation>read</annotation></semantics></math>",
        "<details><summary></summary>read</details>",
    ],
)
def test_what_a_reader_can_come_to_see_is_read(part: str) -> None:
    """Forms around whole pages, notes, tabs, folded parts, formulas, pages beside `main`."""
    assert [block.strip() for block in blocks(f"<body>{part}</body>")] == ["read"]


@pytest.mark.parametrize(
    "part",
    [
        "<p style='display: none'>no</p>",
        "<style>.x, #y {visibility:hidden}</style><p class=x>no</p><p id=y>no</p>",
        "<span class=sr-only>no</span>",
        "<div role=navigation>no</div>",
        "<ul><li><a href=a>no</a><li><a href=b>no</a><li><a href=c>no</a><li><a href=d>no</a></ul>",
        "<p><sup><a href='#fn1'>[1]</a></sup></p>",
    ],
)
def test_what_a_reader_does_not_see_or_only_clicks_is_left_out(part: str) -> None:
    """Hidden by a style, for a screen reader, a menu, the mark of a footnote."""
    assert blocks(f"<body><p>text</p>{part}</body>") == ("text",)


def test_code_keeps_its_lines_and_its_indentation() -> None:
    """As a block of its own, whatever marks its words."""
    page = "<p>Run <code>f(items[0])</code>:<pre><span>def</span> f(x):\n    return x[1]\n</pre>"
    prose, code = blocks(page)
    assert prose == "Run `f(items[0])`:"
    assert isinstance(code, Verbatim)
    assert code == "def f(x):\n    return x[1]"


@pytest.mark.parametrize(
    "page",
    [
        "<meta charset=windows-1252><p>café".encode("cp1252"),
        "<?xml version='1.0' encoding='ISO-8859-1'?><p>café</p>".encode("latin-1"),
        "<meta http-equiv=Content-Type content='text/html; charset=iso-8859-1'><p>café".encode(
            "cp1252"
        ),
        "<p>café".encode("utf-16"),
    ],
)
def test_a_page_in_an_encoding_it_declares_is_read(page: bytes) -> None:
    """In its head, or by a byte order mark."""
    (section,) = read_html(page, "stem").sections
    assert section.blocks == ("café",)


def test_two_hundred_thousand_levels_end() -> None:
    """A parser's time grows with the square of the depth, so no page goes so deep."""
    for tag in ("div", "ul><li", "table><tr><td"):
        assert "deep" in " ".join(blocks(f"<{tag}>" * 200_000 + "deep"))
