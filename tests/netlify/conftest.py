"""A browser for the tests of the page, started once, and a fresh page for each of them."""

from collections.abc import Iterator

import pytest

from tests.browser import Browser, Page, find_chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for each process of the test run."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("Chromium is not on the PATH")
    with Browser(chromium) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page with storage of its own."""
    with browser.page() as opened:
        yield opened
