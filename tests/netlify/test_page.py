"""The page in a real browser: asked, stopped and retried over a wire that may break anywhere."""

import re

import pytest

from tests.browser import Page
from tests.netlify.visits import (
    LAST,
    WHOLE,
    answers,
    ask,
    becomes,
    focused_element,
)
from tests.netlify.wire import PATIENCE, Exchange, failure, final, serve, sources, status, token

pytestmark = pytest.mark.browser


def test_an_answer_arrives_piece_by_piece(page: Page) -> None:
    """Steps, sources and tokens are visible before the next event has left the server."""

    def answer(exchange: Exchange) -> None:
        exchange.open()
        exchange.send(1, status(1, "executing", "Searching", progress=0.25))
        exchange.wait("steps seen")
        exchange.send(2, sources("Tokyo"))
        exchange.wait("sources seen")
        exchange.send(3, token("First"))
        exchange.wait("token seen")
        exchange.send(4, token(" then"))
        exchange.send(5, final("First then"))

    with serve(answer) as server:
        page.open(server.url)
        ask(page, "Where?")
        page.wait_for("document.querySelector('.steps li')?.dataset.state === 'executing'")
        page.wait_for("document.querySelector('.river').ariaValueNow === '25'")
        server.gate("steps seen").set()
        page.wait_for("document.querySelector('.sources li')")
        server.gate("sources seen").set()
        page.wait_for("document.querySelector('.answer').innerText === 'First'")
        server.gate("token seen").set()
        becomes(page, "done")
        assert page.text(".answer") == "First then"
    assert page.complaints == []


def test_a_mark_that_has_only_begun_is_not_shown(page: Page) -> None:
    """Half of a bold word is bold, half of a link is its words, half of a citation is nothing."""
    whole = "A **bold word** at `x` [1], see [a guide](https://e.org/g)."
    cuts = {"A **bold wo": "A bold wo", "A **bold word** at `": "A bold word at"}
    cuts |= {"A **bold word** at `x` [1": "A bold word at x"}
    cuts |= {whole[:-8]: "A bold word at x [1], see a guide"}

    def answer(exchange: Exchange) -> None:
        exchange.open()
        said = ""
        for seq, cut in enumerate(cuts, 1):
            exchange.send(seq, token(cut[len(said) :]))
            said = cut
            exchange.wait(cut)
        exchange.send(len(cuts) + 1, final(whole))

    with serve(answer) as server:
        page.open(server.url)
        ask(page, "Where?")
        for step, (cut, seen) in enumerate(cuts.items()):
            page.wait_for(f"document.querySelector('.answer').innerText.trim() === {seen!r}")
            assert page.evaluate("document.querySelectorAll('.answer strong').length") == 1, step
            server.gate(cut).set()
        becomes(page, "done")
        assert page.evaluate("document.querySelectorAll('.answer code').length") == 1


def test_a_finished_turn_shows_its_steps_times_and_sources(page: Page) -> None:
    """What happened, how long it took and what it stands on stay in view."""
    with serve(answers(*WHOLE)) as server:
        page.open(server.url)
        page.click(".sample")
        becomes(page, "done")
        assert page.text(".asked") == "What are the best restaurants in Tokyo?"
        steps = page.text(".steps ol")
        assert "Found 2 passages" in steps
        assert "120 ms" in steps
        assert re.fullmatch(r"Finished in [^·]+", page.text(".small"))
        page.evaluate("document.documentElement.dataset.details = ''")
        figures = r"Finished in [^·]+ · First words after [^·]+"
        assert re.fullmatch(figures, page.text(".small"))
        assert page.evaluate("document.querySelectorAll('.sources li').length") == 2
        assert page.evaluate("document.querySelector('.river').ariaValueNow") == "100"
    assert page.complaints == []


def test_a_citation_opens_its_passage_and_leads_back(page: Page) -> None:
    """A number moves the focus to its source, whose button moves it back."""
    with serve(answers(*WHOLE)) as server:
        page.open(server.url)
        ask(page, "Where?")
        becomes(page, "done")
        assert page.evaluate("document.querySelectorAll('.cite').length") == 3
        assert "[9]" in page.text(".answer")
        page.click(".cite:last-of-type")
        assert page.evaluate("document.activeElement.closest('details').open") is True
        assert "The passage of Kyoto." in page.text(".sources")
        page.click(".sources details[open] .back")
        assert focused_element(page) == "cite"
    assert page.complaints == []


