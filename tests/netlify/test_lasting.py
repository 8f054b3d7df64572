"""An answer outlives the page that asked for it: reload, offline, other tabs, all over one wire."""

import json

import pytest

from tests.browser import Page
from tests.netlify.visits import WHOLE, answers, ask, becomes
from tests.netlify.wire import Answer, Exchange, final, serve, sources, status, token

pytestmark = pytest.mark.browser

RUN = (
    status(1, "executing", "Searching"),
    sources("Tokyo"),
    token("So far"),
    token(" and on"),
    final("So far and on"),
)
BEFORE = 3
SAID = "document.querySelector('.answer')?.innerText === 'So far'"


def hold_back(*, gate: str = "go on") -> Answer:
    """The first three events at once, the others when the gate opens; any reader, from anywhere."""

    def answer(exchange: Exchange) -> None:
        asked = exchange.asked
        if asked.path.endswith("/stop"):
            exchange.reply(202, {})
            exchange.server.gate("stopped").set()
            return
        after = 0 if asked.method == "POST" else int(asked.path.split("after=")[1].split("&")[0])
        if after:
            exchange.server.gate("resumed").set()
        exchange.open()
        for seq, event in enumerate(RUN, 1):
            if seq > BEFORE:
                exchange.wait(gate)
            if seq > after:
                exchange.send(seq, event)

    return answer


def test_a_reload_in_the_middle_of_an_answer_loses_nothing(page: Page) -> None:
    """What was shown is shown again at once, and the rest is read from the last event on."""
    with serve(hold_back()) as server:
        page.open(server.url)
        ask(page, "Why?")
        page.wait_for(SAID)
        page.open(f"{server.url}/?reloaded")
        page.wait_for(SAID)
        assert page.text(".asked") == "Why?"
        assert page.text(".sources .title").endswith("Tokyo")
        server.gate("go on").set()
        becomes(page, "done")
        assert page.text(".answer") == "So far and on"
        assert len(server.questions()) == 1
        assert server.resumes() == ["run-3"]
    assert page.complaints == []


def test_a_reload_before_the_first_event_asks_under_the_same_key(page: Page) -> None:
    """The server joins the run it already has: the question is asked, and paid, once."""

    def answer(exchange: Exchange) -> None:
        if len(exchange.server.questions()) == 1:
            exchange.server.gate("heard").set()
            exchange.wait("never")
        exchange.open()
        exchange.send(1, final("a"))

    with serve(answer) as server:
        page.open(server.url)
        ask(page, "Why?")
        assert server.gate("heard").wait(60)
        page.open(f"{server.url}/?reloaded")
        becomes(page, "done")
        first, second = server.questions()
        assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
        assert first.body == second.body


def test_the_conversation_is_still_there_after_a_reload(page: Page) -> None:
    """Its turns, and the session it goes on with; nothing is asked again."""
    with serve(answers(*WHOLE)) as server:
        page.open(server.url)
        for question in ("First?", "Second?"):
            ask(page, question)
            page.wait_for(
                f"[...document.querySelectorAll('.asked')].at(-1)?.innerText === '{question}'"
            )
            becomes(page, "done")
        page.open(f"{server.url}/?reloaded")
        page.wait_for("document.querySelectorAll('.turn').length === 2")
        assert page.text(".answer").startswith("Eat early")
        assert len(server.asked) == 2
        ask(page, "Third?")
        page.wait_for("document.querySelectorAll('.turn').length === 3")
        becomes(page, "done")
        assert server.questions()[-1].body["sessionId"] == "session-1"
        page.click("#fresh")
        assert page.evaluate("document.querySelectorAll('.turn').length") == 0
        page.open(f"{server.url}/?fresh")
        assert page.evaluate("document.querySelectorAll('.turn').length") == 0


def test_storage_that_holds_nonsense_is_not_shown(page: Page) -> None:
    """Another version of the page, or a console, left it there."""
    known = json.dumps([{"id": "1", "title": "t", "changedAt": 1}])
    for nonsense in ("{", "null", '{"turns": 5}', '{"sessionId": "", "turns": [{"id": 1}]}'):
        with serve(answers(*WHOLE)) as server:
            page.open(server.url)
            for name, value in (
                ("riverrun-conversations", nonsense if nonsense == "{" else known),
                ("riverrun-conversation-1", nonsense),
                ("riverrun-durations", nonsense),
            ):
                page.evaluate(f"localStorage.setItem('{name}', {json.dumps(value)})")
            page.evaluate("sessionStorage.clear()")
            page.open(f"{server.url}/?again")
            assert page.evaluate("document.querySelectorAll('.turn').length") == 0
            ask(page, "Why?")
            becomes(page, "done")
            page.evaluate("localStorage.clear()")
    assert page.complaints == []


def test_offline_an_answer_waits_and_back_online_it_goes_on(page: Page) -> None:
    """The page says that it is offline, asks nothing, and reads on as soon as it is back."""

    def answer(exchange: Exchange) -> None:
        first = exchange.asked.method == "POST"
        exchange.open()
        for seq, event in enumerate(RUN, 1):
            if (seq <= BEFORE) is first:
                exchange.send(seq, event)
        if first:
            exchange.wait("line cut")

    with serve(answer) as server:
        page.open(server.url)
        ask(page, "Why?")
        page.wait_for(SAID)
        page.go_offline()
        server.gate("line cut").set()
        page.wait_for("!document.querySelector('.link').hidden")
        assert "offline" in page.text(".link")
        page.go_offline(False)
        becomes(page, "done")
        assert page.text(".answer") == "So far and on"
        assert (len(server.questions()), server.resumes()) == (1, ["run-3"])


