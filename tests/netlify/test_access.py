"""The page for everyone: keyboard, screen reader, contrast, small windows, less motion."""

from pathlib import Path

import pytest

from tests.browser import Page
from tests.clients.javascript.installed import CLIENT, needs_packages
from tests.netlify.pictures import LOOKS, set_look
from tests.netlify.states import STATES, answer_states
from tests.netlify.visits import STEPS, WHOLE, answers, ask, becomes, focused_element, press_until
from tests.netlify.wire import Exchange, failure, final, serve, source, sources, status, token

pytestmark = pytest.mark.browser


def test_shift_and_enter_start_a_line(page: Page) -> None:
    """Only a bare Enter asks."""
    with serve(answers(*WHOLE)) as server:
        page.open(server.url)
        page.type("one")  # the question has the focus from the start
        page.press("Enter", "Shift")
        page.type("two")
        assert server.questions() == []
        page.press("Enter")
        becomes(page, "done")
        assert server.questions()[0].body["query"] == "one\ntwo"


def test_the_page_works_by_keyboard_alone(page: Page) -> None:
    """Tab reaches a sample, Enter asks it, Tab reaches a citation, Enter opens its passage."""
    with serve(answers(*WHOLE)) as server:
        page.open(server.url)
        press_until(page, "sample", "Tab")
        page.press("Enter")
        becomes(page, "done")
        assert focused_element(page) == "question"
        press_until(page, "cite", "Tab", "Shift")
        page.press("Enter")
        assert page.evaluate("document.activeElement.closest('details').open") is True


def test_a_screen_reader_hears_steps_and_the_end_but_no_tokens(page: Page) -> None:
    """The live region says each step once and the answer once, without marks and numbers."""
    with serve(answers(*WHOLE)) as server:
        page.open(server.url)
        page.evaluate(
            """(() => {
              window.heard = [];
              const region = document.querySelector("#announcer");
              new MutationObserver(() => heard.push(region.textContent))
                .observe(region, {childList: true, characterData: true, subtree: true});
            })()"""
        )
        ask(page, "Why?")
        becomes(page, "done")
        heard = page.wait_for("window.heard.length >= 3 && window.heard")
        spoken = "Answer, with 2 sources. Eat early, walk. Not a source:."
        assert heard == ["Searching", "Writing", spoken]
        offered = page.accessibility()
        assert ("progressbar", "Progress of the answer") in offered
        assert ("textbox", "Your question") in offered
        assert ("link", "Source 1: Tokyo") in offered
        assert page.evaluate("document.querySelector('.answer').ariaBusy") == "false"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_against_its_ground(page: Page, scheme: str) -> None:
    """Text has a contrast of 4.5 or more (WCAG 2.2, criterion 1.4.3), in both themes."""
    page.prefer(color_scheme=scheme)
    events = (
        *STEPS,
        {"type": "notice", "code": "x", "message": "A notice."},
        sources("Tokyo"),
        token("Text **bold** `code` [1]"),
        failure("No.", hint="Advice."),
    )
    with serve(answers(*events)) as server:
        page.open(server.url)
        low = (Path(__file__).parent / "contrast.js").read_text()
        assert page.evaluate(low) == []
        ask(page, "Why?")
        becomes(page, "failed")
        page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
        assert page.evaluate(low) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_where_the_system_forces_its_colours(
    page: Page, scheme: str
) -> None:
    """A marked sentence above all: another sheet's colour for it came after."""
    wanted = {"prefers-color-scheme": scheme, "forced-colors": "active"}
    features = [{"name": name, "value": value} for name, value in wanted.items()]
    page.call("Emulation.setEmulatedMedia", features=features)
    with serve(answer_states) as server:
        page.open(server.url)
        STATES["answered"](page)
        assert page.evaluate("document.querySelector('.sources mark').checkVisibility()")
        assert page.evaluate((Path(__file__).parent / "contrast.js").read_text()) == []


def test_paper_shows_a_whole_question_and_no_empty_room(page: Page) -> None:
    """Neither folded, as on a screen, nor with room for an answer to grow."""
    style = "getComputedStyle(document.querySelector('.turn:last-child{}')).{}"
    with serve(answers(*WHOLE)) as server:
        page.open(server.url)
        for question in ("First?", "Long. " * 100):
            ask(page, question)
            becomes(page, "done")
        assert page.evaluate(style.format(" .asked", "webkitLineClamp")) == "4"
        page.call("Emulation.setEmulatedMedia", media="print")
        assert page.evaluate(style.format(" .asked", "webkitLineClamp")) == "none"
        assert page.evaluate(style.format("", "minHeight")) == "0px"


def test_a_list_stands_on_the_side_of_its_script(page: Page) -> None:
    """With its marks inside the column, whichever items it has."""
    text = "- העברית\n- (עם `code`)\n\nAnd\n\n- here\n- too\n"
    with serve(answers(final(text))) as server:
        page.open(server.url)
        ask(page, "Lists?")
        becomes(page, "done")
        sides = "[...document.querySelectorAll('.answer ul')].map((list) => list.dir)"
        assert page.evaluate(sides) == ["rtl", "ltr"]


