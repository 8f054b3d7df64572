"""`/api/chat` over real sockets, and in this process where runs must be counted."""

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from functions import chat
from services.runs import Run
from services.settings import ROOT, read_settings
from services.streaming import App, set_default_app
from tests.event_stream import EventStreamParser
from tests.functions.asgi import call, post
from tests.functions.serving import Server

BASES = ["/api/chat", "/.netlify/functions/chat"]
ANSWER = "The Louvre, é\U0001f5fc."


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_both_bases_stream_by_post_and_by_get(server: Server, base: str, method: str) -> None:
    """The contract, section 3, from the first header to the last event."""
    if method == "POST":
        reply = server.stream("What is there in Paris?", base)
    else:
        reply = server.ask(f"{base}?query=What+is+there+in+Paris%3F&streaming=true")
    assert reply.status == 200
    assert reply.header("Content-Type") == "text/event-stream; charset=utf-8"
    assert reply.header("Cache-Control") == "no-cache, no-transform"
    assert reply.header("Connection") == "keep-alive"
    assert reply.header("X-Accel-Buffering") == "no"
    assert reply.header("Vary") == "Accept, Origin"
    assert reply.header("Content-Length") is None
    assert reply.header("Content-Encoding") is None
    run = reply.header("X-Run-Id")
    events = reply.events()
    assert reply.ids() == [f"{run}-{n}" for n in range(1, len(events) + 1)]
    assert [event["type"] for event in events if event["type"] in ("final", "error")] == ["final"]
    assert events[-1]["result"]["answer"] == ANSWER
    assert "".join(event["text"] for event in events if event["type"] == "token") == ANSWER
    kinds = [event["type"] for event in events]
    assert kinds[0] == "status"
    assert kinds.index("sources") < kinds.index("token")
    # Nothing had to be looked up for the question: its step is over as it begins.
    steps = [event["status"] for event in events if event["type"] == "status"]
    told = [(step["name"], step["status"]) for step in steps]
    assert told[:2] == [("question", "completed"), ("search", "executing")]


def test_the_bytes_are_those_the_users_clients_can_read(server: Server) -> None:
    """LF only, `data: ` with its space, one line of JSON, no event names, one `retry`."""
    body = server.stream("What is there in Paris?").body
    assert b"\r" not in body
    assert body.startswith(b"retry: 3000\nid: ")
    assert body.count(b"retry:") == 1
    blocks = body.decode().split("\n\n")
    assert blocks.pop() == ""
    for block in blocks:
        *fields, data = block.removeprefix("retry: 3000\n").split("\n")
        assert [field.partition(": ")[0] for field in fields] == ["id"]
        assert data.startswith('data: {"type":"')
        json.loads(data.removeprefix("data: "))


def test_without_streaming_the_answer_is_one_object(server: Server) -> None:
    """The bare result, by POST and by GET, with and without the word."""
    replies = [
        server.ask("/api/chat", {"query": "Paris?"}),
        server.ask("/api/chat", {"query": "Paris?", "streaming": False}),
        server.ask("/api/chat?query=Paris%3F"),
        server.ask("/api/chat?query=Paris%3F&streaming=0", headers={"Accept": "text/event-stream"}),
    ]
    for reply in replies:
        assert (reply.status, reply.header("Content-Type")) == (200, "application/json")
        assert reply.header("Cache-Control") == "no-store"
        assert reply.json()["answer"] == ANSWER
        assert reply.json()["success"] is True
        assert reply.json()["runId"] == reply.header("X-Run-Id")


def test_the_fields_do_what_they_say(server: Server) -> None:
    """Metadata comes back, a session is given and kept, `include` chooses what is said."""
    metadata = {"ключ": "\U0001f5fc\r\n", "": ""}
    pure = server.stream("Paris?", metadata=metadata, include=[], sessionId="", topK=1)
    assert {event["type"] for event in pure.events()} == {"status", "final"}
    result = pure.events()[-1]["result"]
    assert result["metadata"] == metadata
    assert result["sessionId"]
    again = server.ask(data={"query": "And then?", "sessionId": result["sessionId"]})
    assert again.json()["sessionId"] == result["sessionId"]
    chosen = server.ask(
        "/api/chat?query=Paris&streaming=1&include=tokens&metadata=%7B%22a%22:%22b%22%7D"
    )
    assert {event["type"] for event in chosen.events()} == {"status", "token", "final"}
    assert chosen.events()[-1]["result"]["metadata"] == {"a": "b"}


