"""A stranger's name that leads to this machine (DNS rebinding), in a real Chromium."""

from collections.abc import Iterator

import pytest

from tests.browser import Browser, Page, find_chromium
from tests.emulator.support import run_cloud
from tests.functions.serving import Server

pytestmark = pytest.mark.browser

NAME = "rebound.example"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A page of a browser for which that name is 127.0.0.1."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("Chromium is not on the PATH")
    rules = f"--host-resolver-rules=MAP {NAME} 127.0.0.1 , MAP * ~NOTFOUND"
    with Browser(chromium, flags=(rules,)) as running, running.page() as opened:
        yield opened


def test_make_serve_answers_no_page_whose_name_is_led_here(page: Page, server: Server) -> None:
    """It can load nothing, and so asks and reads nothing."""
    page.open(f"http://{NAME}:{server.port}/")
    said = page.evaluate("document.body.innerText")
    assert "name" in said
    assert page.evaluate("document.scripts.length") == 0
    status = "fetch('/api/chat?query=hi&streaming=true').then((answer) => answer.status)"
    assert page.evaluate(status) == 403


def test_no_front_of_the_emulator_does(page: Page) -> None:
    """Each of its ports."""
    with run_cloud() as cloud:
        for name, url in cloud.cloud.urls.items():
            page.open(f"http://{NAME}:{url.rpartition(':')[2]}/")
            assert page.evaluate("document.body.innerText.trim()") == (
                "This server does not answer to that name."
            ), name
