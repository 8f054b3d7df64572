"""Markdown: sections under headings, links as their text, front matter left out."""

import pytest

from services.context.ingest.documents import Section
from services.context.ingest.readers.markdown import read_markdown

PAGE = """---
title: Paris and more
tags: [a, b]
---
Before any heading.

# Paris *and* more

A [link](https://example.org/x) and `code` &amp; **bold** ![a picture](x.png).
A soft break.

## Sights

- one
- two
  - three

| Season | Weather |
|--------|---------|
| Spring | mild    |
| Autumn |         |

### Deep

```python
x = 1
y = 2
```

<script>alert(1)</script>

## Sights

Again.<br>Next line.

Setext heading
--------------

Last &lt;words&gt;.
"""


def test_a_page_becomes_its_sections() -> None:
    """Headings lead to each section; lists, tables and code keep their lines."""
    document = read_markdown(PAGE.encode(), "stem")
    title = "Paris and more"
    assert document.title == title
    assert document.sections == (
        Section((title,), "", ("Before any heading.",)),
        Section((title,), "paris-and-more", ("A link and `code` & bold a picture. A soft break.",)),
        Section(
            (title, "Sights"),
            "sights",
            ("one", "two", "three", "Season: Spring; Weather: mild", "Season: Autumn"),
        ),
        Section((title, "Sights", "Deep"), "deep", ("x = 1\ny = 2",)),
        Section((title, "Sights"), "sights-1", ("Again.\nNext line.",)),
        Section((title, "Setext heading"), "setext-heading", ("Last <words>.",)),
    )


def test_a_page_without_a_heading_is_named_after_its_file() -> None:
    """And has no anchor."""
    document = read_markdown(b"Only text.", "my notes")
    assert document.sections == (Section(("my notes",), "", ("Only text.",)),)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_endings_make_no_difference(ending: str) -> None:
    """Front matter is recognised on every system."""
    text = ending.join(["---", "a: b", "---", "# T", "", "One", "two."])
    document = read_markdown(text.encode(), "stem")
    assert document.sections == (Section(("T",), "t", ("One two.",)),)


def test_a_rule_is_not_front_matter() -> None:
    """Only a block at the very start that is closed again."""
    document = read_markdown(b"---\n\nText after a rule.", "stem")
    assert document.sections[0].blocks == ("Text after a rule.",)


def test_headings_between_others_do_not_inherit() -> None:
    """A level-2 heading after a level-4 one stands under the title alone."""
    document = read_markdown(b"# A\n#### B\nb\n## C\nc\n# D\nd", "stem")
    assert [section.headings for section in document.sections] == [
        ("A", "B"),
        ("A", "C"),
        ("A", "D"),
    ]


@pytest.mark.parametrize(
    "matter",
    ["---\ntitle: Bread\n---\n", '+++\ntitle = "Bread"\n+++\n', "---\nTitle: Bread\n...\n"],
)
def test_front_matter_names_the_page(matter: str) -> None:
    """YAML or TOML; a first heading then is a section like any other."""
    document = read_markdown(f"{matter}# Dough\nFlour.".encode(), "stem")
    assert document.title == "Bread"
    assert document.sections == (Section(("Bread", "Dough"), "dough", ("Flour.",)),)


def test_a_page_that_is_only_front_matter_is_its_description() -> None:
    """Lists of pages are often made so."""
    document = read_markdown(b"---\ntitle: Bread\ndescription: How to bake.\n---\n", "stem")
    assert document.sections == (Section(("Bread",), "", ("How to bake.",)),)


def test_what_the_front_matter_says_of_a_page_stands_above_its_text() -> None:
    """Once, without its markup, and with the page's own first words."""
    matter = b"---\ntitle: Bread\ndescription: '`bake` makes a <em>loaf</em>.'\n---\n"
    for body, blocks in (
        (b"Take flour.\n\n## Oven\nHot.", ("`bake` makes a loaf.", "Take flour.")),
        (b"## Oven\nHot.", ("`bake` makes a loaf.",)),
        (b"`bake` makes a loaf.\n\n## Oven\nHot.", ("`bake` makes a loaf.",)),
    ):
        document = read_markdown(matter + body, "stem")
        assert document.sections[0] == Section(("Bread",), "", blocks)
        assert document.sections[1].headings == ("Bread", "Oven")


def test_a_heading_may_say_its_own_anchor() -> None:
    """It is not part of the title."""
    document = read_markdown("# T\n## Größe { #size .big }\nx\n## Plain {#own}\ny".encode(), "stem")
    assert [(s.headings[-1], s.anchor) for s in document.sections] == [
        ("Größe", "size"),
        ("Plain", "own"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("> [!WARNING]\n> Hot.", ("Hot.",)),
        ('!!! note "Mind"\n    Hot.\n\nAfter.', ("Mind.", "Hot.", "After.")),
        (":::tip Mind\nHot.\n:::", ("Mind.", "Hot.")),
        ("/// warning | Mind\nHot.\n///", ("Mind.", "Hot.")),
        ('=== "Python"\n\n    Hot.', ("Python.", "Hot.")),
        ("{{< figure src='x' >}}\nHot.", ("Hot.",)),
        ("import X from './x'\n\n<Tabs value='a'>Hot.</Tabs>", ("Hot.",)),
        ("::: package.module.Class\n    options:\n      x: 1\n\nHot.", ("Hot.",)),
        ("- [a](#a)\n- [b](#b)\n- [c](#c)\n- [d](#d)\n\nHot.", ("Hot.",)),
    ],
)
def test_what_generators_add_to_markdown_is_no_text(text: str, said: tuple[str, ...]) -> None:
    """Admonitions, tabs, short codes, components, generated parts, tables of contents."""
    assert [b for s in read_markdown(text.encode(), "stem").sections for b in s.blocks] == list(
        said
    )


def test_code_is_kept_as_it_stands() -> None:
    """Also where it looks like something that is taken off elsewhere."""
    code = "!!! note\n    import x from 'y'\n{{< z >}}"
    (section,) = read_markdown(f"```\n{code}\n```".encode(), "stem").sections
    assert section.blocks == (code,)
