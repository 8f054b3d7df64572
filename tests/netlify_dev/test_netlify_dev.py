"""Netlify's own development server, our gateway in it, and the whole function behind."""

import json
import re
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

from services.settings import ROOT
from tests.browser import Browser
from tests.emulator.support import RunningCloud
from tests.event_stream import EventStreamParser
from tests.functions.serving import Server
from tests.functions.snippets.hearing import Ears
from tests.functions.snippets.test_snippets import ANSWER, BASES, HUNDRED, LOOP
from tests.netlify.visits import ask, becomes
from tests.netlify_dev.dev import command, copy_site, environment, needs_netlify

pytestmark = [pytest.mark.netlify, needs_netlify]


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_stream_arrives_while_it_is_being_written(dev: Server, base: str, method: str) -> None:
    """The first word is read, the model still hangs; only then is it told to stop."""
    body = json.dumps({"query": "one word", "streaming": True}).encode()
    target = base if method == "POST" else f"{base}?query=one%20word&streaming=true"
    content = body if method == "POST" else b""
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost:{dev.port}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    with dev.raw(head.encode() + content) as wire:
        seen = b""
        while b'"type":"token"' not in seen:
            seen += (more := wire.recv(65536))
            assert more, seen
        assert b'"type":"final"' not in seen
        lower = seen.lower()
        assert lower.startswith(b"http/1.1 200")
        assert b"content-type: text/event-stream; charset=utf-8\r\n" in lower
        assert b"cache-control: no-cache, no-transform\r\n" in lower
        assert b"transfer-encoding: chunked\r\n" in lower
        assert b"content-encoding" not in lower
        run = re.search(rb"x-run-id: (\w+)", lower)
        assert run is not None
        assert dev.ask(f"/api/chat/runs/{run[1].decode()}/stop", {}).status == 202
        while b'"finishReason":"cancelled"' not in seen:
            seen += (more := wire.recv(65536))
            assert more, seen


@pytest.mark.parametrize("base", BASES)
def test_a_reader_goes_on_after_the_last_event_it_saw(dev: Server, base: str) -> None:
    """The same bytes from there; nothing more after the end."""
    whole = dev.ask(f"{base}?query={quote('count to a hundred')}&streaming=true")
    events = list(EventStreamParser().feed(whole.body))
    rest = dev.ask(base, headers={"Last-Event-ID": events[3].id})
    assert rest.body == whole.body[whole.body.index(f"id: {events[4].id}\n".encode()) :]
    assert dev.ask(base, headers={"Last-Event-ID": events[-1].id}).status == 204


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("what", ["fetch", "eventSource"])
@pytest.mark.parametrize(
    "asked", [("What is there in Paris? é&+%", ANSWER), ("count to a hundred", HUNDRED)]
)
def test_the_clients_that_people_have_hear_everything(
    dev: Server, hear: Ears, what: str, base: str, asked: tuple[str, str]
) -> None:
    """By fetch and by EventSource, at both addresses."""
    query, answer = asked
    told = hear(dev, what, query, base)
    assert [result["answer"] for result in told["finals"]] == [answer]
    assert (told["errors"], told["lost"], told["trouble"]) == ([], 0, 0)
    assert {status["step"] for status in told["statuses"]} == {1, 2, 3}


@pytest.mark.parametrize("query", ["fail late", "break off"])
@pytest.mark.parametrize("what", ["fetch", "eventSource"])
def test_the_clients_that_people_have_hear_one_error(
    dev: Server, hear: Ears, what: str, query: str
) -> None:
    """A string, and no result beside it."""
    told = hear(dev, what, query)
    assert (told["finals"], len(told["errors"])) == ([], 1)
    assert isinstance(told["errors"][0], str)


