"""The mode of the client that reads by Chromium's own `EventSource`, while the line breaks."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from services.settings import ROOT
from tests.browser import Browser, Page
from tests.netlify.wire import Answer, Exchange, Wire, failure, final, serve, status, token

pytestmark = pytest.mark.browser

CLIENT = ROOT / "clients" / "javascript" / "src"
WHOLE = [status(1, "executing", "Searching"), token("a"), token("b"), final("ab")]
QUESTION = (
    "GET /api/chat?query=Why%3F+%C3%A9&streaming=true&resume=1&sessionId=s&topK=3"
    "&include=tokens%2Csources&metadata=%7B%22a%22%3A%22b%22%7D"
)

# Waits are short; silence is not, unless a test says so. `leave`: break off after so many events.
READ = """
async ({leave, stopAt, silence}) => {
  const {stream} = await import("/index.js");
  const {eventSourceTransport} = await import("/eventsource.js");
  const seen = {events: [], waits: 0, error: null, stopped: null};
  const run = stream("Why? é", {
    sessionId: "s", topK: 3, include: ["tokens", "sources"], metadata: {a: "b"},
    transport: eventSourceTransport,
    retryPolicy: {firstWait: 1, longestWait: 100, silence},
    onRetry: () => { seen.waits += 1; },
  });
  try {
    for await (const {type} of run) {
      seen.events.push(type);
      if (seen.events.length === stopAt) seen.stopped = await run.stop();
      if (seen.events.length === leave) break;
    }
  } catch ({name, code, retryable, partial, cursor}) {
    seen.error = {name, code, retryable, partial, cursor};
  }
  return seen;
}
"""


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """One tab for all of these; each visits a server of its own."""
    with browser.page() as opened:
        yield opened


# In milliseconds; the next one where a busy machine was silent for so long by itself.
SILENCES = (700, 3_000, 12_000)


def read(page: Page, wire: Wire, **how: Any) -> dict[str, Any]:
    """What the client saw."""
    page.open(f"{wire.url}/errors.js")  # a page of that origin, whatever it shows
    told = json.dumps({"leave": 0, "stopAt": 0, "silence": 35_000} | how)
    seen: dict[str, Any] = page.evaluate(f"({READ})({told})")
    return seen


def answers(*each: Answer) -> Answer:
    """The first request is answered by the first, and so on; the last answers the rest."""
    left = list(each)

    def answer(exchange: Exchange) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(exchange)

    return answer


def says(first: int, last: int, *loose: dict[str, Any], hold: str = "") -> Answer:
    """The events from number `first` to `last`, then those without an id, then the end."""

    def answer(exchange: Exchange) -> None:
        exchange.open()
        for seq in range(first, last + 1):
            exchange.send(seq, WHOLE[seq - 1])
        for event in loose:
            exchange.raw(f"data: {json.dumps(event)}\n\n".encode())
        if hold:
            exchange.wait(hold)

    return answer


def refuses(status: int) -> Answer:
    """That status, in JSON where it may have a body."""
    return lambda exchange: exchange.reply(status, None if status == 204 else {"error": "No."})


def lines(wire: Wire) -> list[str]:
    """What was asked."""
    return [f"{asked.method} {asked.path}" for asked in wire.asked]


def on_from(seq: int) -> str:
    """The request that reads on."""
    return f"GET /api/chat/runs/run/events?after={seq}&resume=1"


def test_a_question_goes_out_whole_and_once(page: Page) -> None:
    """CR02: with everything in its address; after the end the browser asks nothing more."""
    with serve(says(1, 4), CLIENT) as wire:
        seen = read(page, wire)
        assert seen["events"] == ["status", "token", "token", "final"]
        # The stream said `retry: 20`; a browser that still listened would be back by now.
        page.evaluate("new Promise((done) => setTimeout(done, 200))")
        assert lines(wire) == [QUESTION]


def test_a_lost_line_is_read_on_from_its_last_event(page: Page) -> None:
    """CR01: twice, by id; the question is not asked again."""
    with serve(answers(says(1, 2), says(3, 3), says(4, 4)), CLIENT) as wire:
        seen = read(page, wire)
        assert (seen["events"], seen["waits"]) == (["status", "token", "token", "final"], 2)
        assert lines(wire) == [QUESTION, on_from(2), on_from(3)]


def test_doubles_are_dropped_and_a_gap_is_read_again(page: Page) -> None:
    """CR05: the whole run comes again, then without its third event, then from there."""

    def gap(exchange: Exchange) -> None:
        exchange.open()
        for seq in (1, 2, 4):
            exchange.send(seq, WHOLE[seq - 1])

    with serve(answers(says(1, 2), gap, says(3, 4)), CLIENT) as wire:
        seen = read(page, wire)
        assert seen["events"] == ["status", "token", "token", "final"]
        assert lines(wire) == [QUESTION, on_from(2), on_from(2)]


def test_a_question_without_an_event_is_not_asked_again(page: Page) -> None:
    """There is no key that would make it the same question; the caller may decide."""
    with serve(says(1, 0), CLIENT) as wire:
        error = read(page, wire)["error"]
        assert (error["name"], error["code"], error["retryable"]) == (
            "RiverrunError", "interrupted", True,
        )  # fmt: skip
        assert lines(wire) == [QUESTION]


def test_a_question_whose_answer_stays_silent_is_not_asked_again(page: Page) -> None:
    """The browser cannot send the key: the same question would be another run."""

    def fall_silent(silence: int) -> tuple[Any, ...]:
        with serve(says(1, 0, hold="never"), CLIENT) as wire:
            error = read(page, wire, silence=silence)["error"]
            return (error["code"], error["retryable"], lines(wire))

    assert ("interrupted", True, [QUESTION]) in (fall_silent(ms) for ms in SILENCES)


@pytest.mark.parametrize("status", [503, 429, 401, 404, 422, 204])
def test_a_refused_question_is_an_error(page: Page, status: int) -> None:
    """CR03: which status it was the browser does not tell."""
    with serve(refuses(status), CLIENT) as wire:
        error = read(page, wire)["error"]
        assert (error["code"], error["retryable"]) == ("unreachable", True)
        assert lines(wire) == [QUESTION]


def test_a_refusal_on_the_way_is_borne(page: Page) -> None:
    """CR03: it may pass; it is not taken for the end."""
    with serve(answers(says(1, 2), refuses(503), refuses(503), says(3, 4)), CLIENT) as wire:
        seen = read(page, wire)
        assert (seen["events"], seen["waits"]) == (["status", "token", "token", "final"], 3)
        assert lines(wire) == [QUESTION, *[on_from(2)] * 3]


def test_a_run_that_stays_lost_is_given_up(page: Page) -> None:
    """CR04: typed, with what was said and where to read on; at most twelve requests."""
    with serve(answers(says(1, 2), refuses(404)), CLIENT) as wire:
        error = read(page, wire)["error"]
        assert (error["code"], error["cursor"], error["partial"]["answer"]) == (
            "interrupted", "run-2", "a",
        )  # fmt: skip
        assert len(wire.asked) == 10


def test_silence_is_not_borne(page: Page) -> None:
    """CR07: the line that holds is left, and closed."""

    def fall_silent(silence: int) -> tuple[Any, ...]:
        with serve(answers(says(1, 2, hold="never"), says(3, 4)), CLIENT) as wire:
            seen = read(page, wire, silence=silence)
            return (seen["events"], seen["waits"], lines(wire))

    left = (["status", "token", "token", "final"], 1, [QUESTION, on_from(2)])
    assert left in (fall_silent(ms) for ms in SILENCES)


def test_a_pause_is_gone_on_with(page: Page) -> None:
    """It has no id of its own; the browser gives it the one before."""
    pause = {"type": "paused", "reason": "deadline", "cursor": "run-2", "resumeAfterMs": 0}
    with serve(answers(says(1, 2, pause), says(3, 4)), CLIENT) as wire:
        seen = read(page, wire)
        assert (seen["events"], seen["waits"]) == (["status", "token", "token", "final"], 1)
        assert lines(wire) == [QUESTION, on_from(2)]


def test_an_error_is_typed_though_it_has_no_id(page: Page) -> None:
    """And nothing is asked after it."""
    with serve(says(1, 2, failure("Too late.", "deadline")), CLIENT) as wire:
        error = read(page, wire)["error"]
        assert (error["code"], error["partial"]["answer"]) == ("deadline", "a")
        assert lines(wire) == [QUESTION]


def test_a_stop_is_the_servers(page: Page) -> None:
    """It is posted; the last words come on the line that is open."""

    def hangs(exchange: Exchange) -> None:
        if exchange.asked.path.endswith("/stop"):
            exchange.server.gate("stopped").set()
            return exchange.reply(202, {})
        says(1, 2, hold="stopped")(exchange)
        exchange.send(3, final("a", finishReason="cancelled"))
        return None

    with serve(hangs, CLIENT) as wire:
        seen = read(page, wire, stopAt=2)
        assert (seen["events"], seen["stopped"]) == (["status", "token", "final"], True)
        assert lines(wire) == [QUESTION, "POST /api/chat/runs/run/stop"]


def test_who_leaves_closes_the_line_and_stops_nothing(page: Page) -> None:
    """CR09: the server finds that its reader is gone; the client does not come back."""

    def speaks(exchange: Exchange) -> None:
        says(1, 2)(exchange)
        try:
            while True:
                exchange.raw(b": still here\n")
        except ConnectionError:
            exchange.server.gate("left").set()

    with serve(speaks, CLIENT) as wire:
        assert read(page, wire, leave=2)["events"] == ["status", "token"]
        assert wire.gate("left").wait(60)
        assert lines(wire) == [QUESTION]


def test_the_question_is_what_the_server_reads() -> None:
    """Every name that the address has is a parameter of the contract."""
    contract = (ROOT / "docs" / "contract.md").read_text()
    for name in re.findall(r"[?&](\w+)=", QUESTION):
        assert f"`{name}`" in contract or f"{name}=" in contract, name