def test_a_pause_is_not_the_readers_affair(page: Page) -> None:
    """The run goes on elsewhere; nothing is said of it, and a notice is said once, quietly."""
    notice = {"type": "notice", "code": "retrying", "message": "The model is asked again."}
    whole = (status(1, "executing", "Searching"), notice, token("So far"), final("So far and on"))
    pause = {"type": "paused", "reason": "deadline", "cursor": "run-3", "resumeAfterMs": 300}

    def answer(exchange: Exchange) -> None:
        exchange.open()
        if exchange.asked.method == "POST":
            for seq in (1, 2, 3):
                exchange.send(seq, whole[seq - 1])
            exchange.raw(f"data: {json.dumps(pause)}\n\n".encode())
        else:
            exchange.send(4, whole[3])

    watch = """new MutationObserver(() => {
      const link = document.querySelector(".link");
      window.alarmed ||= Boolean(link && !link.hidden);
      window.alarmed ||= announcer.textContent.includes("interrupted");
    }).observe(document.body, {subtree: true, childList: true, attributes: true})"""
    with serve(answer) as server:
        page.open(server.url)
        page.evaluate(f"window.alarmed = false; {watch}")
        ask(page, "Why?")
        becomes(page, "done")
        assert page.evaluate("window.alarmed") is False
        assert server.resumes() == ["run-3"]
        assert page.text(".answer") == "So far and on"
        assert page.text(".notices") == "The model is asked again."
    assert page.complaints == []


def test_two_tabs_show_one_run_over_one_stream(page: Page) -> None:
    """The second tab asks the server nothing; when the first one goes, it reads on."""
    with serve(hold_back()) as server:
        page.open(server.url)
        ask(page, "Why?")
        page.wait_for(SAID)
        other = page.second()
        other.open(server.url)
        other.wait_for(SAID)
        assert [asked.path for asked in server.asked] == ["/api/chat"]
        page.close()
        # A browser says that a tab is closed before it is.
        assert server.gate("resumed").wait(60)
        server.gate("go on").set()
        becomes(other, "done")
        assert other.text(".answer") == "So far and on"
        assert (len(server.questions()), server.resumes()) == (1, ["run-3"])


def test_what_one_tab_asks_and_hears_the_other_shows(page: Page) -> None:
    """A turn appears there, grows there and ends there; each tab may begin another conversation."""
    with serve(hold_back()) as server:
        page.open(server.url)
        ask(page, "Why?")
        other = page.second()
        other.open(server.url)
        other.wait_for(SAID)
        server.gate("go on").set()
        becomes(other, "done")
        becomes(page, "done")
        assert other.text(".answer") == page.text(".answer") == "So far and on"
        # One run: on a busy machine a tab may ask once more under the same key.
        assert len({asked.headers["idempotency-key"] for asked in server.questions()}) == 1
        ask(other, "And then?")
        page.wait_for("document.querySelectorAll('.turn').length === 2")
        becomes(page, "done")
        other.click("#fresh")
        ask(other, "Something else?")
        becomes(other, "done")
        assert other.evaluate("document.querySelectorAll('.turn').length") == 1
        assert page.evaluate("document.querySelectorAll('.turn').length") == 2


def test_either_tab_can_stop_the_run(page: Page) -> None:
    """The tab that reads it is asked to, and both show it."""

    def answer(exchange: Exchange) -> None:
        if exchange.asked.path.endswith("/stop"):
            exchange.reply(202, {})
            exchange.server.gate("stopped").set()
            return
        exchange.open()
        exchange.send(1, token("So far"))
        exchange.wait("stopped")
        exchange.send(2, final("So far", finishReason="cancelled"))

    with serve(answer) as server:
        page.open(server.url)
        ask(page, "Why?")
        other = page.second()
        other.open(server.url)
        other.wait_for(SAID)
        other.click("#stop")
        becomes(other, "stopped")
        becomes(page, "stopped")
        assert server.stops() == ["/api/chat/runs/run/stop"]


def test_the_figures_and_the_picture_tell_of_the_stream(page: Page) -> None:
    """A panel with what was measured; a bar for each step and a tick for each event."""
    with serve(answers(*WHOLE)) as server:
        page.open(server.url)
        assert page.evaluate("document.querySelector('#measures').hidden")
        ask(page, "Why?")
        becomes(page, "done")
        page.click("#menu")
        page.click("#details")
        page.press("Escape")
        page.click(".timeline summary")
        page.wait_for("document.querySelectorAll('.timeline .tick').length === 6")
        assert page.evaluate("document.querySelectorAll('.timeline .bar').length") == 2
        assert page.text(".timeline p").startswith("6 events, the first after")
        page.click("#measures summary")
        page.wait_for("document.querySelector('#measures .host')")
        figures = page.text("#measures")
        assert "a Lambda Web Function" in figures
        assert "1 of 1" in figures
        assert "100 %" in figures
        assert "NaN" not in figures
