"""One file brands the page, and it speaks the language of its reader."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.browser import Page
from tests.netlify.visits import WHOLE, answers, ask, becomes
from tests.netlify.wire import SITE, Exchange, final, serve, token

pytestmark = pytest.mark.browser

KEYS = """(() => {
  const keys = (value, path = "") => value !== null && typeof value === "object"
    ? Object.entries(value).flatMap(([name, inner]) => keys(inner, `${path}.${name}`))
    : [`${path}:${typeof value}:${typeof value === "function" ? value.length : ""}`];
  return Object.entries(riverrunWords).map(([name, words]) => [name, keys(words)]);
})()"""


def test_every_language_has_every_word(page: Page) -> None:
    """Three are shipped, each with the same names, functions of the same values included."""
    with serve(answers()) as server:
        page.open(server.url)
        languages = dict(page.evaluate(KEYS))
    assert len(languages) >= 3
    assert all(keys == languages["en"] for keys in languages.values())


@pytest.mark.parametrize(("language", "word"), [("de", "Fragen"), ("es", "Preguntar")])
def test_the_interface_follows_its_reader(page: Page, language: str, word: str) -> None:
    """The browser's language at first, the chosen one from then on; not an English word is left."""
    page.call("Emulation.setLocaleOverride", locale=language)
    with serve(answers(*WHOLE)) as server:
        page.call("Network.setUserAgentOverride", userAgent="x", acceptLanguage=language)
        page.open(server.url)
        assert page.text("#ask") == word
        assert page.evaluate("document.documentElement.lang") == language
        ask(page, "Why?")
        becomes(page, "done")
        shown = page.evaluate("document.body.innerText")
        for english in ("Copy", "Sources", "Finished", "steps", "Ask again", "New conversation"):
            assert english not in shown
    assert page.complaints == []


def test_one_file_brands_the_page(page: Page, tmp_path: Path) -> None:
    """Name, words, samples, colours, endpoint and what is offered; no other file changes."""
    site = tmp_path / "site"
    shutil.copytree(SITE, site)
    brand = {
        "name": "Ask Ada",
        "greeting": "What would you like to know?",
        "lead": {"en": "About engines."},
        "samples": ["What is an engine?"],
        "language": "en",
        "colours": {"water": {"light": "#7a1f5c", "dark": "#e7a7d1"}, "ink": "#101010"},
        "endpoint": "/api/chat",
        "details": True,
        "feedback": False,
        "share": False,
    }
    (site / "brand.js").write_text(f"globalThis.riverrunBrand = {json.dumps(brand)};")
    page.prefer(color_scheme="light")
    with serve(answers(*WHOLE), site) as server:
        page.open(server.url)
        shown = page.evaluate("document.body.innerText")
        for text in ("Ask Ada", "What would you like to know?", "About engines."):
            assert text in shown
        assert "Riverrun" not in shown + page.evaluate("document.title")
        ground = "getComputedStyle(document.querySelector('#ask')).backgroundColor"
        assert page.evaluate(ground) == "rgb(122, 31, 92)"
        page.click(".sample")
        becomes(page, "done")
        assert page.evaluate("document.querySelector('.timeline').checkVisibility()")
        assert page.evaluate("document.querySelector('.good').hidden")
        assert page.evaluate("document.querySelector('.share-turn').hidden")
    assert page.complaints == []


def test_a_colour_that_does_not_exist_is_told(page: Page, tmp_path: Path) -> None:
    """A guessed name is no silence, every name of the manual is one, and the wave can go."""
    manual = (Path(__file__).parents[2] / "docs/page.md").read_text("utf-8")
    colours = manual.partition("The colours are ")[2].partition("\n")[0]
    names = re.findall("`([a-z-]+)`", colours)
    first_rule = (SITE / "style.css").read_text().partition(":root {")[2].partition("}")[0]
    assert sorted(names) == sorted(re.findall(r"--([a-z-]+): light-dark", first_rule))
    site = tmp_path / "site"
    shutil.copytree(SITE, site)
    brand = {"name": "Ada", "samples": [], "mark": False, "details": False, "endpoint": "/api/chat"}
    brand["colours"] = dict.fromkeys([*names, "accent"], "#7a1f5c")
    (site / "brand.js").write_text(f"globalThis.riverrunBrand = {json.dumps(brand)};")
    with serve(answers(), site) as server:
        page.open(server.url)
        assert not page.evaluate("document.querySelector('.mark').checkVisibility()")
        assert len(page.complaints) == 1
        assert 'no colour "accent"' in page.complaints[0]