def test_a_chosen_theme_is_remembered(page: Page) -> None:
    """The system's preference holds until the button is pressed; then the choice does."""
    ground = "getComputedStyle(document.body).backgroundColor"
    with serve(answers(*WHOLE)) as server:
        page.prefer(color_scheme="dark")
        page.open(server.url)
        dark = page.evaluate(ground)
        assert page.evaluate("document.querySelector('#theme').ariaPressed") == "true"
        page.click("#theme")
        light = page.evaluate(ground)
        assert light != dark
        page.open(f"{server.url}/?again")
        assert page.evaluate(ground) == light
        assert page.evaluate("document.querySelector('#theme').ariaPressed") == "false"
    assert page.complaints == []


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_is_wider_than_the_window(page: Page, width: int) -> None:
    """The longest word, code and address wrap or scroll within themselves."""
    long = "w" * 400
    events = (
        status(1, "executing", long),
        token(f"{long}\n\n- {long}\n\n```\n{long}\n```"),
        failure(
            long, partial={"sources": [source(long, uri=f"https://e.org/{long}", snippet=long)]}
        ),
    )
    with serve(answers(*events)) as server:
        page.resize(width, 800, phone=width < 500)
        page.open(server.url)
        ask(page, long)
        becomes(page, "failed")
        page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_the_question_takes_the_focus_without_moving_what_is_read(page: Page) -> None:
    """It stands at the foot of the window; the answer does not jump when it is reached."""
    with serve(answers(status(1, "executing", "x"), final("Read this.\n\n" * 60))) as server:
        page.open(server.url)
        ask(page, "Why?")
        becomes(page, "done")
        for name in ("question", "ask"):
            page.evaluate("document.activeElement.blur(); window.scrollTo(0, 300)")
            page.evaluate(f"document.querySelector('#{name}').focus()")
            assert (focused_element(page), page.evaluate("window.scrollY")) == (name, 300)


def test_a_line_breaks_between_words_only(page: Page) -> None:
    """At any width a citation stands with its word, and a column is as wide as its words."""
    table = "| Place | Opens | Notes |\n|---|---|---|\n| Louvre | 9:00 | " + "very full " * 20 + "|"
    events = (sources("Tokyo"), final(f"Walk along the Seine before eight [1]\n\n{table}"))
    lines = """selector => {
      const range = document.createRange();
      range.selectNodeContents(document.querySelector(selector));
      return new Set([...range.getClientRects()].map(({top}) => Math.round(top))).size;
    }"""
    with serve(answers(*events)) as server:
        page.open(server.url)
        ask(page, "Why?")
        becomes(page, "done")
        for width in range(300, 420, 4):
            page.resize(width, 800)
            # The end of "eight" and the citation are on one line: their middles are close.
            apart = page.evaluate(
                """(() => {
                  const cite = document.querySelector(".cite"), text = cite.previousSibling;
                  const range = document.createRange();
                  range.setStart(text, text.length - 2);
                  range.setEnd(text, text.length - 1);
                  const [a, b] = [range, cite].map((one) => one.getBoundingClientRect());
                  return Math.abs(a.top + a.bottom - b.top - b.bottom) / 2;
                })()"""
            )
            assert apart < 12, f"at {width}"
        for cell in ("th:nth-child(2)", "td:first-child"):
            assert page.evaluate(f"({lines})('.answer {cell}')") == 1


def test_motion_stops_for_who_asked_for_less(page: Page) -> None:
    """With reduced motion nothing runs, flows or breathes."""

    def answer(exchange: Exchange) -> None:
        exchange.open()
        exchange.send(1, status(1, "executing", "Searching"))
        exchange.wait("looked")
        exchange.send(2, final("a"))

    moving = "document.getAnimations().filter((a) => a.playState === 'running').length"
    with serve(answer) as server:
        page.open(server.url)
        ask(page, "Why?")
        page.wait_for("document.querySelector('.steps li')")
        page.wait_for(f"{moving} > 0")
        page.prefer(reduced_motion="reduce")
        page.wait_for(f"{moving} === 0")
        server.gate("looked").set()
        becomes(page, "done")


@needs_packages
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_serious(page: Page, scheme: str, width: int) -> None:
    """axe-core, over the empty page and over one with everything open on it."""
    axe = (CLIENT / "node_modules" / "axe-core" / "axe.min.js").read_text()
    table = "| a | b |\n|---|---|\n| 1 | 2 |"
    text = f"# Title\n\nText **bold** `code` [1] [link](https://e.org)\n\n{table}"
    events = (
        *STEPS,
        {"type": "notice", "code": "x", "message": "A notice."},
        sources("Tokyo"),
        token(text),
        failure("No.", hint="Advice."),
    )
    check = """axe.run().then(({violations}) => violations
        .filter(({impact}) => ["serious", "critical"].includes(impact))
        .map(({id, nodes}) => [id, nodes.map((node) => node.html)]))"""
    page.prefer(color_scheme=scheme)
    page.resize(width, 900, phone=width < 500)
    with serve(answers(*events)) as server:
        page.open(server.url)
        page.evaluate(f"{axe}; undefined")
        assert page.evaluate(check) == []
        ask(page, "Why?")
        becomes(page, "failed")
        page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
        assert page.evaluate(check) == []


@needs_packages
@pytest.mark.soak
@pytest.mark.parametrize("look", [look for look in LOOKS if look != "print"])
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_in_any_state(page: Page, look: str, state: str) -> None:
    """axe-core, over each state of the page as it is looked at; not even something minor."""
    axe = (CLIENT / "node_modules" / "axe-core" / "axe.min.js").read_text()
    check = """axe.run().then(({violations}) => violations
        .map(({id, nodes}) => [id, nodes.map((node) => node.html)]))"""
    with serve(answer_states) as server:
        set_look(page, look)
        page.open(server.url)
        STATES[state](page)
        page.evaluate(f"{axe}; undefined")
        page.wait_for("document.getAnimations().every((a) => a.effect.getTiming().iterations > 1)")
        assert page.evaluate(check) == []
        assert [url for url in page.requests if not url.startswith(server.url)] == []