def test_a_failure_is_said_with_advice_and_can_be_tried_again(page: Page) -> None:
    """The error stands where the answer would, what was written stays, and again asks the same."""

    def answer(exchange: Exchange) -> None:
        exchange.open()
        if len(exchange.server.questions()) == 1:
            exchange.send(1, token("Half an ans"))
            exchange.send(2, failure("The model stopped.", hint="Try again in a moment."))
        else:
            exchange.send(1, final("Whole."))

    with serve(answer) as server:
        page.open(server.url)
        ask(page, "Why?")
        becomes(page, "failed")
        assert page.text(".problem .what") == "The model stopped."
        assert page.text(".problem .hint") == "Try again in a moment."
        assert page.text(".answer") == "Half an ans"
        assert ("alert", "") in page.accessibility()
        page.click(".again")
        becomes(page, "done")
        assert page.text(".answer") == "Whole."
        assert page.evaluate("document.querySelectorAll('.turn').length") == 1
        assert [asked.body["query"] for asked in server.questions()] == ["Why?", "Why?"]
        assert focused_element(page) == "question"


def test_a_refused_question_shows_the_servers_reason(page: Page) -> None:
    """A status before the stream is told with the same care as an error within it."""

    def answer(exchange: Exchange) -> None:
        body = {"error": "Too many questions.", "code": "rate_limited", "retryAfterMs": 90_000}
        exchange.reply(429, body)

    with serve(answer) as server:
        page.open(server.url)
        ask(page, "Why?")
        becomes(page, "failed")
        assert "Too many questions." in page.text(".problem")
        assert "Wait 1 min 30 s" in page.text(".problem")


def test_a_cut_stream_is_resumed_where_it_broke(page: Page) -> None:
    """The break is shown while it lasts; afterwards the answer is whole, with nothing twice."""

    def answer(exchange: Exchange) -> None:
        if exchange.asked.method == "POST":
            exchange.open()
            exchange.send(1, token("a"))
            exchange.send(2, token("b"))
            return
        exchange.wait("break seen")
        exchange.open()
        exchange.send(2, token("b"))
        exchange.send(3, token("c"))
        exchange.send(4, final("abc"))

    with serve(answer) as server:
        page.open(server.url)
        ask(page, "Why?")
        page.wait_for("document.querySelector('.link')?.hidden === false")
        assert "interrupted" in page.text(".link")
        assert page.text(".answer") == "ab"
        server.gate("break seen").set()
        becomes(page, "done")
        assert page.text(".answer") == "abc"
        assert page.evaluate("document.querySelector('.link').hidden")
        assert (len(server.questions()), server.resumes()) == (1, ["run-2"])


def test_a_stream_that_never_ends_well_is_a_failure(page: Page) -> None:
    """After too many vain attempts the page says so; it never calls a torso an answer."""

    def answer(exchange: Exchange) -> None:
        exchange.open()
        if exchange.asked.method == "POST":
            exchange.send(1, token("torso"))

    with serve(answer) as server:
        page.open(server.url)
        page.evaluate("Math.random = () => 0")  # no part of any wait
        ask(page, "Why?")
        becomes(page, "failed")
        assert "connection was lost" in page.text(".problem")
        assert page.text(".answer") == "torso"
        assert len(server.questions()) == 1


def test_escape_stops_the_run_on_the_server(page: Page) -> None:
    """The server is told, what was written stays, and the turn is neither done nor failed."""

    def answer(exchange: Exchange) -> None:
        if exchange.asked.path.endswith("/stop"):
            exchange.server.gate("stopped").set()
            exchange.reply(202, {})
            return
        exchange.open()
        exchange.send(1, token("So far"))
        exchange.wait("stopped")
        exchange.send(2, final("So far", finishReason="cancelled"))

    with serve(answer) as server:
        page.open(server.url)
        ask(page, "Why?")
        page.wait_for("document.querySelector('.answer').innerText === 'So far'")
        page.press("Escape")
        becomes(page, "stopped")
        assert server.stops() == ["/api/chat/runs/run/stop"]
        assert page.text(".answer") == "So far"
        assert page.text(".again") == "Ask again"
        assert page.evaluate("document.querySelector('#stop').hidden")


