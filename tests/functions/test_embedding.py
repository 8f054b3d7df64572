"""The page of the real functions inside a foreign page, with one tag, where a setting lists it."""

import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from emulator.site import read_site
from services.settings import ROOT
from tests.browser import Browser, Page
from tests.functions.serving import run_server
from tests.netlify.visits import answers
from tests.netlify.wire import Wire, serve

pytestmark = pytest.mark.browser

PATIENCE = 60
MANUAL = (ROOT / "docs" / "page.md").read_text("utf-8")
TAG = re.findall(r"```html\n(.*?)```", MANUAL, re.DOTALL)[0]
ASK = """(async () => {
  const until = async (met) => {
    while (!met()) await new Promise((done) => setTimeout(done, 20));
  };
  await until(() => document.querySelector("#question")?.placeholder);
  document.querySelector("#question").value = "Louvre?";
  document.querySelector("#composer").requestSubmit();
  await until(() => document.querySelector(".turn")?.dataset.phase === "done");
  return document.querySelector(".answer").innerText;
})()"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page with storage of its own."""
    with browser.page() as opened:
        yield opened


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[Wire]:
    """A server of another origin, whose page each test writes."""
    (tmp_path / "index.html").write_text("")
    with serve(answers(), tmp_path) as started:
        yield started


def write_page(folder: Path, server: str) -> None:
    """A page with the element, and a policy that allows nothing but the chat's origin."""
    policy = f"default-src 'none'; script-src {server}; frame-src {server}"
    # Inline styles are among what such a policy forbids: the manual says so.
    tag = TAG.replace("https://chat.example.org", server).replace(' style="height: 36rem"', "")
    policy += "; require-trusted-types-for 'script'; trusted-types 'none'"
    (folder / "index.html").write_text(
        f"""<!doctype html><meta http-equiv="Content-Security-Policy" content="{policy}">
        {tag}"""
    )


def run_inside(page: Page, script: str) -> str:
    """Run a script in the element's frame."""
    page.wait_for("document.querySelector('riverrun-chat').shadowRoot?.firstChild")
    frame = page.call("Page.getFrameTree")["frameTree"]["childFrames"][0]["frame"]["id"]
    world = page.call("Page.createIsolatedWorld", frameId=frame)["executionContextId"]
    asked = {"expression": script, "contextId": world, "awaitPromise": True}
    answer = page.call("Runtime.evaluate", returnByValue=True, **asked)
    return str(answer["result"].get("value"))


def test_a_listed_page_shows_the_chat_and_asks(
    page: Page, environ: Mapping[str, str], tmp_path: Path, foreign: Wire
) -> None:
    """Under a policy that names the chat's origin alone, and without a complaint."""
    with run_server({**environ, "RIVERRUN_FRAME_ORIGINS": foreign.url}) as server:
        write_page(tmp_path, server.url)
        page.open(foreign.url)
        assert "The Louvre, é" in run_inside(page, ASK)
        assert page.complaints == []


def test_a_page_that_is_not_listed_shows_nothing(
    page: Page, environ: Mapping[str, str], tmp_path: Path, foreign: Wire
) -> None:
    """The browser refuses the frame, and says by which rule."""
    with run_server({**environ, "RIVERRUN_FRAME_ORIGINS": "https://www.example.org"}) as server:
        write_page(tmp_path, server.url)
        page.open(foreign.url)
        end = time.monotonic() + PATIENCE
        while not any("frame-ancestors" in complaint for complaint in page.complaints):
            assert time.monotonic() < end, page.complaints
            page.evaluate("new Promise((done) => setTimeout(done, 20))")


def test_both_servers_of_this_machine_read_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """`make dev` sends the policy of `make serve`; without the setting no page is let."""
    asked = "http://localhost:3000, https://www.example.org"
    path = ROOT / "netlify.toml"
    before = dict(read_site(path).headers_for("/"))["Content-Security-Policy"]
    assert before.endswith("frame-ancestors 'none'")
    monkeypatch.setenv("RIVERRUN_FRAME_ORIGINS", asked)
    policy = dict(read_site(path).headers_for("/"))["Content-Security-Policy"]
    listed = "frame-ancestors http://localhost:3000 https://www.example.org"
    assert policy == before.replace("frame-ancestors 'none'", listed)
