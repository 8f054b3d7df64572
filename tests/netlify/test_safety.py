"""The page and strangers' text: nothing a server or a model says becomes more than text."""

import re

import pytest

from tests.browser import Page
from tests.netlify.visits import (
    WHOLE,
    answers,
    ask,
    becomes,
)
from tests.netlify.wire import SITE, failure, final, serve, source, status, token

pytestmark = pytest.mark.browser

EVIL = '<script>window.owned = 1</script><img src=x onerror="window.owned = 2">'


@pytest.mark.parametrize(
    "uri", ["javascript:window.owned=1", "data:text/html,<script>1</script>", "s3://b/k", "x.md"]
)
def test_only_web_addresses_become_links(page: Page, uri: str) -> None:
    """An address that is not http or https is said, not linked."""
    events = (final("a", sources=[source("Bad", uri=uri), source("Good", uri="https://e.org/x")]),)
    with serve(answers(*events)) as server:
        page.open(server.url)
        ask(page, "Where?")
        becomes(page, "done")
        hrefs = page.evaluate("[...document.querySelectorAll('.where a')].map((a) => a.href)")
        assert hrefs == ["https://e.org/x"]
        assert page.evaluate("document.querySelector('.where span').textContent") == uri


def test_nothing_a_server_says_becomes_an_element(page: Page) -> None:
    """Script in every field of every event is shown as the text it is."""
    evil_source = source(EVIL, id=EVIL, uri=EVIL, snippet=EVIL)
    events = (
        status(1, "executing", EVIL, name=EVIL),
        {"type": "notice", "code": EVIL, "message": EVIL},
        {"type": "sources", "sources": [evil_source]},
        token(EVIL),
        token(f"\n\n- {EVIL}\n\n## {EVIL}\n\n**{EVIL}** `{EVIL}` [1]\n\n```{EVIL}\n{EVIL}\n```"),
        failure(EVIL, hint=EVIL, code=EVIL),
    )
    with serve(answers(*events)) as server:
        page.open(server.url)
        ask(page, EVIL)
        becomes(page, "failed")
        elements = ":is(script, img, iframe, object, form:not(.feedback))"
        found = f"document.querySelectorAll('.turn {elements}').length"
        assert page.evaluate(found) == 0
        assert page.evaluate("window.owned === undefined")
        for part in (".asked", ".steps li", ".notices", ".answer", ".problem", ".sources .title"):
            assert "onerror" in page.text(part)
    assert page.complaints == []


def test_the_browser_itself_refuses_html_from_text(page: Page) -> None:
    """Trusted types are required and only the sanitiser's are allowed, whatever is tried later."""
    with serve(answers(*WHOLE)) as server:
        page.open(server.url)
        attempt = """(() => {
          try { document.body.innerHTML = "x"; } catch (error) { return error.name; }
        })()"""
        assert page.evaluate(attempt) == "TypeError"


def test_the_page_asks_only_its_own_server(page: Page) -> None:
    """No font, script, image or count is fetched from anywhere else, and nothing is missing."""
    with serve(answers(*WHOLE)) as server:
        page.open(server.url)
        ask(page, "Why?")
        becomes(page, "done")
        assert page.requests
        assert [url for url in page.requests if not url.startswith(server.url)] == []
    assert page.complaints == []


def test_the_server_and_the_page_name_the_same_policy() -> None:
    """`_headers` says all that the page says itself, and what only a header can say."""
    html = (SITE / "index.html").read_text()
    said = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    headers = re.search(r"Content-Security-Policy: (.+)", (SITE / "_headers").read_text())
    assert said is not None
    assert headers is not None
    assert headers[1] == f"{said[1]}; frame-ancestors 'none'"
    assert "require-trusted-types-for 'script'; trusted-types dompurify" in said[1]
    assert "unsafe" not in headers[1]


def test_the_page_has_no_inline_script_or_style() -> None:
    """The strict policy would refuse them; nothing depends on being refused."""
    html = (SITE / "index.html").read_text()
    assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", html) == []
    for module in SITE.glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", module.read_text()
        )


