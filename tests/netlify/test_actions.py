"""What one does with an answer: copy, ask again, edit, share, rate, unlock, embed."""

import json
from pathlib import Path

import pytest

from tests.browser import Page
from tests.netlify.visits import WHOLE, answers, ask, becomes, focused_element
from tests.netlify.wire import SITE, Exchange, failure, final, serve, source, sources, token

pytestmark = pytest.mark.browser

COPIED = "navigator.clipboard.readText()"
COPIED_MARKUP = """navigator.clipboard.read().then(([item]) => item.getType("text/html"))
  .then((blob) => blob.text())"""
ASKED = "[...document.querySelectorAll('.asked')].map((asked) => asked.innerText)"


def answer_run(exchange: Exchange) -> None:
    """Answer every question and reader with one run, and who asks for its state too."""
    if exchange.asked.method == "GET" and exchange.asked.path.endswith("/runs/r1"):
        exchange.reply(200, {"runId": "r1", "state": "completed", "query": "Where?"})
        return
    exchange.open("r1")
    exchange.send(1, sources("Tokyo"), run="r1")
    exchange.send(2, final("Eat early [1]", sessionId="s1"), run="r1")


def test_an_answer_and_its_code_can_be_copied(page: Page) -> None:
    """As Markdown with the sources that it cites; code without the fence."""
    answer = "Do this [1]:\n\n```python\nprint(1)\n```"
    events = (final(answer, sources=[source("Guide", uri="https://e.org/g"), source("Other")]),)
    permissions = ["clipboardReadWrite", "clipboardSanitizedWrite"]
    grant = {"permissions": permissions, "browserContextId": page.context}
    page.browser.call("Browser.grantPermissions", grant)
    with serve(answers(*events)) as server:
        page.open(server.url)
        ask(page, "How?")
        becomes(page, "done")
        beside = "document.querySelector('.redo').getBoundingClientRect().left"
        before = page.evaluate(beside)
        page.click(".copy")
        page.wait_for("document.querySelector('.copy').innerText === 'Copied'")
        assert page.evaluate(beside) == before
        assert page.evaluate(COPIED) == f"{answer}\n\n[1] Guide, https://e.org/g"
        markup = page.evaluate(COPIED_MARKUP)
        assert "<pre" in markup
        assert "[1]" in markup
        assert "[1] Guide, https://e.org/g</p>" in markup
        assert "button" not in markup
        assert "#turn" not in markup
        page.click(".copy-code")
        page.wait_for("document.querySelector('.copy-code').innerText === 'Copied'")
        assert page.evaluate(COPIED) == "print(1)\n"


def test_the_answers_before_the_last_are_kept_and_shown(page: Page) -> None:
    """Asked again, a question keeps its earlier answers, also over a reload and where it failed."""
    asked = iter(["First [1].", "Second.", "", "Third."])

    def answer(exchange: Exchange) -> None:
        said = next(asked)
        run = f"r{len(exchange.server.questions())}"
        exchange.open(run)
        end = final(said, sources=[source("Guide")]) if said else failure("It broke.")
        exchange.send(1, end, run=run)

    place = "document.querySelector('.versions').innerText.replaceAll(/[^0-9]/g, '')"
    earlier, later = ".versions button:first-child", ".versions button:last-child"
    with serve(answer) as server:
        page.open(server.url)
        ask(page, "Why?")
        becomes(page, "done")
        assert page.evaluate("document.querySelector('.versions').hidden") is True
        page.click(".redo")
        becomes(page, "done")
        assert page.evaluate(place) == "22"
        page.click(".redo")
        becomes(page, "failed")
        page.click(".again")
        becomes(page, "done")
        assert page.evaluate(place) == "33"
        page.open(f"{server.url}/?reloaded")
        page.wait_for(f"{place} === '33'")
        assert page.text(".answer") == "Third."
        page.click(earlier)
        page.click(earlier)
        page.wait_for(f"{place} === '13'")
        assert page.text(".answer").startswith("First")
        assert page.evaluate("document.querySelectorAll('.cite').length") == 1
        assert page.text(".good") == ""  # only the last one is rated
        page.click(earlier)  # there is none before it
        assert page.evaluate(place) == "13"
        page.click(".share-turn")
        page.wait_for("document.querySelector('#share input').value.endsWith('#run=r1')")
        page.press("Escape")
        page.click(later)
        page.wait_for(f"{place} === '23'")
        assert page.text(".answer") == "Second."
    assert page.complaints == []


