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
        found = "document.querySelectorAll('.turn :is(script, img, iframe, object, form)').length"
        assert page.evaluate(found) == 0
        assert page.evaluate("window.owned === undefined")
        for part in (".asked", ".steps li", ".notices", ".answer", ".problem", ".sources .title"):
            assert "onerror" in page.text(part)
    assert page.complaints == []


def test_the_browser_itself_refuses_html_from_text(page: Page) -> None:
    """Trusted types are required and none is allowed, whatever a later change may try."""
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
    assert "unsafe" not in headers[1]


def test_the_page_has_no_inline_script_or_style() -> None:
    """The strict policy would refuse them; nothing depends on being refused."""
    html = (SITE / "index.html").read_text()
    assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", html) == []
    for module in SITE.glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", module.read_text()
        )
