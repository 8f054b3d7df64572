"""What every visit to the page does: ask, wait, look where the focus is."""

from collections.abc import Mapping
from typing import Any

from tests.browser import Page
from tests.netlify.wire import Answer, Exchange, final, source, sources, status, token

LAST = ".turn:last-child"


def ask(page: Page, question: str) -> None:
    page.evaluate("document.querySelector('#question').focus()")
    page.type(question)
    if page.evaluate("matchMedia('(pointer: coarse)').matches"):
        page.click("#ask")  # on a phone Enter starts a line
    else:
        page.press("Enter")


def becomes(page: Page, phase: str) -> None:
    page.wait_for(f"document.querySelector('{LAST}')?.dataset.phase === '{phase}'")


def focused_element(page: Page) -> str:
    name: str = page.evaluate("document.activeElement.id || document.activeElement.className")
    return name


def press_until(page: Page, name: str, key: str, *modifiers: str) -> None:
    for _ in range(12):
        page.press(key, *modifiers)
        if focused_element(page) == name:
            return
    raise AssertionError(f"the keyboard does not reach {name!r}")


def answers(*events: Mapping[str, Any]) -> Answer:
    """Answer every question with these events, and every stop with 202."""

    def answer(exchange: Exchange) -> None:
        if exchange.asked.path.endswith("/stop"):
            exchange.server.gate("stopped").set()
            exchange.reply(202, {})
            return
        exchange.open()
        for seq, event in enumerate(events, 1):
            exchange.send(seq, event)

    return answer


STEPS = (
    status(1, "executing", "Searching", progress=0.1, timestamp=1_000),
    status(1, "completed", "Found 2 passages", progress=0.5, timestamp=1_120),
    status(2, "executing", "Writing", progress=0.5, timestamp=1_120),
)
ANSWER = "Eat **early** [1], walk [1, 2]. Not a source: [9]."
WHOLE = (
    *STEPS,
    sources("Tokyo", "Kyoto"),
    token(ANSWER),
    final(ANSWER, sources=[source("Tokyo"), source("Kyoto")]),
)
