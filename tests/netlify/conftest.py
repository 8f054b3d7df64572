"""A fresh page for each test of the page."""

from collections.abc import Iterator

import pytest

from tests.browser import Browser, Page


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page with storage of its own."""
    with browser.page() as opened:
        yield opened
