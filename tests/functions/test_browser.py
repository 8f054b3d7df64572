"""A real browser's own `EventSource` against the real functions."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser import Browser, Page
from tests.functions.serving import Server

pytestmark = pytest.mark.browser

# What a page does with an EventSource: `onmessage` by type, `close` at the end.
# With `closes` false it stays open, as a client does that knows no terminal events.
WATCH = """
(url, closes) => {
  const seen = window.seen = {events: [], ids: [], opened: 0, errors: 0, state: null};
  const source = window.source = new EventSource(url);
  source.onopen = () => { seen.opened += 1; };
  source.onerror = () => { seen.errors += 1; seen.state = source.readyState; };
  source.onmessage = (message) => {
    const data = JSON.parse(message.data);
    seen.events.push(data);
    seen.ids.push(message.lastEventId);
    if (closes && (data.type === 'final' || data.type === 'error')) {
      source.close();
      seen.state = source.readyState;
    }
  };
}
"""


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """A page of the server's own origin."""
    with browser.page() as opened:
        opened.open(f"{server.url}/")
        yield opened


def _watch(page: Page, url: str, *, closes: bool) -> None:
    page.evaluate(f"({WATCH})({json.dumps(url)}, {json.dumps(closes)})")


def _read_seen(page: Page) -> dict[str, Any]:
    seen: dict[str, Any] = page.evaluate("window.seen")
    return seen


@pytest.mark.parametrize("base", ["/api/chat", "/.netlify/functions/chat"])
def test_an_event_source_hears_the_whole_answer(page: Page, base: str) -> None:
    """Statuses with a description, tokens, one final with the answer, ids without a gap."""
    _watch(page, f"{base}?query=Louvre&streaming=true", closes=True)
    page.wait_for("window.seen.state === 2")
    seen = _read_seen(page)
    kinds = [event["type"] for event in seen["events"]]
    assert kinds[0] == "status"
    assert seen["events"][0]["status"]["description"]
    assert kinds.count("final") == 1
    assert kinds[-1] == "final"
    tokens = [event["text"] for event in seen["events"] if event["type"] == "token"]
    assert "".join(tokens) == seen["events"][-1]["result"]["answer"]
    assert [text.rpartition("-")[2] for text in seen["ids"]] == [
        str(number) for number in range(1, len(kinds) + 1)
    ]
    assert seen["opened"] == 1


def test_an_event_source_that_does_not_close_is_told_that_nothing_is_left(page: Page) -> None:
    """It reconnects with the last id, gets 204 and stops for good; nothing is said twice."""
    _watch(page, "/api/chat?query=Louvre&streaming=true", closes=False)
    page.wait_for("window.seen.state === 2")
    kinds = [event["type"] for event in _read_seen(page)["events"]]
    assert kinds.count("final") == 1
    assert kinds[-1] == "final"
