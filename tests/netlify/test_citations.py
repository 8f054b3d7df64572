"""A number in an answer: the sentence that it stands for, before one goes to its source."""

import pytest

from tests.browser import Page
from tests.netlify.visits import answers, ask, becomes, focused_element, press_until
from tests.netlify.wire import final, serve, source, sources, token

pytestmark = pytest.mark.browser

PASSAGE = "Trams are slow. Line 28 climbs to the castle. Taxis are few at night."
QUOTES = [[16, 45], [46, 69]]
ANSWER = "Take line 28 to the castle [1]. At night there are few taxis [1, 2].\n\nGood luck."
FOUND = [source("Trams", text=PASSAGE, quotes=QUOTES), source("Ferries", text="Ferries cross.")]
EVENTS = (sources("Trams", "Ferries"), token(ANSWER), final(ANSWER, sources=FOUND))
CLIMBS, NIGHT = "Line 28 climbs to the castle.", "Taxis are few at night."

IS_SHOWN = "document.querySelector('.preview')?.matches(':popover-open') === true"
BOX = "document.querySelector('.preview').getBoundingClientRect()"
IS_HIDDEN = f"!({IS_SHOWN})"
PARTS = ".answer, .answer *, .actions, .sources, #composer"
PLACES = f"""JSON.stringify([...document.querySelectorAll('{PARTS}')].map((node) => {{
  const {{x, y, width, height}} = node.getBoundingClientRect();
  return [x, y, width, height];
}}))"""


def find_cite(page: Page, number: int) -> tuple[float, float]:
    """The middle of one of the numbers, where it can be touched."""
    x, y = page.evaluate(f"""(() => {{
      const cite = document.querySelectorAll('.cite')[{number}];
      cite.scrollIntoView({{block: 'center', behavior: 'instant'}});
      const box = cite.getBoundingClientRect();
      return [box.x + box.width / 2, box.y + box.height / 2];
    }})()""")
    return x, y


def move(page: Page, x: float, y: float) -> None:
    """Bring the pointer somewhere."""
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)


def touch(page: Page, x: float, y: float) -> None:
    """Tap with a finger."""
    page.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
    page.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])


def test_the_pointer_shows_the_sentence_and_moves_nothing(page: Page) -> None:
    """The one that the words before the number stand for; it can be read under the pointer."""
    with serve(answers(*EVENTS)) as server:
        page.open(server.url)
        ask(page, "How?")
        becomes(page, "done")
        for number, said in ((0, CLIMBS), (1, NIGHT), (2, "Ferries cross.")):
            x, y = find_cite(page, number)
            before = page.evaluate(PLACES)
            move(page, x, y)
            page.wait_for(
                f"{IS_SHOWN} && document.querySelector('.preview').innerText.endsWith({said!r})"
            )
            assert page.evaluate(PLACES) == before
        left, top = page.evaluate(f"(({{left, top}}) => [left, top])({BOX})")
        move(page, left + 9, top + 9)
        described = "document.querySelectorAll('.cite')[2].getAttribute('aria-describedby')"
        assert page.evaluate(described) == "preview"
        page.press("Escape")
        page.wait_for(IS_HIDDEN)
        assert page.evaluate(described) is None
        move(page, *find_cite(page, 0))
        page.wait_for(IS_SHOWN)
        move(page, 2, 2)
        page.wait_for(IS_HIDDEN)
    assert page.complaints == []


def test_the_keyboard_shows_it_and_goes_on_to_the_source(page: Page) -> None:
    """With the focus; Escape hides it, Enter opens the passage."""
    with serve(answers(*EVENTS)) as server:
        page.open(server.url)
        ask(page, "How?")
        becomes(page, "done")
        press_until(page, "cite", "Tab", "Shift")
        page.wait_for(IS_SHOWN)
        page.press("Escape")
        page.wait_for(IS_HIDDEN)
        assert focused_element(page) == "cite"
        page.press("Enter")
        page.wait_for("document.activeElement.closest('details')?.open === true")
        assert page.evaluate(IS_HIDDEN)
    assert page.complaints == []


def test_the_first_touch_shows_it_and_the_second_goes_on(page: Page) -> None:
    """A touch elsewhere hides it; the window of a phone holds it."""
    page.resize(390, 780, phone=True)
    with serve(answers(*EVENTS)) as server:
        page.open(server.url)
        ask(page, "How?")
        becomes(page, "done")
        touch(page, *find_cite(page, 1))
        page.wait_for(IS_SHOWN)
        assert page.evaluate("document.querySelectorAll('.sources [open]').length") == 0
        left, right = page.evaluate(f"(({{left, right}}) => [left, right])({BOX})")
        assert 0 <= left < right <= 390
        touch(page, 20, 400)
        page.wait_for(IS_HIDDEN)
        touch(page, *find_cite(page, 1))
        page.wait_for(IS_SHOWN)
        touch(page, *find_cite(page, 1))
        page.wait_for("document.activeElement.closest('details')?.open === true")
        assert page.evaluate(IS_HIDDEN)
    assert page.complaints == []