def test_ndjson_is_one_object_a_line(server: Server) -> None:
    """For any line reader, without a word in the body."""
    reply = server.ask(data={"query": "Paris?"}, headers={"Accept": "application/x-ndjson"})
    assert reply.header("Content-Type") == "application/x-ndjson"
    told = [json.loads(line) for line in reply.body.splitlines()]
    assert told[-1]["result"]["answer"] == ANSWER
    assert [line["id"].rpartition("-")[2] for line in told] == [
        str(n) for n in range(1, len(told) + 1)
    ]


def test_accept_alone_asks_for_a_stream(server: Server) -> None:
    """Also by GET, as an EventSource does."""
    reply = server.ask("/api/chat?query=Paris", headers={"Accept": "text/event-stream"})
    assert reply.header("Content-Type") == "text/event-stream; charset=utf-8"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("provider_throttled", 503),
        ("provider_error", 502),
        ("provider_timeout", 504),
        ("provider_truncated", 502),
        ("content_filtered", 502),
        ("context_too_long", 422),
    ],
)
def test_a_failing_model_is_a_status_in_json_and_an_event_in_a_stream(
    server: Server, code: str, status: int
) -> None:
    """Never an apology inside `final`, and the same words in both."""
    whole = server.ask(data={"query": f"fail with {code}"})
    streamed = server.stream(f"fail with {code}")
    assert (whole.status, streamed.status) == (status, 200)
    assert (whole.header("Retry-After") is not None) == (status == 503)
    last = streamed.events()[-1]
    assert [event["type"] for event in streamed.events()].count("error") == 1
    for error in (whole.json(), last):
        assert error["type"] == "error"
        assert error["code"] == code
        assert isinstance(error["error"], str)
        assert error["error"]
    assert whole.json()["error"] == last["error"]


def test_an_answer_that_breaks_off_is_an_error_that_keeps_it(server: Server) -> None:
    """What was said is in `partial`; success is never claimed."""
    last = server.stream("break off").events()[-1]
    assert (last["type"], last["code"]) == ("error", "provider_truncated")
    assert last["partial"]["answer"] == "Half an "


Refusal = tuple[str, str, dict[str, str], bytes | None, int, str | None]

REFUSALS: list[Refusal] = [
    # method, target, headers, body, status, code
    ("HEAD", "/api/chat?query=x", {}, None, 405, None),
    ("PUT", "/api/chat", {}, b"{}", 405, "method_not_allowed"),
    ("PUT", "/api/chat", {"X-HTTP-Method-Override": "POST"}, b'{"query":"x"}', 405,
     "method_not_allowed"),
    ("DELETE", "/.netlify/functions/chat", {}, None, 405, "method_not_allowed"),
    ("TRACE", "/api/chat?query=x", {}, None, 405, "method_not_allowed"),
    ("BREW", "/api/chat?query=x", {}, None, 405, "method_not_allowed"),
    ("GET", "/api/chat", {}, None, 422, "validation_error"),
    ("GET", "/api/chat?query=%FF", {}, None, 400, "invalid_request"),
    ("GET", "/api/chat?query=x&streaming=yes", {}, None, 422, "validation_error"),
    ("GET", "/api/chat?query=" + "x" * 9000, {}, None, 414, "uri_too_long"),
    ("GET", "/api/chat?query=x", {"Last-Event-ID": "7"}, None, 400, "invalid_request"),
    ("GET", "/api/chat?lastEventId=" + "0" * 32 + "-1", {}, None, 404, "not_found"),
    ("GET", "/api/chat?query=x", {"Origin": "https://evil.example"}, None, 403, "forbidden"),
    ("GET", "/api/chat?query=x", {"Origin": "null"}, None, 403, "forbidden"),
    ("GET", "/api/chat?query=x", {"Idempotency-Key": "x" * 129}, None, 400, "invalid_request"),
    ("POST", "/api/chat", {"Content-Type": "text/plain"}, b"{}", 415, "unsupported_media"),
    ("POST", "/api/chat", {}, b"", 400, "invalid_json"),
    ("POST", "/api/chat", {}, b"[]", 400, "invalid_request"),
    ("POST", "/api/chat", {}, b'{"query":NaN}', 400, "invalid_json"),
    ("POST", "/api/chat", {}, b"[" * 65_536, 400, "invalid_json"),
    ("POST", "/api/chat", {}, b'{"query":"' + b"x" * 8001 + b'"}', 422, "validation_error"),
    ("POST", "/api/chat", {}, b" " * 65_537, 413, "payload_too_large"),
    ("POST", "/api/chat", {}, b" " * 3_000_000, 413, "payload_too_large"),
    ("POST", "/api/chat", {"Accept": "a/b"}, b'{"query":"x","streaming":true}', 406,
     "not_acceptable"),
    ("POST", "/api/chat", {"Origin": "http://[x"}, b'{"query":"x"}', 403, "forbidden"),
]  # fmt: skip