def test_a_double_click_asks_once_and_the_next_question_waits(page: Page) -> None:
    """The second click is no other question, and no stop; what is asked meanwhile is asked next."""

    def answer(exchange: Exchange) -> None:
        exchange.server.gate("asked").set()
        exchange.open()
        if len(exchange.server.questions()) == 1:
            exchange.send(1, token("a"))
            exchange.wait("queued")
            exchange.send(2, final("a"))
        else:
            exchange.send(1, final("a"))

    with serve(answer) as server:
        page.open(server.url)
        page.evaluate("document.querySelector('#question').focus()")
        page.type("Why?")
        page.click("#ask", times=2)
        for question in ("Second?", "Never?", "Third?"):
            ask(page, question)
        page.wait_for("document.querySelectorAll('#queue li').length === 3")
        assert server.gate("asked").wait(PATIENCE)
        assert (len(server.questions()), server.stops()) == (1, [])
        page.click("#queue li:nth-child(2) button")
        server.gate("queued").set()
        page.wait_for("document.querySelectorAll('.turn').length === 3")
        becomes(page, "done")
        asked = [asked.body["query"] for asked in server.questions()]
        assert asked == ["Why?", "Second?", "Third?"]
        assert page.evaluate("document.querySelector('#queue').hidden")


def test_an_earlier_question_waits_for_the_answer_being_written(page: Page) -> None:
    """Trying a failed question again while another is answered asks nothing."""

    def answer(exchange: Exchange) -> None:
        exchange.open()
        if exchange.asked.body["query"] == "First?":
            exchange.send(1, failure("No."))
            return
        exchange.send(1, token("a"))
        exchange.wait("clicked")
        exchange.send(2, final("a"))

    with serve(answer) as server:
        page.open(server.url)
        ask(page, "First?")
        becomes(page, "failed")
        ask(page, "Second?")
        page.wait_for(f"document.querySelector('{LAST} .answer').innerText === 'a'")
        page.click(".again")
        server.gate("clicked").set()
        becomes(page, "done")
        assert [asked.body["query"] for asked in server.questions()] == ["First?", "Second?"]


def test_a_conversation_goes_on_with_its_session(page: Page) -> None:
    """The session that came back goes out again; earlier turns stay above; a new one forgets."""
    with serve(answers(*WHOLE)) as server:
        page.open(server.url)
        for question in ("First?", "Second?"):
            ask(page, question)
            page.wait_for(f"document.querySelector('{LAST} .asked')?.innerText === '{question}'")
            becomes(page, "done")
        page.click("#fresh")
        ask(page, "Third?")
        becomes(page, "done")
        assert [asked.body["sessionId"] for asked in server.questions()] == ["", "session-1", ""]
        assert page.evaluate("document.querySelectorAll('.turn').length") == 1


def test_an_answer_that_is_left_goes_on_and_does_not_reach_the_next_conversation(
    page: Page,
) -> None:
    """A new conversation stops nothing; back in the old one, the answer is read to its end."""

    def answer(exchange: Exchange) -> None:
        exchange.open("old" if "old" in exchange.asked.path else "run")
        if "/runs/old/" in exchange.asked.path:
            exchange.send(2, final("old and whole", sessionId="old"), run="old")
        elif exchange.asked.body["query"] == "Old?":
            exchange.send(1, token("old"), run="old")
            exchange.wait("next one ended")
        else:
            exchange.send(1, token("new"))
            exchange.send(2, final("new", sessionId=None))
            exchange.server.gate("next one ended").set()

    with serve(answer) as server:
        page.open(server.url)
        ask(page, "Old?")
        page.wait_for("document.querySelector('.answer').innerText === 'old'")
        page.click("#fresh")
        ask(page, "New?")
        becomes(page, "done")
        assert page.text("#turns .answer") == "new"
        page.click("#menu")
        page.click("#list li:nth-child(2) .choose")
        becomes(page, "done")
        assert page.text("#turns .answer") == "old and whole"
        assert [asked.body["sessionId"] for asked in server.questions()] == ["", ""]
        assert server.stops() == []
