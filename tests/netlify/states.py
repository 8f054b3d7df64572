"""The states in which the page has to look well, brought about one after the other.

`STATES` has the name of each and what brings a fresh page there; `make pictures STATES=folder`
takes a picture of every one, for a person to look at, and a long run has axe-core read them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tests.browser import Page
from tests.netlify.visits import LAST, STEPS, ask, becomes
from tests.netlify.wire import Exchange, failure, final, source, sources, status, token

PASSAGE = (
    "Trams run from five in the morning until one at night. A single ride costs 2 euros. "
    "Tickets are sold at kiosks and on board."
)
FOUND = [
    source("Getting around › Trams", text=PASSAGE, quotes=[[55, 83]], href="/api/sources/trams"),
    source("Getting around › Ferries", uri="https://example.org/ferries"),
    source("The old town"),
]
RICH = """## A day on foot

Begin at the **old harbour** and take tram 28 uphill; a single ride costs 2 euros [1]. The ferry \
back leaves every *twenty* minutes [2], see [the timetable](https://example.org/timetable).

1. Castle, before ten
2. Cathedral, which closes for lunch

| Place | Opens | Closes |
|---|--:|--:|
| Castle | 9:00 | 18:00 |
| Cathedral | 10:00 | 13:00 |

```python
fare = 2 * riders
print(f"{fare} euros")
```

> Wear shoes with soles that hold.
"""
RIGHT_TO_LEFT = """הרכבת יוצאת מהתחנה **המרכזית** בכל שעה [1]. הכרטיס עולה 2 euros.

- קו 28 עולה אל הטירה
- המעבורת חוזרת כל עשרים דקות [2]

The ferry is called *Santa Clara*.
"""
FOLLOW_UPS = ["Getting around: Ferries", "The old town"]


def answer_states(exchange: Exchange) -> None:
    """Answer by the first word of the question."""
    if exchange.asked.path.endswith("/feedback"):
        exchange.reply(204)
        return
    query = str(exchange.asked.body.get("query", ""))
    if query.startswith("locked"):
        exchange.reply(401, {"error": "A key is needed.", "code": "unauthorized"})
        return
    exchange.open()
    events: list[Mapping[str, Any]] = [*STEPS[:-1], {"type": "sources", "sources": FOUND}]
    answer, more = (RIGHT_TO_LEFT if query[:1] > "\u0590" else RICH), {}
    if query.startswith("growing"):
        for seq, event in enumerate([*events, STEPS[-1], token(answer[:160])], 1):
            exchange.send(seq, event)
        exchange.wait("never")
    if query.startswith("failing"):
        hint = "Ask again in a moment."
        events += [token(answer[:200]), failure("The model stopped answering.", hint=hint)]
    elif query.startswith("refused"):
        text = "The documents do not say when the museum opens."
        events = [*STEPS, sources("The old town"), token(text), final(text, followUps=FOLLOW_UPS)]
    else:
        notice = {"type": "notice", "code": "provider_retry", "message": "The model was slow."}
        more = {"sources": FOUND, "followUps": FOLLOW_UPS}
        more["usage"] = {"inputTokens": 812, "outputTokens": 143}
        end = status(2, "completed", "Answer written", progress=1.0, timestamp=2_400)
        events += [notice, token(answer), end, final(answer, **more)]
    for seq, event in enumerate(events, 1):
        exchange.send(seq, event)


def _asked(question: str, phase: str = "done") -> Callable[[Page], None]:
    def bring(page: Page) -> None:
        ask(page, question)
        becomes(page, phase)
        page.evaluate("document.activeElement.blur()")

    return bring


def _answered(page: Page) -> None:
    _asked("How do I get around?")(page)
    page.click(f"{LAST} .cite")


def _growing(page: Page) -> None:
    _asked("growing, please", "answering")(page)
    page.wait_for(f"document.querySelector('{LAST} .answer').innerText.length > 100")
    ask(page, "And on Sundays?")
    page.evaluate("window.scrollTo(0, 0)")


def _drawer(page: Page) -> None:
    _asked("How do I get around?")(page)
    page.click("#fresh")
    _asked("Where do I eat?")(page)
    page.click("#menu")
    page.click("#list li:nth-child(2) .quiet:last-child")


def _share(page: Page) -> None:
    _asked("How do I get around?")(page)
    page.click(".share-turn")
    page.wait_for("document.querySelector('.qr path') !== null")


def _rated(page: Page) -> None:
    _asked("How do I get around?")(page)
    page.click(".bad")


def _machinery(page: Page) -> None:
    page.evaluate("document.documentElement.dataset.details = ''")
    _asked("How do I get around?")(page)
    page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")


def _welcomed(page: Page) -> None:
    page.wait_for("document.querySelector('.sample') !== null")


STATES: Mapping[str, Callable[[Page], None]] = {
    "welcome": _welcomed,
    "growing": _growing,
    "answered": _answered,
    "refused": _asked("refused, I fear"),
    "failed": _asked("failing, sadly", "failed"),
    "locked": _asked("locked away", "failed"),
    "rated": _rated,
    "drawer": _drawer,
    "share": _share,
    "machinery": _machinery,
    "rtl": _asked("מתי יוצאת הרכבת?"),
    "long": _asked("Dear all,\n" + "this goes on and on. " * 60),
}