@pytest.mark.parametrize("row", REFUSALS, ids=lambda row: f"{row[0]}-{row[4]}")
def test_a_refusal_is_the_contracts_error_object(server: Server, row: Refusal) -> None:
    """With its status, as JSON, before any run."""
    method, target, headers, body, status, code = row
    reply = server.ask(target, body, method=method, headers=headers)
    assert reply.status == status
    assert reply.header("X-Run-Id") is None
    assert reply.header("Content-Type") == "application/json"
    assert (reply.header("Allow") == "GET, POST, OPTIONS") == (status == 405)
    if code is not None:
        error = reply.json()
        assert error["type"] == "error"
        assert error["code"] == code
        assert error["error"].endswith(".")
        assert bool(error.get("details")) == (status == 422)


def test_a_chunked_upload_over_the_limit_is_refused(server: Server) -> None:
    """Its length was not declared; it is counted as it comes."""
    head = (
        b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    with server.raw(head + (b"1000\r\n" + b" " * 4096 + b"\r\n") * 17) as wire:
        assert wire.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_an_upload_that_is_never_finished_leaves_no_trace(server: Server) -> None:
    """A client that hangs up in the middle of its body is no fault of the server."""
    head = b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    before = len(server.errors)
    with server.raw(head + b'Content-Length: 50\r\n\r\n{"query":'):
        pass
    assert server.ask("/api/health").status == 200
    # Runs of earlier tests may still be told of.
    assert [line for line in server.errors[before:] if "riverrun.run" not in line] == []


def test_http_1_0_gets_its_answer_and_an_end(server: Server) -> None:
    """No chunks, and the connection is closed behind the last event."""
    with server.raw(b"GET /api/chat?query=Paris&streaming=true HTTP/1.0\r\n\r\n") as wire:
        answer = b"".join(iter(lambda: wire.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"chunked" not in head.lower()
    assert [event.id for event in EventStreamParser().feed(body)]


def test_a_resumed_stream_is_the_rest_of_the_first(server: Server) -> None:
    """By header and by parameter, by GET and by POST, on both bases, whatever the query says."""
    whole = server.stream("count to a hundred")
    ids = whole.ids()
    at = ids[41]
    rest = whole.body.partition(f"id: {ids[42]}\n".encode())
    expected = rest[1] + rest[2]
    for base in BASES:
        other = f"{base}?query=something+else&streaming=true"
        replies = [
            server.ask(other, headers={"Last-Event-ID": at}),
            server.ask(f"{other}&lastEventId={at}"),
            server.ask(base, {"query": "something else"}, headers={"Last-Event-ID": at}),
            server.ask(f"{base}?lastEventId={at}"),
        ]
        for reply in replies:
            assert (reply.status, reply.header("X-Run-Id")) == (200, whole.header("X-Run-Id"))
            assert reply.body == expected
        end = server.ask(other, headers={"Last-Event-ID": ids[-1]})
        assert (end.status, end.body) == (204, b"")


def test_keys_open_the_door_and_keep_runs_apart(keyed_server: Server) -> None:
    """401 without one; another's run is a missing run."""
    for headers in ({}, {"Authorization": "Bearer gamma"}, {"Authorization": "Basic alpha"}):
        for target in ("/api/chat?query=x", f"/api/chat?lastEventId={'0' * 32}-1",
                       "/api/chat?lastEventId=x", f"/api/chat/runs/{'0' * 32}"):  # fmt: skip
            reply = keyed_server.ask(target, headers=headers)
            assert (reply.status, reply.json()["code"]) == (401, "unauthorized")
            assert reply.header("WWW-Authenticate") == "Bearer"
    alpha = {"Authorization": "Bearer alpha"}
    mine = keyed_server.ask("/api/chat", {"query": "x", "streaming": True}, headers=alpha)
    cursor = mine.ids()[0]
    assert keyed_server.ask(f"/api/chat?lastEventId={cursor}", headers=alpha).status == 200
    beta = {"Authorization": "Bearer beta"}
    theirs = keyed_server.ask(f"/api/chat?lastEventId={cursor}", headers=beta)
    missing = keyed_server.ask(f"/api/chat?lastEventId={'0' * 32}-1", headers=beta)
    assert (theirs.status, theirs.body) == (missing.status, missing.body)
    assert theirs.status == 404
    assert keyed_server.ask("/api/health").status == 200
    preflight = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
    assert keyed_server.ask("/api/chat", method="OPTIONS", headers=preflight).status == 204


def test_one_key_of_two_owners_is_two_runs(keyed_server: Server) -> None:
    """A key is its owner's own."""
    data = {"query": "x", "streaming": True}
    runs = {
        keyed_server.ask(
            data=data, headers={"Authorization": f"Bearer {who}", "Idempotency-Key": "k"}
        ).header("X-Run-Id")
        for who in ("alpha", "beta", "alpha")
    }
    assert len(runs) == 2


def test_nothing_of_ours_is_on_the_wire(server: Server, environ: dict[str, str]) -> None:
    """No path, no traceback, no header of the asker's, whatever goes wrong."""
    secret = "canary-3f9d"
    headers = {"Cookie": secret, "Authorization": f"Bearer {secret}", "X-Api-Key": secret}
    captured = b""
    for method, target, also, body, _, _ in REFUSALS:
        reply = server.ask(target, body, method=method, headers=headers | also)
        captured += reply.body + str(reply.headers).encode()
    for query in ("fail late", "break off", "fail with provider_error", "Paris?"):
        for streaming in (True, False):
            reply = server.ask(data={"query": query, "streaming": streaming}, headers=headers)
            captured += reply.body + str(reply.headers).encode()
    ours = [
        secret,
        str(ROOT),
        str(Path.home()),
        environ["RIVERRUN_INDEX"],
        environ["RIVERRUN_SCRIPT"],
    ]
    ours += ["Traceback", "Exception", ".py", "pydantic", "services.", "ThrottlingException"]
    for word in ours:
        assert word.encode() not in captured, word
    assert secret not in "".join(server.errors)


async def open_stream(server: Server, data: dict[str, Any], *headers: str) -> tuple[str, bytes]:
    """One stream over a connection of its own: the run's id and the body, chunks joined."""
    body = json.dumps(data).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = [
        "POST /api/chat HTTP/1.1", "Host: localhost", "Content-Type: application/json",
        f"Content-Length: {len(body)}", *headers, "", "",
    ]  # fmt: skip
    writer.write("\r\n".join(head).encode() + body)
    said = (await reader.readuntil(b"\r\n\r\n")).decode()
    assert said.startswith("HTTP/1.1 200 "), said
    run = said.lower().partition("x-run-id: ")[2].partition("\r\n")[0]
    whole = b""
    while size := int(await reader.readline(), 16):
        whole += await reader.readexactly(size)
        await reader.readexactly(2)
    writer.close()
    await writer.wait_closed()
    return run, whole


@pytest.mark.anyio
async def test_two_hundred_at_once_lose_and_mix_nothing(server: Server) -> None:
    """Each gets its own answer, whole, in order, under its own ids."""
    expected = "".join(f"{n} " for n in range(1, 101))
    with anyio.fail_after(120):
        streams = await asyncio.gather(
            *(
                open_stream(
                    server,
                    {
                        "query": f"count to a hundred {n}",
                        "streaming": True,
                        "metadata": {"n": str(n)},
                    },
                )
                for n in range(200)
            )
        )
    assert len({run for run, _ in streams}) == 200
    for n, (run, body) in enumerate(streams):
        parsed = list(EventStreamParser().feed(body))
        events = [json.loads(event.data) for event in parsed]
        assert [event.id for event in parsed] == [f"{run}-{k}" for k in range(1, len(parsed) + 1)]
        assert "".join(event["text"] for event in events if event["type"] == "token") == expected
        result = events[-1]["result"]
        assert (result["answer"], result["metadata"]) == (expected, {"n": str(n)})
        assert result["runId"] == run


@pytest.mark.anyio
async def test_twenty_with_one_key_are_one_run(server: Server) -> None:
    """The same body joins and gets the same bytes; another body is 409."""
    data = {"query": "wait for me", "streaming": True}
    with anyio.fail_after(60):
        streams = await asyncio.gather(
            *(open_stream(server, data, "Idempotency-Key: twenty") for _ in range(20))
        )
    assert len(set(streams)) == 1
    headers = {"Idempotency-Key": "twenty"}
    whole = server.ask(data={"query": "wait for me"}, headers=headers)
    assert (whole.status, whole.header("X-Run-Id")) == (200, streams[0][0])
    other = server.ask(data={"query": "wait for you", "streaming": True}, headers=headers)
    assert (other.status, other.json()["code"]) == (409, "idempotency_conflict")


class Shelf:
    """A context without a book."""

    async def retrieve(self, *_asked: object, **_known: object) -> tuple[()]:
        return ()


@dataclass
class RunCounter:
    """The installation of this process, and the runs that were started in it."""

    app: App
    runs: list[str] = field(default_factory=list)


@pytest.fixture
def app(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[RunCounter]:
    """This process as a server, whose runs are counted."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    counted = RunCounter(App(read_settings(os.environ), context=Shelf()))
    set_default_app(counted.app)
    begin = counted.app.log.start

    async def start(**known: Any) -> tuple[Run, bool]:
        run, new = await begin(**known)
        counted.runs += [run.id] if new else []
        return run, new

    monkeypatch.setattr(counted.app.log, "start", start)
    yield counted
    set_default_app(None)


@pytest.mark.anyio
async def test_resuming_never_starts_a_run(app: RunCounter) -> None:
    """Whatever the cursor is worth and whatever the query says."""
    whole = await call(chat.app, **post({"query": "x", "streaming": True}))
    ids = [event.id for event in EventStreamParser().feed(whole.body)]
    assert len(app.runs) == 1
    cursors = {ids[0]: 200, ids[-1]: 204, f"{'0' * 32}-1": 404, "7": 400, f"{ids[-1]}9": 400}
    for cursor, status in cursors.items():
        get = await call(
            chat.app, "/api/chat?query=y&streaming=true", headers={"Last-Event-ID": cursor}
        )
        posted = await call(chat.app, **post({"query": "y"}, Last_Event_ID=cursor))
        named = await call(chat.app, f"/.netlify/functions/chat?query=y&lastEventId={cursor}")
        assert (get.status, posted.status, named.status) == (status, status, status)
    assert len(app.runs) == 1
    assert app.app.live.streams == 0


@pytest.mark.anyio
async def test_a_refused_request_starts_no_run(app: RunCounter) -> None:
    """Every row of the table of refusals, and a foreign preflight."""
    for method, target, headers, body, status, _ in REFUSALS:
        named = ({"Content-Type": "application/json"} if body is not None else {}) | headers
        answer = await call(chat.app, target, method=method, headers=named, body=[body or b""])
        assert answer.status == status, (method, target[:80])
    for method in ("OPTIONS", "PUT", "HEAD"):
        await call(chat.app, "/api/chat?query=x", method=method)
    assert app.runs == []
    assert app.app.live.streams == 0


@pytest.mark.anyio
async def test_a_broken_installation_is_500_with_no_word_of_why(
    app: RunCounter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In a stream, in JSON and before either; the log says what to do."""
    nowhere = "/nowhere/canary-index"
    monkeypatch.setenv("RIVERRUN_INDEX", nowhere)
    set_default_app(None)
    streamed = await call(chat.app, **post({"query": "x", "streaming": True}))
    whole = await call(chat.app, **post({"query": "x"}))
    last = streamed.events()[-1]
    assert (whole.status, last["code"], whole.json()["code"]) == (500, "internal", "internal")
    assert b"canary" not in streamed.body + whole.body
    assert nowhere in caplog.text
