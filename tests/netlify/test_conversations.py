"""The conversations of a browser: listed, renamed, deleted with a way back, one for each tab."""

import pytest

from tests.browser import Page
from tests.netlify.visits import LAST, WHOLE, answers, ask, becomes, focused_element
from tests.netlify.wire import PATIENCE, Answer, Exchange, final, serve

pytestmark = pytest.mark.browser

TITLES = "[...document.querySelectorAll('#list .choose span')].map((node) => node.innerText)"


def converse(page: Page, *questions: str) -> None:
    for question in questions:
        if page.evaluate("!document.querySelector('#fresh').hidden"):
            page.click("#fresh")
        ask(page, question)
        page.wait_for(f"document.querySelector('{LAST} .asked')?.innerText === '{question}'")
        becomes(page, "done")


def test_an_earlier_conversation_is_found_and_goes_on(page: Page) -> None:
    """The list has the last used first; what is chosen is shown, and goes on in its session."""

    def answer(exchange: Exchange) -> None:
        session = exchange.asked.body["sessionId"] or f"of {exchange.asked.body['query']}"
        exchange.open()
        exchange.send(1, final("a", sessionId=session))

    with serve(answer) as server:
        page.open(server.url)
        converse(page, "Lisbon?", "Oslo?")
        page.click("#menu")
        assert page.evaluate(TITLES) == ["Oslo?", "Lisbon?"]
        page.click("#list li:nth-child(2) .choose")
        assert page.text(".asked") == "Lisbon?"
        ask(page, "And there?")
        page.wait_for("document.querySelectorAll('.turn').length === 2")
        becomes(page, "done")
        assert server.questions()[-1].body["sessionId"] == "of Lisbon?"
        page.open(f"{server.url}/?reloaded")
        page.wait_for("document.querySelectorAll('.turn').length === 2")
    assert page.complaints == []


def test_a_conversation_is_renamed_and_deleted_with_a_way_back(page: Page) -> None:
    """Escape leaves a name as it was; what was deleted by mistake is back, turns and all."""
    with serve(answers(*WHOLE)) as server:
        page.open(server.url)
        converse(page, "First?", "Second?")
        page.click("#menu")
        rename = "#list li:nth-child(2) .quiet"
        page.click(rename)
        page.type("never")
        page.press("Escape")
        page.click(rename)
        page.type("The first one")
        page.press("Enter")
        assert page.evaluate(TITLES) == ["Second?", "The first one"]
        page.click("#list li:nth-child(1) .quiet:last-child")
        assert page.evaluate(TITLES) == ["The first one"]
        assert page.evaluate("document.querySelectorAll('.turn').length") == 0
        page.click("#undo button")
        assert page.evaluate(TITLES) == ["Second?", "The first one"]
        assert page.text(".asked") == "Second?"
        page.click("#list li:nth-child(1) .quiet:last-child")
        page.open(f"{server.url}/?reloaded")
        page.click("#menu")
        assert page.evaluate(TITLES) == ["The first one"]
    assert page.complaints == []


def test_the_back_button_leads_back_to_what_was_there(page: Page) -> None:
    """From a shared answer to the conversation that was open, and from another page too."""
    with serve(answers(*WHOLE)) as server:
        page.open(server.url)
        converse(page, "Mine?")
        page.evaluate("location.hash = '#run=of-another'")
        page.wait_for(f"document.querySelector('{LAST} .asked')?.innerText !== 'Mine?'")
        becomes(page, "done")
        page.leave("history.back()")
        page.wait_for(f"document.querySelector('{LAST} .asked')?.innerText === 'Mine?'")
        page.leave("history.forward()")
        page.wait_for(f"document.querySelector('{LAST} .asked')?.innerText !== 'Mine?'")
        page.leave("history.back()")
        page.wait_for(f"document.querySelector('{LAST} .asked')?.innerText === 'Mine?'")
        page.open("about:blank")
        page.leave("history.back()")
        page.wait_for(f"document.querySelector('{LAST} .asked')?.innerText === 'Mine?'")
        ask(page, "And then?")
        page.wait_for("document.querySelectorAll('.turn').length === 2")
        becomes(page, "done")
        assert len(server.questions()) == 2  # nothing was asked twice on the way
    assert page.complaints == []


AS_IF_LONG_AGO = """(() => {
  const kept = JSON.parse(localStorage['riverrun-forget'] ?? '[]');
  localStorage['riverrun-forget'] = JSON.stringify(kept.map((one) => ({...one, at: 0})));
})()"""
KEPT_BACK = "JSON.parse(localStorage['riverrun-forget'] ?? '[]').map(({path}) => path)"


def test_what_is_deleted_here_is_deleted_on_the_server(page: Page) -> None:
    """Its session, or its runs where it had none, once it cannot be brought back."""

    def answer(exchange: Exchange) -> None:
        exchange.open()
        is_named = exchange.asked.body["query"] == "Named?"
        exchange.send(1, final("a", sessionId="s/1" if is_named else ""))

    remove = "#list li:nth-child(1) .quiet:last-child"
    with serve(answer) as server:
        page.open(server.url)
        converse(page, "Unnamed?", "Named?")
        page.click("#menu")
        page.click(remove)
        assert page.evaluate(KEPT_BACK) == ["/sessions/s%2F1"]
        page.click("#undo button")
        assert page.evaluate(KEPT_BACK) == []
        page.click(remove)
        page.click(remove)
        assert page.evaluate(KEPT_BACK) == ["/sessions/s%2F1", "/runs/run"]
        page.open(f"{server.url}/?left")  # with the page its way back is gone
        assert server.gate("deleted").wait(PATIENCE)
        page.evaluate(AS_IF_LONG_AGO)
        page.open(f"{server.url}/?later")
        page.wait_for(f"{KEPT_BACK}.length === 0")
        assert set(server.deletions()) == {"/api/chat/sessions/s%2F1", "/api/chat/runs/run"}
    assert page.complaints == []