HOSTILE = [
    "<script>fetch('https://evil.example/1')</script>",
    "<img src=https://evil.example/2.png onerror=fetch('https://evil.example/3')>",
    "![a picture](https://evil.example/4.png)",
    "![data](data:image/svg+xml;base64,PHN2Zy8+)",
    "[click](javascript:fetch('https://evil.example/5'))",
    "[click](JaVaScRiPt&#58;alert(1)) [click](data:text/html,<script>1</script>) [x](vbscript:x)",
    "<svg onload=fetch('https://evil.example/6')><use href=https://evil.example/7 /></svg>",
    "<iframe src=https://evil.example/8></iframe><link rel=stylesheet href=https://evil.example/9>",
    "<style>@import 'https://evil.example/10'; * {background: url(https://evil.example/11)}</style>",
    "<math><mtext><table><mglyph><style><img src=x onerror=fetch('https://evil.example/12')>",
    "[1]: https://evil.example/13\n\nSee [1] and [the guide][1] and ![x][1].",
    "<https://evil.example/auto> and https://evil.example/bare and [go](//evil.example/14)",
    "`<img src=x onerror=1>` **<b onclick=1>bold</b>** <a href='https://evil.example' ping=x>y</a>",
    "| a | b |\n|---|---|\n| <img src=https://evil.example/15> | ![](https://evil.example/16) |",
    "<form action=https://evil.example/17><button formaction=https://evil.example/18>b</button>",
    "\x1b[31mred\x1b[0m \x1b]8;;https://evil.example\x07link",
]


def test_nothing_a_model_writes_asks_anyone_anything(page: Page) -> None:
    """No request but the page's own, no script, no image; what was written can be read."""
    text = "\n\n".join(HOSTILE)
    events = (token(text[: len(text) // 2]), token(text[len(text) // 2 :]), final(text))
    with serve(answers(*events)) as server:
        page.open(server.url)
        ask(page, "Why?")
        becomes(page, "done")
        page.evaluate("new Promise((done) => setTimeout(done, 300))")
        assert [url for url in page.requests if not url.startswith(server.url)] == []
        assert [asked.path for asked in server.asked] == ["/api/chat"]
        every = ":is(script, img, svg, iframe, object, link, style, form, math, base, meta, button)"
        assert page.evaluate(f"document.querySelectorAll('.answer {every}').length") == 0
        hrefs = page.evaluate("[...document.querySelectorAll('.answer a')].map((a) => a.href)")
        assert hrefs
        assert all(href.startswith("https://evil.example/") for href in hrefs)
        every = "[...document.querySelectorAll('.answer *')]"
        loose = f"{every}.flatMap((node) => node.getAttributeNames())"
        allowed = {"href", "target", "rel", "class", "tabindex", "start", "align"}
        allowed |= {"dir", "type"}  # ours: the text's direction, the button that copies code
        assert set(page.evaluate(loose)) <= allowed
        shown = page.text(".answer")
        for words in ("<script>fetch(", "onerror=", "a picture", "javascript:fetch", "<iframe"):
            assert words in shown
    assert page.complaints == []


def test_markdown_is_shown_as_what_it_means(page: Page) -> None:
    """Structure, emphasis, code and tables; links say where they lead."""
    text = (
        "# Title\n\nOne **two** *three* `four` ~~five~~\n\n- a\n- b\n\n3. c\n4. d\n\n> quoted\n\n"
        "```js\nlet a = '[1]';\n```\n\n| x | y |\n|---|--:|\n| 1 | 2 |\n\n"
        "[words](https://e.org/x) [1] [2]"
    )
    with serve(answers(final(text, sources=[source("Tokyo")]))) as server:
        page.open(server.url)
        ask(page, "Why?")
        becomes(page, "done")
        count = "(what) => document.querySelectorAll('.answer ' + what).length"
        for what in (
            "h3",
            "strong",
            "em",
            "p > code",
            "del",
            "ul li + li",
            "ol[start='3'] li",
            "td",
        ):
            assert page.evaluate(f"({count})({what!r})") > 0, what
        assert (
            page.evaluate(f"({count})('.cite')") == 1
        )  # not in code, and not of a source that is none
        assert (
            page.evaluate("document.querySelector('.answer pre').innerText.trim()")
            == "let a = '[1]';"
        )
        link = page.evaluate("document.querySelector('.answer p a:not(.cite)').outerHTML")
        assert 'rel="noopener noreferrer nofollow"' in link
        assert "e.org" in page.text(".answer .to")
