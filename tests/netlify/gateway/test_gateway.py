"""The gateway between real sockets, under Node and under Deno: what passes, what not, and when.

Its upstream is a server of the test, or the whole chat function behind the emulator's function URL.
"""

import json
import os
import urllib.parse
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from services.settings import ROOT
from tests.emulator.support import Got, RunningCloud, run_cloud
from tests.event_stream import EventStreamParser
from tests.netlify.gateway.hosts import RUNTIMES, Gateway, run_gateway
from tests.netlify.gateway.upstream import Answer, Answering, functions

pytestmark = pytest.mark.node

JSON = ("Content-Type", "application/json")
QUESTION = b'{"query": "What is there in Paris? \xc3\xa9", "streaming": true}'
KEYS = {
    "RIVERRUN_UPSTREAM_KEY_ID": "AKIDEXAMPLE",
    "RIVERRUN_UPSTREAM_SECRET_KEY": "a key that is one",
    "RIVERRUN_UPSTREAM_REGION": "eu-west-1",
}
FRAMES = [b": a comment\n", b'id: 1-1\ndata: {"a":"\xc3\xa9\xff\x00"}\n\n', b"data: \r\n" * 99]


@pytest.fixture(params=RUNTIMES)
def name(request: pytest.FixtureRequest) -> str:
    """The runtime."""
    named: str = request.param
    return named


def refusal(got: Got) -> dict[str, Any]:
    """The contract's error object, and nothing that is not the contract's."""
    assert got.header("content-type") == "application/json"
    assert got.header("cache-control") == "no-store"
    said: dict[str, Any] = got.json
    assert said["type"] == "error"
    assert isinstance(said["error"], str)
    assert isinstance(said["retryable"], bool)
    assert set(said) <= {"type", "error", "code", "retryable", "retryAfterMs", "hint"}
    assert got.header("retry-after").isdigit() == ("retryAfterMs" in said)
    return said


def test_each_frame_is_handed_on_before_the_next_is_written(name: str, tmp_path: Path) -> None:
    """The reader has frame one in hand, and only then is frame two released."""

    def answer(to: Answering) -> None:
        to.head(200, ("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked"))
        to.chunk(FRAMES[0])
        to.wait()
        to.chunk(FRAMES[1])
        to.chunk(b"")

    with (
        functions(answer) as upstream,
        run_gateway(name, tmp_path, {"RIVERRUN_UPSTREAM": upstream.url, **KEYS}) as gateway,
        gateway.open_answer(method="POST", body=QUESTION) as response,
    ):
        assert response.read(len(FRAMES[0])) == FRAMES[0]
        upstream.go_on.set()
        assert response.read() == FRAMES[1]