def test_documents_of_ones_own_are_offered_in_place_of_the_brands_samples(page: Page) -> None:
    """What the server names is asked as it stands; what is no text is not offered."""
    own = ["Ferries: Fares", 7, "<b>Ferries</b>: Hours"]
    with serve(answers(*WHOLE), samples=own) as server:
        page.open(server.url)
        page.wait_for("document.querySelectorAll('.sample').length === 2")
        assert page.text("#samples li:last-child") == "<b>Ferries</b>: Hours"
        page.click(".sample")
        becomes(page, "done")
        assert server.questions()[0].body["query"] == "Ferries: Fares"
    assert page.complaints == []


def test_an_address_cannot_send_questions_elsewhere(page: Page) -> None:
    """`?endpoint=` takes a path on this server alone: a link must not carry keys away."""
    for endpoint in ("https://evil.example/api", "//evil.example/api", "/\\evil.example", "x"):
        with serve(answers(*WHOLE)) as server:
            page.open(f"{server.url}/?endpoint={endpoint}")
            assert page.evaluate("riverrun.brand.endpoint") == "/api/chat"


def test_each_text_is_set_in_its_own_direction(page: Page) -> None:
    """Hebrew reads from the right, English from the left, in one answer and in the question."""
    answer = "שלום עולם.\n\nHello world.\n\n- שורה"
    with serve(answers(token(answer), final(answer))) as server:
        page.open(server.url)
        ask(page, "מה קורה?")
        becomes(page, "done")
        direction = """[...document.querySelectorAll('.asked, .answer p, .answer li')]
          .map((node) => getComputedStyle(node).direction)"""
        assert page.evaluate(direction) == ["rtl", "rtl", "ltr", "rtl"]


def test_a_long_question_is_folded_and_its_answer_is_in_sight(page: Page) -> None:
    """A pasted mail is no headline; all of it is one click away."""
    mail = "Dear all,\n" + "this goes on and on. " * 120
    with serve(answers(*WHOLE)) as server:
        page.open(server.url)
        ask(page, mail)
        becomes(page, "done")
        top = "document.querySelector('.answer').getBoundingClientRect().top"
        assert page.evaluate(top) < 500
        page.click(".show-all")
        assert page.evaluate(top) > 700


def test_a_question_that_is_too_long_is_refused_and_not_cut(page: Page) -> None:
    """Its characters are counted, it stays where it is, and nothing is sent."""
    with serve(answers(*WHOLE)) as server:
        page.open(server.url)
        page.type("é" * 8_120)
        page.press("Enter")
        assert "8,120 characters" in page.text("#too-long")
        assert page.evaluate("document.querySelector('#question').value.length") == 8_120
        assert server.questions() == []


def test_enter_starts_a_line_on_a_phone(page: Page) -> None:
    """There is no Shift to hold; the button asks."""
    with serve(answers(*WHOLE)) as server:
        page.resize(390, 800, phone=True)
        page.open(server.url)
        page.evaluate("document.querySelector('#question').focus()")
        page.type("one")
        page.press("Enter")
        page.type("two")
        assert server.questions() == []
        page.click("#ask")
        becomes(page, "done")
        assert server.questions()[0].body["query"] == "one\ntwo"


def test_the_growing_end_is_followed_once_that_was_asked(page: Page) -> None:
    """A button leads there while it is below the window; scrolling up ends the following."""

    def answer(exchange: Exchange) -> None:
        exchange.open()
        exchange.send(1, token("line\n\n" * 60))
        exchange.wait("followed")
        exchange.send(2, token("line\n\n" * 60))
        exchange.wait("scrolled")
        exchange.send(3, final("line\n\n" * 120))

    end = "document.querySelector('.answer').getBoundingClientRect().bottom"
    with serve(answer) as server:
        page.open(server.url)
        ask(page, "Why?")
        page.wait_for("!document.querySelector('#to-end').hidden")
        assert page.evaluate("scrollY") < 50
        page.click("#to-end")
        page.wait_for(f"{end} < innerHeight")
        server.gate("followed").set()
        page.wait_for("document.querySelectorAll('.answer p').length > 100")
        page.wait_for(f"{end} < innerHeight")
        # As a hand does, more than once: what is written in the same frame still follows the end.
        page.wait_for("(scrollBy(0, -900), !document.querySelector('#to-end').hidden)")
        server.gate("scrolled").set()
        becomes(page, "done")
        assert page.evaluate(end) > 1_000


def test_the_title_says_when_an_answer_is_finished_unseen(page: Page) -> None:
    """A tab in the background tells by its title what became of the question."""
    with serve(answers(*WHOLE)) as server:
        page.open(server.url)
        hide = "Object.defineProperty(document, 'hidden', {get: () => true, configurable: true})"
        page.evaluate(hide)
        ask(page, "Why?")
        becomes(page, "done")
        assert page.evaluate("document.title") == "✓ Finished: Why? – Riverrun"