def test_a_finished_question_can_be_asked_again_or_changed(page: Page) -> None:
    """Again replaces the answer; edit puts the question where it is written, and loses no draft."""
    with serve(answers(*WHOLE)) as server:
        page.open(server.url)
        ask(page, "Why?")
        becomes(page, "done")
        page.click(".redo")
        page.wait_for("document.querySelectorAll('.turn').length === 1")
        becomes(page, "done")
        assert [asked.body["query"] for asked in server.questions()] == ["Why?", "Why?"]
        keys = {asked.headers["idempotency-key"] for asked in server.questions()}
        assert len(keys) == 2  # the same key would only read the same answer again
        page.evaluate("document.querySelector('#question').focus()")
        page.type("a draft")
        page.click(".edit")
        assert focused_element(page) == "question"
        assert page.evaluate("document.querySelector('#question').value") == "Why?\n\na draft"


def test_an_answer_is_read_elsewhere_by_its_address(page: Page) -> None:
    """The dialog has the address as text and as a picture; another visitor reads the whole run.

    With its question, and what that visitor asks is told to be another conversation's.
    """
    answer = answer_run

    with serve(answer) as server:
        page.open(server.url)
        ask(page, "Where?")
        becomes(page, "done")
        page.click(".share-turn")
        page.wait_for("document.querySelector('.qr path')?.getAttribute('d').length > 1000")
        address = page.evaluate("document.querySelector('#share input').value")
        assert address == f"{server.url}/#run=r1"
        assert "on this computer only" in page.text("#share .warning")
        with page.browser.page() as other:
            other.open(address)
            becomes(other, "done")
            assert other.text(".answer") == "Eat early\u202f1"
            other.wait_for("document.querySelector('.asked').innerText === 'Where?'")
            assert other.evaluate("localStorage['riverrun-conversations'] ?? ''") == ""
            ask(other, "Mine?")
            becomes(other, "done")
            assert server.questions()[-1].body["sessionId"] == ""
            assert "without the shared answer" in other.text(".turn:last-child .notices")
            # From now on it is a conversation of that browser, which a reload finds.
            other.open(server.url)
            assert other.evaluate(ASKED) == ["Where?", "Mine?"]
            assert other.complaints == []


def test_a_shared_answer_that_is_gone_says_so(page: Page) -> None:
    """In words for a person, and it is not handed on again."""

    def answer(exchange: Exchange) -> None:
        exchange.reply(404, {"error": "There is no such run.", "code": "not_found"})

    with serve(answer) as server:
        page.open(f"{server.url}/#run=gone")
        becomes(page, "failed")
        assert page.text(".problem .what").startswith("This answer is no longer kept")
        assert page.text(".share-turn") == ""


def test_a_conversation_goes_on_elsewhere_where_its_owner_says_so(page: Page) -> None:
    """The address says it too, as text and as a picture, and the session is the same one."""
    with serve(answer_run) as server:
        page.open(server.url)
        ask(page, "Where?")
        becomes(page, "done")
        page.click(".share-turn")
        page.wait_for("document.querySelector('.qr path') !== null")
        assert "can ask" not in page.text("#share .lead")
        before = page.evaluate("document.querySelector('.qr path').getAttribute('d')")
        page.click("#share .go-on")
        page.wait_for(
            f"document.querySelector('.qr path').getAttribute('d') !== {json.dumps(before)}"
        )
        address = page.evaluate("document.querySelector('#share input').value")
        assert address == f"{server.url}/#run=r1&go-on=1"
        assert "can ask in this conversation" in page.text("#share .lead")
        with page.browser.page() as other:
            other.open(address)
            becomes(other, "done")
            ask(other, "And there?")
            becomes(other, "done")
            assert server.questions()[-1].body["sessionId"] == "s1"
            assert other.text(".turn:last-child .notices") == ""
            other.open(server.url)
            ask(other, "And then?")
            becomes(other, "done")
            assert server.questions()[-1].body["sessionId"] == "s1"
            assert other.complaints == []
    assert page.complaints == []


def test_feedback_goes_to_the_run_and_can_say_why(page: Page) -> None:
    """A thumb is kept at once, a word with it; a server without feedback loses its buttons."""
    given: list[tuple[str, dict[str, str]]] = []

    def answer(exchange: Exchange) -> None:
        if exchange.asked.path.endswith("/feedback"):
            given.append((exchange.asked.path, exchange.asked.body))
            exchange.reply(404 if len(given) == 4 else 204, None)
            return
        exchange.open()
        exchange.send(1, final("a"))

    with serve(answer) as server:
        page.open(server.url)
        ask(page, "Why?")
        becomes(page, "done")
        page.click(".good")
        page.wait_for("document.querySelector('.good').ariaPressed === 'true'")
        page.click(".bad")
        page.type("It is out of date.")
        page.press("Enter")
        page.wait_for("document.querySelector('.feedback').hidden")
        page.click(".good")
        page.wait_for("document.querySelector('.good').hidden")
        said = [(body["rating"], body["comment"]) for _, body in given]
        assert said == [("up", ""), ("down", ""), ("down", "It is out of date."), ("up", "")]
        assert given[0][0] == "/api/chat/runs/run/feedback"