def test_the_answer_comes_as_it_was_said(name: str, tmp_path: Path) -> None:
    """Bytes, status and headers, cookies one by one, less what belongs to a connection."""

    def answer(to: Answering) -> None:
        to.head(
            200,
            ("Content-Type", "text/event-stream"),
            ("Cache-Control", "no-cache, no-transform"),
            ("Connection", "keep-alive"),
            ("Keep-Alive", "timeout=5"),
            ("Date", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("Server", "another"),
            ("Set-Cookie", "a=1; Path=/"),
            ("Set-Cookie", "b=2"),
            ("Transfer-Encoding", "chunked"),
            ("Vary", "Accept, Origin"),
            ("X-Accel-Buffering", "no"),
            ("X-Amzn-RequestId", "5"),
            ("X-Amzn-Remapped-Connection", "keep-alive"),
            ("X-Run-Id", "abc"),
            ("Access-Control-Allow-Origin", "https://page.example"),
            ("Access-Control-Expose-Headers", "X-Run-Id, Retry-After"),
        )
        for frame in (*FRAMES, b""):
            to.chunk(frame)

    with (
        functions(answer) as upstream,
        run_gateway(name, tmp_path, {"RIVERRUN_UPSTREAM": upstream.url, **KEYS}) as gateway,
    ):
        got = gateway.ask(
            method="POST", headers=[JSON, ("Accept-Encoding", "gzip, br")], body=QUESTION
        )
    assert (got.status, got.body, got.whole) == (200, b"".join(FRAMES), True)
    kept = {key.lower() for key, _ in got.headers}
    assert kept - {"date", "connection", "keep-alive", "transfer-encoding"} == {
        "access-control-allow-origin", "access-control-expose-headers", "cache-control",
        "content-type", "set-cookie", "vary", "x-accel-buffering", "x-content-type-options",
        "x-run-id",
    }  # fmt: skip
    assert got.header("cache-control") == "no-cache, no-transform"
    assert got.header("x-run-id") == "abc"
    assert got.header("access-control-expose-headers") == "X-Run-Id, Retry-After"
    assert [v for k, v in got.headers if k.lower() == "set-cookie"] == ["a=1; Path=/", "b=2"]
    assert "1970" not in got.header("date")


def test_the_question_goes_on_with_the_headers_that_may_pass(name: str, tmp_path: Path) -> None:
    """No others, whatever a visitor or Netlify adds; an unsigned query keeps its bytes."""
    passing = {
        "accept": "text/event-stream",
        "authorization": "Bearer visitor",
        "content-type": "application/json",
        "idempotency-key": "key 1",
        "last-event-id": "abc-7",
        "origin": "https://page.example",
        "purpose": "prefetch",
        "sec-fetch-dest": "image",
        "sec-fetch-site": "same-origin",
        "sec-purpose": "prefetch",
        "traceparent": "00-1-2-03",
        "user-agent": "a browser",
        "x-moz": "prefetch",
    }
    stopped = {
        "client-ip": "192.0.2.1",
        "cookie": "session=1",
        "forwarded": "for=192.0.2.1",
        "x-amz-security-token": "a",
        "x-forwarded-for": "192.0.2.1",
        "x-forwarded-host": "other.example",
        "x-nf-geo": "e30=",
        "x-riverrun-authorization": "Bearer forged",
        "x-riverrun-gateway": "forged",
        "x-riverrun-visitor": "192.0.2.1",
    }
    with (
        functions(lambda to: to.whole(200, b"{}")) as upstream,
        run_gateway(name, tmp_path, {"RIVERRUN_UPSTREAM": upstream.url + "/live/"}) as gateway,
    ):
        for base in ("/api", "/.netlify/functions"):
            target = f"{base}/chat?query=a%20b+c%2f&x&y=%7E!*"
            headers = [*passing.items(), *stopped.items()]
            assert gateway.ask(target, method="POST", headers=headers, body=QUESTION).status == 200
    for asked in upstream.asked:
        assert (asked.method, asked.body) == ("POST", QUESTION)
        assert asked.target == "/live/api/chat?query=a%20b+c%2f&x&y=%7E!*"
        assert {key: asked.header(key) for key in passing} == passing
        assert asked.header("x-forwarded-host") == gateway.url.removeprefix("http://")
        assert asked.header("accept-encoding") == "identity"
        transport = {"host", "connection", "content-length", "accept-language", "sec-fetch-mode"}
        ours = {"accept-encoding", "x-forwarded-host"}
        assert asked.names - transport == set(passing) | ours


def test_a_signed_question_is_one_that_botocore_would_have_signed(
    name: str, tmp_path: Path
) -> None:
    """As it arrived, recomputed; the visitor's own credential travels beside the signature."""
    environ = KEYS | {"RIVERRUN_UPSTREAM_SESSION_TOKEN": "a session"}
    bearer = ("Authorization", "Bearer visitor")
    with (
        functions(lambda to: to.whole(200, b"{}")) as upstream,
        run_gateway(name, tmp_path, {"RIVERRUN_UPSTREAM": upstream.url, **environ}) as gateway,
    ):
        gateway.ask(method="POST", headers=[JSON, bearer], body=QUESTION)
        gateway.ask("/.netlify/functions/chat?query=a+b%2Fc'(d)&streaming=true&z")
        gateway.ask("/api/chat/runs/a%20b/events?after=3", headers=[("Last-Event-ID", "abc-3")])
        gateway.ask(method="OPTIONS", headers=[("Origin", "https://page.example")])
    assert [asked.target for asked in upstream.asked] == [
        "/api/chat",
        "/api/chat?query=a%20b%2Fc%27%28d%29&streaming=true&z=",
        "/api/chat/runs/a%20b/events?after=3",
        "/api/chat",
    ]
    for asked in upstream.asked:
        sent = asked.header("authorization")
        assert sent is not None
        assert "SignedHeaders=host;x-amz-date;x-amz-security-token," in sent
        again = AWSRequest(asked.method, upstream.url + asked.target, data=asked.body)
        stamp = asked.header("x-amz-date") or ""
        now = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ")  # noqa: DTZ007 - botocore wants it bare
        keys = Credentials("AKIDEXAMPLE", environ["RIVERRUN_UPSTREAM_SECRET_KEY"], "a session")
        with patch.object(auth, "get_current_datetime", lambda now=now: now):
            auth.SigV4Auth(keys, "lambda", "eu-west-1").add_auth(again)
        assert again.headers["Authorization"] == sent
    assert upstream.asked[0].header("x-riverrun-authorization") == "Bearer visitor"
    assert upstream.asked[1].header("x-riverrun-authorization") is None


def test_a_shared_secret_goes_along_and_leaves_the_visitors_credential(
    name: str, tmp_path: Path
) -> None:
    """The other way to be let in."""
    with (
        functions(lambda to: to.whole(200, b"{}")) as upstream,
        run_gateway(
            name,
            tmp_path,
            {"RIVERRUN_UPSTREAM": upstream.url, "RIVERRUN_GATEWAY_SECRET": "between-us"},
        ) as gateway,
    ):
        gateway.ask(headers=[("Authorization", "Bearer visitor")])
    assert upstream.asked[0].header("x-riverrun-gateway") == "between-us"
    assert upstream.asked[0].header("authorization") == "Bearer visitor"


def test_the_visitors_address_goes_along_as_netlify_saw_it(name: str, tmp_path: Path) -> None:
    """A header of the visitor's own does not; an IPv6 address is the network of one subscriber."""
    seen = {
        "192.0.2.7": "192.0.2.7",
        "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::",
        "2001:DB8::1": "2001:db8:0:0::",
        "::ffff:192.0.2.9": "192.0.2.9",
        "unknown, 192.0.2.1": None,
    }
    with (
        functions(lambda to: to.whole(200, b"{}")) as upstream,
        run_gateway(name, tmp_path, {"RIVERRUN_UPSTREAM": upstream.url, **KEYS}) as gateway,
    ):
        for address in seen:
            forged = ("X-Riverrun-Visitor", "203.0.113.1")
            gateway.ask(headers=[("X-Test-Address", address), forged])
    assert [asked.header("x-riverrun-visitor") for asked in upstream.asked] == [*seen.values()]


def test_an_address_that_asks_too_often_waits_and_others_do_not(name: str, tmp_path: Path) -> None:
    """A 429 here costs no function; a preflight is not counted."""
    environ = {**KEYS, "RIVERRUN_GATEWAY_PER_MINUTE": "3"}
    one, other = ("X-Test-Address", "192.0.2.1"), ("X-Test-Address", "192.0.2.2")
    with (
        functions(lambda to: to.whole(200, b"{}")) as upstream,
        run_gateway(name, tmp_path, {"RIVERRUN_UPSTREAM": upstream.url, **environ}) as gateway,
    ):
        got = [gateway.ask(headers=[one]) for _ in range(5)]
        assert [answer.status for answer in got] == [200, 200, 200, 429, 429]
        assert refusal(got[-1])["code"] == "rate_limited"
        assert 0 < int(got[-1].header("retry-after")) <= 60
        assert gateway.ask(method="OPTIONS", headers=[one]).status == 200
        assert gateway.ask(headers=[other]).status == 200
    assert len(upstream.asked) == 5


def test_a_question_over_the_limit_is_refused_here(name: str, tmp_path: Path) -> None:
    """At 64 KiB it passes; one byte more, declared or not, is a 413 that costs no function."""
    with (
        functions(lambda to: to.whole(200, b"{}")) as upstream,
        run_gateway(name, tmp_path, {"RIVERRUN_UPSTREAM": upstream.url, **KEYS}) as gateway,
    ):
        assert gateway.ask(method="POST", headers=[JSON], body=b"a" * 65536).status == 200
        declared = gateway.ask(method="POST", headers=[JSON], body=b"a" * 65537)
        with gateway.open_answer(method="POST", body=iter([b"a" * 65536, b"a"])) as response:
            chunked = Got(response.status, response.getheaders(), response.read())
    assert [len(asked.body) for asked in upstream.asked] == [65536]
    for got in (declared, chunked):
        assert (got.status, refusal(got)["code"]) == (413, "payload_too_large")


PLATFORM: list[tuple[int, bytes, tuple[str, str] | None, int, str]] = [
    (403, b'{"Message":"Forbidden"}', None, 502, "internal"),
    (403, b'{"message":"The signature we calculated \xc3\xa9"}', None, 502, "internal"),
    (403, b"", ("x-amzn-ErrorType", "AccessDeniedException"), 502, "internal"),
    (403, b'{"message":"Missing Authentication Token"}', None, 404, "not_found"),
    (404, b'{"message":"Not Found"}', None, 502, "internal"),
    (401, b'{"type":"error"}', ("WWW-Authenticate", "Gateway"), 502, "internal"),
    (401, b'{"type":"error"}', ("x-amzn-Remapped-WWW-Authenticate", "Gateway"), 502, "internal"),
    (400, b'{"message":"Bad Request"}', None, 400, "invalid_request"),
    (413, b'{"message":"Request Entity Too Large"}', None, 413, "payload_too_large"),
    (414, b'{"message":"Request-URI Too Long"}', None, 414, "uri_too_long"),
    (429, b'{"Reason":"x","Type":"User","message":"Rate Exceeded."}', None, 429, "rate_limited"),
    (502, b"Internal Server Error", None, 502, "internal"),
    (502, b'{"message":"Internal Server Error"}', None, 502, "internal"),
    (503, b'{"message":"Service Unavailable"}', None, 503, "overloaded"),
    (504, b'{"message":"Endpoint request timed out"}', None, 504, "deadline"),
    (301, b"", ("Location", "https://elsewhere.example"), 502, "internal"),
]


def test_what_the_platform_says_becomes_the_contracts_words(name: str, tmp_path: Path) -> None:
    """A refused signature is no visitor's 403, and nothing of the platform shows."""

    def answer(to: Answering) -> None:
        status, body, header, *_ = PLATFORM[int(to.asked.target.partition("?")[2].rstrip("="))]
        to.whole(status, body, *([header] if header else []))

    with (
        functions(answer) as upstream,
        run_gateway(name, tmp_path, {"RIVERRUN_UPSTREAM": upstream.url, **KEYS}) as gateway,
    ):
        for number, (status, _, _, meant, code) in enumerate(PLATFORM):
            got = gateway.ask(f"/api/chat?{number}", method="POST", headers=[JSON], body=QUESTION)
            assert (got.status, refusal(got)["code"]) == (meant, code), PLATFORM[number]
            said = [line for line in gateway.log.splitlines() if line.startswith("gateway: ")]
            assert len(said) == number + 1
            assert f"answered {status}" in said[-1]
        assert len(upstream.asked) == len(PLATFORM)
        assert KEYS["RIVERRUN_UPSTREAM_SECRET_KEY"] not in gateway.log


def test_what_a_function_says_is_handed_on(name: str, tmp_path: Path) -> None:
    """Every error of the contract, byte for byte."""
    said = b'{"type": "error", "error": "\xc3\xa9", "code": "x", "retryable": false, "runId": "1"}'
    challenge = ("WWW-Authenticate", "Bearer")
    with (
        functions(
            lambda to: to.whole(int(to.asked.target[-4:].rstrip("=")), said, challenge)
        ) as upstream,
        run_gateway(name, tmp_path, {"RIVERRUN_UPSTREAM": upstream.url, **KEYS}) as gateway,
    ):
        for status in (400, 401, 403, 404, 405, 409, 410, 413, 422, 429, 500, 503):
            got = gateway.ask(f"/api/chat?{status}", method="POST", headers=[JSON], body=QUESTION)
            assert (got.status, got.body) == (status, said)
            assert got.header("www-authenticate") == "Bearer"


def test_other_shapes_of_a_function_pass_too(name: str, tmp_path: Path) -> None:
    """Readiness, the errors of other dialects, a body that is none."""
    answers: dict[str, Answer] = {
        "/api/health": lambda to: to.whole(503, b'{"status":"unavailable","checks":{}}'),
        "/api/other": lambda to: to.whole(400, b'{"error":{"message":"x"}}'),
        "/api/nothing": lambda to: to.head(204, ("X-Run-Id", "1")),
        "/api/head": lambda to: to.head(405, ("Allow", "GET"), ("Content-Length", "7")),
    }
    with (
        functions(lambda to: answers[to.asked.target](to)) as upstream,
        run_gateway(name, tmp_path, {"RIVERRUN_UPSTREAM": upstream.url, **KEYS}) as gateway,
    ):
        assert gateway.ask("/api/health").json == {"status": "unavailable", "checks": {}}
        assert gateway.ask("/api/other").json == {"error": {"message": "x"}}
        assert gateway.ask("/api/nothing").status == 204
        assert gateway.ask("/api/head", method="HEAD").status == 405


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"RIVERRUN_UPSTREAM": "not a url"},
        {"RIVERRUN_UPSTREAM": "http://public.example"},
        {"RIVERRUN_UPSTREAM": "https://public.example/?a=b"},
        {"RIVERRUN_UPSTREAM": "https://user:password@public.example"},
        {"RIVERRUN_UPSTREAM": "https://public.example", "RIVERRUN_UPSTREAM_KEY_ID": "AKID"},
        {"RIVERRUN_UPSTREAM": "https://public.example", **KEYS, "RIVERRUN_UPSTREAM_REGION": ""},
    ],
)
def test_a_gateway_that_is_not_set_up_says_so_to_its_owner(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    """The log names the variable; the visitor gets a 502 and no name."""
    with run_gateway("node", tmp_path, environ) as gateway:
        got = gateway.ask()
    assert (got.status, refusal(got)["code"]) == (502, "internal")
    assert b"RIVERRUN" not in got.body
    assert "gateway: " in gateway.log
    assert "UPSTREAM" in gateway.log or "region" in gateway.log
    assert "password" not in gateway.log


def test_an_upstream_that_is_not_there_is_a_503(name: str, tmp_path: Path) -> None:
    """After which the same question may be asked again."""
    with functions(lambda to: to.whole(200, b"{}")) as upstream:
        pass  # nothing listens there any more
    with run_gateway(name, tmp_path, {"RIVERRUN_UPSTREAM": upstream.url, **KEYS}) as gateway:
        got = gateway.ask()
    assert got.status == 503
    assert refusal(got)["retryable"] is True


def test_a_head_that_does_not_come_is_a_504(name: str, tmp_path: Path) -> None:
    """Before Netlify gives up with words of its own; the upstream is let go."""

    def answer(to: Answering) -> None:
        to.wait()
        to.head(200, ("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked"))
        while True:  # until a write fails: much fits into the buffers of a socket that is closing
            to.chunk(b"data: x\n\n" * 1000)

    with (
        functions(answer) as upstream,
        run_gateway(
            name, tmp_path, {"RIVERRUN_UPSTREAM": upstream.url, **KEYS}, head_limit=200
        ) as gateway,
    ):
        got = gateway.ask()
        upstream.go_on.set()
        assert (got.status, refusal(got)["code"]) == (504, "deadline")
        assert upstream.left.wait(60)
    assert len(upstream.asked) == 1


def test_a_stream_that_outlasts_the_limit_of_the_head_goes_on(name: str, tmp_path: Path) -> None:
    """The limit is for the first byte only."""

    def answer(to: Answering) -> None:
        to.head(200, ("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked"))
        to.chunk(b"data: 1\n\n")
        to.wait()
        to.chunk(b"data: 2\n\n")
        to.chunk(b"")

    with (
        functions(answer) as upstream,
        run_gateway(
            name, tmp_path, {"RIVERRUN_UPSTREAM": upstream.url, **KEYS}, head_limit=300
        ) as gateway,
        gateway.open_answer() as response,
    ):
        assert response.read(9) == b"data: 1\n\n"
        late = gateway.ask("/api/health.html")  # a round trip of its own, then well past the limit
        assert late.status == 404
        assert not upstream.left.wait(0.5)
        upstream.go_on.set()
        assert response.read() == b"data: 2\n\n"


def test_a_reader_who_leaves_ends_the_upstreams_stream(name: str, tmp_path: Path) -> None:
    """Nothing is read without a reader."""

    def answer(to: Answering) -> None:
        to.head(200, ("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked"))
        to.chunk(b"data: first\n\n")
        to.wait()
        while True:
            to.chunk(b"data: more\n\n" * 1000)

    with (
        functions(answer) as upstream,
        run_gateway(name, tmp_path, {"RIVERRUN_UPSTREAM": upstream.url, **KEYS}) as gateway,
    ):
        with gateway.open_answer() as response:
            assert response.read(13) == b"data: first\n\n"
        upstream.go_on.set()
        assert upstream.left.wait(60)


def test_a_stream_that_breaks_off_looks_broken_off(name: str, tmp_path: Path) -> None:
    """Never like one that ended."""

    def answer(to: Answering) -> None:
        to.head(200, ("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked"))
        to.chunk(b"data: half\n\n")

    with (
        functions(answer) as upstream,
        run_gateway(name, tmp_path, {"RIVERRUN_UPSTREAM": upstream.url, **KEYS}) as gateway,
    ):
        got = gateway.ask()
    assert (got.body, got.whole) == (b"data: half\n\n", False)


def test_what_netlify_dev_repeats_is_run_once(tmp_path: Path) -> None:
    """Under the names it tries after a 403 or 404 there is nothing, and no function is asked."""
    with (
        functions(lambda to: to.whole(200, b"{}")) as upstream,
        run_gateway("node", tmp_path, {"RIVERRUN_UPSTREAM": upstream.url, **KEYS}) as gateway,
    ):
        for tried in (".html", ".htm", "/index.html", "/index.htm"):
            got = gateway.ask(f"/api/chat{tried}", method="POST", headers=[JSON], body=QUESTION)
            assert (got.status, refusal(got)["code"]) == (404, "not_found")
    assert upstream.asked == []


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    """The repository's own template in the emulator, with a scripted model."""
    script = tmp_path_factory.mktemp("script") / "script.json"
    steps = [{"text": "The Louvre, "}, {"text": "é\U0001f5fc."}]
    script.write_text(json.dumps([{"when": "*", "steps": steps}]))
    environ = {
        "RIVERRUN_CHAT": "scripted",
        "RIVERRUN_SCRIPT": str(script),
        "RIVERRUN_LOG": "memory://",
        "PATH": os.environ["PATH"],
    }
    with run_cloud(ROOT / "template.yaml", environ=environ) as cloud:
        yield cloud


@pytest.mark.parametrize("base", ["/api/chat", "/.netlify/functions/chat"])
def test_the_whole_chat_function_answers_through_it(
    name: str, tmp_path: Path, cloud: RunningCloud, base: str
) -> None:
    """Asked both ways, resumed by id and told to stop; signed, as the template demands."""
    address = cloud.url("url chat")
    assert gateway_less(address).status == 403
    with run_gateway(name, tmp_path, {"RIVERRUN_UPSTREAM": address, **KEYS}) as gateway:
        asked = gateway.ask(base, method="POST", headers=[JSON], body=QUESTION)
        query = urllib.parse.quote("What is there in Paris? é&+%")
        got = gateway.ask(f"{base}?query={query}&streaming=true")
        events = list(EventStreamParser().feed(got.body))
        for answer in (asked, got):
            assert answer.header("content-type") == "text/event-stream; charset=utf-8"
            final = json.loads(list(EventStreamParser().feed(answer.body))[-1].data)
            assert final["result"]["answer"] == "The Louvre, é\U0001f5fc."
            assert f"id: {answer.header('x-run-id')}-1\n".encode() in answer.body
        rest = gateway.ask(base, headers=[("Last-Event-ID", events[1].id)])
        assert rest.body == got.body[got.body.index(f"id: {events[2].id}".encode()) :]
        assert gateway.ask(base, headers=[("Last-Event-ID", events[-1].id)]).status == 204
        page = ("Origin", gateway.url)
        assert gateway.ask(f"{base}?query=a", headers=[page]).status == 200
        foreign = ("Origin", "https://elsewhere.example")
        assert gateway.ask(f"{base}?query=a", headers=[foreign]).json["code"] == "forbidden"


def gateway_less(address: str) -> Got:
    """The same door without a signature."""
    return Gateway(address, Path()).ask("/api/chat?query=a")


def test_an_endpoint_of_many_regions_is_refused_with_the_reason(name: str, tmp_path: Path) -> None:
    """It wants SigV4a. The visitor is told no more than that the gateway is not set up."""
    environ = {"RIVERRUN_UPSTREAM": "https://a1.lambda-web.global.on.aws", **KEYS}
    with run_gateway(name, tmp_path, environ) as gateway:
        got = gateway.ask(method="POST", headers=[JSON], body=QUESTION)
        assert (got.status, refusal(got)["error"]) == (502, "The gateway is not set up.")


def test_what_a_web_functions_platform_says_is_not_handed_on(name: str, tmp_path: Path) -> None:
    """Its errors by their header, whatever their body; and no header of its own on an answer."""

    def fail(to: Answering) -> None:
        body = b'{"anything": 1}'
        kind = ("lambda-web-error-type", "Runtime.RequestTimeout")
        length = ("Content-Length", str(len(body)))
        to.head(504, kind, length, JSON, ("lambda-web-request-id", "1"))
        to.write(body)

    with (
        functions(fail) as upstream,
        run_gateway(name, tmp_path, {"RIVERRUN_UPSTREAM": upstream.url, **KEYS}) as gateway,
    ):
        got = gateway.ask(method="POST", headers=[JSON], body=QUESTION)
        assert (got.status, refusal(got)["code"]) == (504, "deadline")
        assert not got.header("lambda-web-request-id")