def test_a_deletion_that_did_not_reach_the_server_is_made_up_for(page: Page) -> None:
    """At the next visit; one that is refused is not asked again."""
    with serve(answers(*WHOLE)) as server:
        page.open(server.url)
        for status, kept in ((503, 1), (401, 1), (404, 0), (503, 1), (403, 0)):
            server.deletion_status = status
            page.evaluate('localStorage[\'riverrun-forget\'] = \'[{"path":"/sessions/s","at":0}]\'')
            server.gate("deleted").clear()
            page.open(f"{server.url}/?{status}")
            assert server.gate("deleted").wait(PATIENCE)
            page.wait_for(f"{KEPT_BACK}.length === {kept}")
    assert set(server.deletions()) == {"/api/chat/sessions/s"}


def test_what_the_browser_drops_it_says(page: Page) -> None:
    """A conversation keeps its last hundred turns, and names the number of the others."""
    with serve(answers(*WHOLE)) as server:
        page.open(server.url)
        converse(page, "First?")
        many = """(() => {
          const [{id}] = JSON.parse(localStorage["riverrun-conversations"]);
          const entry = JSON.parse(localStorage[`riverrun-conversation-${id}`]);
          const [turn] = entry.turns;
          entry.turns = Array.from({length: 100}, (_, at) => ({...turn, id: String(at)}));
          localStorage[`riverrun-conversation-${id}`] = JSON.stringify(entry);
        })()"""
        page.evaluate(many)
        page.open(f"{server.url}/?reloaded")
        ask(page, "One more?")
        becomes(page, "done")
        page.open(f"{server.url}/?again")
        page.wait_for("document.querySelectorAll('.turn').length === 100")
        assert page.text("#dropped") == "1 earlier question is no longer kept in this browser."


def test_a_full_storage_gives_up_the_oldest_conversation(page: Page) -> None:
    """What is asked now is kept; the page says that older conversations are gone."""
    with serve(answers(*WHOLE)) as server:
        page.open(server.url)
        converse(page, "Old?", "New?")
        fill = """(() => {
          for (let size = 1 << 20; size > 64; size >>= 1) {
            const text = "x".repeat(size);
            try { for (let at = 0; ; at += 1) localStorage[`${size}-${at}`] = text; } catch {}
          }
        })()"""
        page.evaluate(fill)
        ask(page, "Newer?")
        page.wait_for("document.querySelectorAll('.turn').length === 2")
        becomes(page, "done")
        page.click("#menu")
        assert page.evaluate(TITLES) == ["New?"]
        page.open(f"{server.url}/?reloaded")
        page.wait_for("document.querySelectorAll('.turn').length === 2")


def make_forgetful_server(*sessions: str) -> Answer:
    def answer(exchange: Exchange) -> None:
        exchange.open()
        number = len(exchange.server.questions())
        exchange.send(1, final("a", sessionId=sessions[number - 1]))

    return answer


def test_the_page_says_when_the_server_has_forgotten_the_conversation(page: Page) -> None:
    """An answer under another session knows nothing of the earlier questions."""
    with serve(make_forgetful_server("one", "one", "two")) as server:
        page.open(server.url)
        for count, question in enumerate(("Lisbon?", "Eat there?", "And there?"), 1):
            ask(page, question)
            page.wait_for(f"document.querySelectorAll('.turn').length === {count}")
            becomes(page, "done")
        seen = "[...document.querySelectorAll('.notices')].map((list) => list.innerText)"
        assert page.evaluate(seen)[:2] == ["", ""]
        assert "no longer has the earlier questions" in page.evaluate(seen)[2]


def test_one_of_many_conversations_is_found_by_what_was_said(page: Page) -> None:
    """By its title, its questions or its answers; and there is no such field where few are kept."""
    with serve(answers(*WHOLE)) as server:
        page.open(server.url)
        converse(page, "Whither?")
        page.click("#menu")
        assert page.evaluate("document.querySelector('#find').hidden")
        page.press("Escape")
        converse(page, *(f"Number {number}?" for number in range(6)))
        page.click("#menu")
        page.wait_for("document.querySelectorAll('#list li').length === 7")
        page.click("#find")
        page.type("whITHer")
        assert page.evaluate(TITLES) == ["Whither?"]
        page.evaluate("document.querySelector('#find').value = ''")
        page.type("early")
        assert len(page.evaluate(TITLES)) == 7
        page.type(" never said")
        assert page.text("#list-empty") == "Nothing found."


def test_the_menu_begins_a_conversation_and_names_no_keys_on_a_phone(page: Page) -> None:
    """A phone has no keyboard; what the menu is opened for stands in it."""
    with serve(answers(*WHOLE)) as server:
        page.open(server.url)
        ask(page, "First?")
        becomes(page, "done")
        page.click("#menu")
        shown = "document.querySelector('#conversations').innerText.includes('Shortcuts')"
        assert page.evaluate(shown)
        page.click("#fresh-here")
        page.wait_for("document.querySelector('.turn') === null")
        assert not page.evaluate(
            "document.querySelector('#conversations').matches(':popover-open')"
        )
        assert focused_element(page) == "question"
        page.resize(390, 800, phone=True)
        page.click("#menu")
        assert not page.evaluate(shown)