def test_a_key_is_asked_for_where_the_server_wants_one(page: Page) -> None:
    """A wrong one is said to be wrong; the right one answers, and is sent from then on."""

    def answer(exchange: Exchange) -> None:
        if exchange.asked.headers.get("authorization") != "Bearer right":
            exchange.reply(401, {"error": "A key is needed.", "code": "unauthorized"})
            return
        exchange.open()
        exchange.send(1, final("a"))

    with serve(answer) as server:
        page.open(server.url)
        ask(page, "Why?")
        for key, becoming in (("wrong", "failed"), ("right", "done")):
            page.wait_for("document.querySelector('.key-form') !== null")
            page.type(key)
            page.press("Enter")
            becomes(page, becoming)
        page.open(f"{server.url}/?reloaded")
        ask(page, "And?")
        page.wait_for("document.querySelectorAll('.turn').length === 2")
        becomes(page, "done")
        assert "right" not in page.evaluate("JSON.stringify(localStorage)")
        page.click("#menu")
        page.click("#forget-key")
        page.press("Escape")
        ask(page, "Still?")
        becomes(page, "failed")


def test_follow_ups_are_one_click_away(page: Page) -> None:
    """What the server suggests is asked as it stands."""
    with serve(answers(final("a", followUps=["What does it cost?", 5, ""]))) as server:
        page.open(server.url)
        ask(page, "Why?")
        becomes(page, "done")
        assert page.evaluate("document.querySelectorAll('.follow-ups li').length") == 1
        page.click(".follow-ups .sample")
        page.wait_for("document.querySelectorAll('.turn').length === 2")
        becomes(page, "done")
        assert server.questions()[-1].body["query"] == "What does it cost?"


def test_a_quoted_sentence_is_marked_in_its_passage(page: Page) -> None:
    """The whole passage is there, cited ones first; what was found besides is folded away."""
    text = "Before. Eat early in Tokyo. After."
    found = [source("Tokyo", text=text, quotes=[[8, 27], [-1, 4], [30, 900]]), source("Kyoto")]
    events = ({"type": "sources", "sources": found}, token("Eat early in Tokyo [1]."))
    with serve(answers(*events, final("Eat early in Tokyo [1].", sources=found))) as server:
        page.open(server.url)
        ask(page, "Where?")
        becomes(page, "done")
        page.click(".cite")
        assert page.text(".sources blockquote") == text
        assert page.evaluate("[...document.querySelectorAll('mark')].map((m) => m.innerText)") == [
            "Eat early in Tokyo."
        ]
        assert page.evaluate("document.querySelectorAll('.sources > ol > li').length") == 1
        assert page.text(".other summary") == "Also found"


def test_the_page_lives_in_a_foreign_one_with_a_strict_policy(page: Page, tmp_path: Path) -> None:
    """One tag and one script; the model's text is as inert there, and nothing leaks either way."""
    evil = "<img src=x onerror=parent.owned=1> <script>parent.owned=2</script>"
    with serve(answers(token(evil), failure(evil))) as server:
        policy = f"default-src 'none'; script-src {server.url}; frame-src {server.url}"
        policy += "; require-trusted-types-for 'script'; trusted-types 'none'"
        (tmp_path / "index.html").write_text(
            f"""<!doctype html><meta http-equiv="Content-Security-Policy" content="{policy}">
            <script src="{server.url}/embed.js" defer></script>
            <riverrun-chat lang="de" theme="dark"></riverrun-chat>"""
        )
        with serve(answers(), tmp_path) as foreign:
            page.open(foreign.url)
            page.wait_for("document.querySelector('riverrun-chat').shadowRoot?.firstChild")
            tree = page.call("Page.getFrameTree")["frameTree"]
            frame = tree["childFrames"][0]["frame"]["id"]
            world = page.call("Page.createIsolatedWorld", frameId=frame)["executionContextId"]

            def inside(script: str) -> str:
                asked = {"expression": script, "contextId": world, "awaitPromise": True}
                answer = page.call("Runtime.evaluate", returnByValue=True, **asked)
                return str(answer["result"].get("value"))

            asked = """(async () => {
              const until = async (met) => {
                while (!met()) await new Promise((done) => setTimeout(done, 20));
              };
              const question = () => document.querySelector("#question");
              await until(() => question()?.placeholder);
              question().value = "Why?";
              document.querySelector("#composer").requestSubmit();
              await until(() => document.querySelector(".turn")?.dataset.phase === "failed");
              return document.documentElement.lang + document.querySelector(".answer").innerText;
            })()"""
            assert inside(asked) == f"de{evil}"
            assert page.evaluate("window.owned === undefined")
            assert page.evaluate("document.querySelector('riverrun-chat').offsetHeight") == 576
            assert page.complaints == []


def test_the_page_can_be_framed_by_nobody_until_it_says_by_whom() -> None:
    """A line of `_headers` lists them; no second header contradicts it."""
    headers = (SITE / "_headers").read_text()
    assert "frame-ancestors 'none'" in headers
    assert "X-Frame-Options" not in headers