def test_the_other_clients_that_people_have_work_too(dev: Server, hear: Ears) -> None:
    """Retries, sums, the hook, and an EventSource that is left to reconnect."""
    assert hear(dev, "fetch", " ")["errors"] == ["HTTP 422"]
    worked = hear(dev, "retries", "What is there in Paris?")
    assert (worked["attempts"], worked["finals"][0]["answer"]) == (1, ANSWER)
    refused = hear(dev, "retries", " ")
    assert (refused["attempts"], refused["thrown"]) == (3, "HTTP 422")
    report = hear(dev, "analytics", "Paris?|fail late|count to a hundred")["report"]
    assert (report["streams"], report["successes"], report["errors"]) == (3, 2, 1)
    after = hear(dev, "hook", "What is there in Paris?")["after"]
    assert (after["result"]["answer"], after["error"], after["streaming"]) == (ANSWER, None, False)
    patient = hear(dev, "patient", "What is there in Paris?")["requests"]
    assert [status for status, _ in patient] == [200, 204]


@pytest.mark.parametrize("base", BASES)
def test_a_shell_loop_reads_the_stream_line_by_line(dev: Server, base: str) -> None:
    """curl and `while read`."""
    loop = ["bash", "-c", LOOP, "loop", dev.url + base]
    done = subprocess.run(loop, capture_output=True, text=True, timeout=60, check=True)
    events = [json.loads(line.removeprefix("Event: ")) for line in done.stdout.splitlines()]
    assert events[0]["type"] == "status"
    assert events[-1]["result"]["answer"] == ANSWER


def test_a_refusal_runs_a_function_once(dev: Server, cloud: RunningCloud) -> None:
    """`netlify dev` repeats a POST that was answered 403 or 404, up to five times."""
    unknown = "/api/chat/runs/00000000000000000000000000000000/stop"
    answer = dev.ask(unknown, {})
    assert (answer.status, answer.json()["code"]) == (404, "not_found")
    assert len(cloud.log_lines(f"POST {unknown} 404")) == 1
    foreign = {"Origin": "https://elsewhere.example"}
    before = len(cloud.log_lines("POST /api/chat 403"))
    answers = [dev.ask(base, {"query": "a"}, headers=foreign) for base in BASES]
    # At /api its last try is answered by the gateway, which does not know what was refused.
    assert [answer.status for answer in answers] == [404, 403]
    assert [answer.json()["type"] for answer in answers] == ["error", "error"]
    assert len(cloud.log_lines("POST /api/chat 403")) == before + 2


def test_a_large_question_ends_nothing(dev: Server) -> None:
    """A megabyte is a 413, and the next question is answered."""
    answer = dev.ask("/api/chat", b"a" * 1_000_000)
    assert (answer.status, answer.json()["code"]) == (413, "payload_too_large")
    assert dev.ask("/api/chat", {"query": "What is there in Paris?"}).json()["answer"] == ANSWER


@pytest.mark.browser
def test_the_page_works_under_the_headers_it_is_deployed_with(
    dev: Server, browser: Browser
) -> None:
    """A question and its answer, with the policy that `_headers` sets, and no complaint."""
    policy = dev.ask("/").header("content-security-policy")
    assert policy is not None
    assert (
        f"Content-Security-Policy: {policy}\n"
        in (ROOT / "netlify" / "site" / "_headers").read_text()
    )
    with browser.page() as page:
        page.open(f"http://localhost:{dev.port}/")
        ask(page, "What is there in Paris?")
        becomes(page, "done")
        assert "Louvre" in page.text(".answer")
        assert page.complaints == []


def test_netlify_builds_it_without_a_warning(tmp_path: Path) -> None:
    """Mistaken redirects do not fail a build: they are one line of its log."""
    project = copy_site(tmp_path, {})
    done = subprocess.run(
        command("build", "--offline"),
        cwd=project,
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "syntax error" not in said
    built = project / "netlify" / ".netlify" / "edge-functions-dist" / "manifest.json"
    routes = json.loads(built.read_text())["routes"]
    assert {(route["path"], route["function"]) for route in routes} == {
        ("/api/*", "gateway"),
        ("/v1/*", "gateway"),
        ("/.netlify/functions/*", "gateway"),
    }
