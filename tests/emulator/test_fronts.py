"""The HTTP fronts, asked over sockets: what reaches the function, what reaches the client."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from emulator.faults import Fault
from tests.emulator.support import (
    FUNCTIONS,
    Gate,
    Got,
    RunningCloud,
    ask,
    ask_until,
    raw,
    read_until,
    reset,
    run_cloud,
)
from tests.emulator.test_function import is_answered, write_template
from tests.emulator.test_invoke_api import wait_for

pytestmark = pytest.mark.slow


STREAMING = ("netlify", "url chat", "rest")
PREFIX = {"netlify": "/api/chat", "url chat": "/", "rest": "/api/chat"}


def at(cloud: RunningCloud, front: str) -> str:
    return cloud.url(front) + PREFIX[front]


def echo(cloud: RunningCloud, front: str, path: str = "", **more: Any) -> Any:
    """What the function was given."""
    return ask(at(cloud, front) + path, {"echo": 1}, **more).json["payload"]


@pytest.mark.parametrize("front", STREAMING)
def test_the_client_reads_a_frame_before_the_next_is_written(
    cloud: RunningCloud, gate: Gate, front: str
) -> None:
    """No front holds a byte back: each frame is read, and only then is the next released."""
    order = {"say": ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"], "gate": gate.port}
    quoted = quote(json.dumps(order))
    sock = raw(cloud.url(front), f"{PREFIX[front]}?do={quoted}")
    with sock:
        assert b"data: 2" not in read_until(sock, b"data: 1\n\n")
        gate.open()
        assert b"data: 3" not in read_until(sock, b"data: 2\n\n")
        gate.open()
        assert read_until(sock, b"0\r\n\r\n").endswith(b"data: 3\n\n\r\n0\r\n\r\n")


@pytest.mark.parametrize("front", STREAMING)
def test_status_headers_and_cookies_come_from_the_prelude(cloud: RunningCloud, front: str) -> None:
    """Status, headers, one Set-Cookie line each; what belongs to the hop is renamed or dropped."""
    prelude = {
        "statusCode": 418,
        "headers": {"x-a": "1", "content-length": "9", "connection": "close", "te": "x", "n": 5},
        "cookies": ["a=1; Path=/", "b=2"],
    }
    got = ask(at(cloud, front), {"prelude": prelude, "say": ["tea"]})
    assert (got.status, got.body) == (418, b"tea")
    assert (got.header("x-a"), got.header("n")) == ("1", "5")
    assert got.header("x-amzn-remapped-content-length") == "9"
    assert got.header("x-amzn-remapped-connection") == "close"
    assert got.header("te") == ""
    assert [v for k, v in got.headers if k.lower() == "set-cookie"] == ["a=1; Path=/", "b=2"]
    assert got.header("transfer-encoding") == "chunked"
    assert got.header("date")


@pytest.mark.parametrize("front", STREAMING)
@pytest.mark.parametrize(
    ("status", "method"), [(204, "GET"), (304, "GET"), (200, "HEAD"), (302, "GET"), (200, "GET")]
)
def test_an_answer_without_a_body_ends_at_once(
    cloud: RunningCloud, front: str, status: int, method: str
) -> None:
    """No body, no waiting, and the connection can be used again."""
    got = ask(at(cloud, front), {"prelude": {"statusCode": status}}, method=method)
    assert (got.status, got.body, got.whole) == (status, b"", True)


@pytest.mark.parametrize(("front", "status"), [("netlify", 502), ("url chat", 502), ("rest", 500)])
@pytest.mark.parametrize(
    "order",
    [
        {"start": "{}", "say": ["no delimiter"]},
        {"start": "not json" + "\0" * 8},
        {"start": "[]" + "\0" * 8},
        {"start": '{"statusCode": 99}' + "\0" * 8},
        {"start": '{"statusCode": "x"}' + "\0" * 8},
        {"start": '{"headers": {"a": "b\\r\\nc: d"}}' + "\0" * 8},
        {"start": '{"headers": {"a": "' + "b" * 16384 + '"}}' + "\0" * 8},
        {"fail": "before the first byte"},
        {"exit": "before"},
    ],
)
def test_what_is_no_answer_gets_the_fronts_own_error(
    cloud: RunningCloud, front: str, status: int, order: dict[str, Any]
) -> None:
    """502 from a function URL, 500 from a REST API: the function's fault, said once."""
    assert ask(at(cloud, front), order).status == status


def test_a_rest_api_takes_four_keys_and_nothing_else(cloud: RunningCloud) -> None:
    """A function URL forgives an unknown key and a missing prelude; a REST API does neither."""
    odd = {"prelude": {"statusCode": 200, "body": "x"}, "say": ["y"]}
    assert ask(at(cloud, "rest"), odd).status == 500
    assert ask(at(cloud, "url chat"), odd).body == b"y"
    bare = {"prelude": False, "type": "text/plain", "say": ["bare"]}
    assert ask(at(cloud, "rest"), bare).status == 500
    got = ask(at(cloud, "url chat"), bare)
    assert (got.status, got.header("content-type"), got.body) == (200, "text/plain", b"bare")


@pytest.mark.parametrize("front", STREAMING)
@pytest.mark.parametrize("order", [{"exit": "after"}, {"cut": True}])
def test_a_function_that_dies_truncates_the_answer(
    cloud: RunningCloud, front: str, order: dict[str, Any]
) -> None:
    """The last chunk is missing: a client that looks can see it."""
    got = ask(at(cloud, front), {"say": ["so far"], **order})
    assert (got.status, got.body, got.whole) == (200, b"so far", False)


def test_trailers_do_not_reach_a_browser(cloud: RunningCloud) -> None:
    """An error after the first byte ends the body properly; only SDK callers hear of it."""
    got = ask(at(cloud, "url chat"), {"say": ["x"], "trouble": "late"})
    assert (got.body, got.whole) == (b"x", True)


@pytest.mark.parametrize("front", STREAMING)
@pytest.mark.parametrize("how", ["fin", "rst"])
def test_the_function_is_not_told_that_the_client_left(
    cloud: RunningCloud, front: str, how: str
) -> None:
    """It runs to its end and gets its 202."""
    before = len(cloud.log_lines("stream said 202"))
    order = quote('{"count": 40, "gap": 0.005, "report": 1}')
    sock = raw(cloud.url(front), f"{PREFIX[front]}?do={order}")
    read_until(sock, b"data: 1\n\n")
    if how == "fin":
        sock.close()
    else:
        reset(sock)
    wait_for(lambda: len(cloud.log_lines("stream said 202")) > before)


def test_a_timeout_truncates_the_stream(cloud: RunningCloud) -> None:
    """The function is stopped in mid-answer."""
    got = ask_until(cloud.url("url brief"), {"say": ["a", "b"], "gap": 5}, is_answered)
    assert (got.status, got.body, got.whole) == (200, b"a", False)


def test_a_timeout_before_the_first_byte_is_a_502(cloud: RunningCloud) -> None:
    """There is still a status to give."""
    assert ask(cloud.url("url brief"), {"hang": 5}).status == 502


def test_payload_2_holds_the_request(cloud: RunningCloud) -> None:
    """Raw path and query as sent, cookies apart, repeated values joined."""
    got = ask(
        cloud.url("url chat") + "/a%2Fb?x=1&x=2&y=",
        {"echo": 1},
        method="POST",
        headers=[
            ("X-Two", "1"),
            ("X-Two", "2"),
            ("Cookie", "a=1; b=2"),
            ("Content-Type", "text/plain"),
        ],
        body="grüße".encode(),
    ).json["payload"]
    assert got["version"] == "2.0"
    assert got["rawPath"] == "/a%2Fb"
    assert got["rawQueryString"].startswith("x=1&x=2&y=&do=%7B")
    assert got["queryStringParameters"]["x"] == "1,2"
    assert got["cookies"] == ["a=1", "b=2"]
    assert got["headers"]["x-two"] == "1,2"
    assert "cookie" not in got["headers"]
    assert (got["body"], got["isBase64Encoded"]) == ("grüße", False)
    assert got["requestContext"]["http"]["method"] == "POST"
    assert got["requestContext"]["http"]["sourceIp"] == "127.0.0.1"


def test_bytes_that_are_not_text_travel_as_base64(cloud: RunningCloud) -> None:
    """By content type, and whenever JSON could not hold them."""
    url = cloud.url("url chat")
    form = ask(
        url,
        {"echo": 1},
        method="POST",
        headers=[("Content-Type", "application/x-www-form-urlencoded")],
        body=b"a=1",
    ).json["payload"]
    assert (form["body"], form["isBase64Encoded"]) == ("YT0x", True)
    for kind in ("application/octet-stream", "application/json"):
        got = ask(url, {"echo": 1}, method="POST", headers=[("Content-Type", kind)], body=b"\xff{")
        assert got.json["payload"]["body"] == "/3s="
        assert got.json["payload"]["isBase64Encoded"] is True
    assert "body" not in ask(url, {"echo": 1}).json["payload"]


def test_payload_1_holds_the_request(cloud: RunningCloud) -> None:
    """Original header names, decoded values, the route and its parameter; nulls where empty."""
    got = ask(
        cloud.url("rest") + "/Prod/api/chat/runs/a%20b?x=1&x=%C3%BC",
        {"echo": 1},
        method="POST",
        headers=[("X-Two", "1"), ("X-Two", "2"), ("Content-Type", "text/plain")],
        body=b"hi",
    ).json["payload"]
    assert got["resource"] == "/api/chat/{proxy+}"
    assert got["path"] == "/api/chat/runs/a b"
    assert got["pathParameters"] == {"proxy": "runs/a b"}
    assert got["requestContext"]["path"] == "/Prod/api/chat/runs/a b"
    assert got["multiValueHeaders"]["X-Two"] == ["1", "2"]
    assert got["headers"]["X-Two"] == "2"
    assert got["multiValueQueryStringParameters"]["x"] == ["1", "ü"]
    assert (got["body"], got["isBase64Encoded"]) == ("hi", False)
    assert got["stageVariables"] is None


def test_payload_1_says_who_forwarded_the_request(cloud: RunningCloud) -> None:
    """An application makes its redirects from them; what a client claims is kept."""
    url = cloud.url("rest") + "/api/chat"
    got = ask(url, {"echo": 1}, headers=[("x-forwarded-for", "192.0.2.1")]).json["payload"]
    assert got["headers"]["X-Forwarded-Proto"] == "http"
    assert got["multiValueHeaders"]["X-Forwarded-Port"] == [url.split(":")[2].split("/")[0]]
    assert "X-Forwarded-For" not in got["headers"]
    assert got["headers"]["x-forwarded-for"] == "192.0.2.1"


CATCH_ALL = """
Resources:
  A:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: all
      Handler: tiny.chat
      CodeUri: FUNCTIONS
      Environment: {Variables: {AWS_LAMBDA_EXEC_WRAPPER: /var/task/bootstrap}}
      Events:
        Below:
          Type: Api
          Properties: {Path: "/{proxy+}", Method: any, ResponseTransferMode: RESPONSE_STREAM}
        Literal:
          Type: Api
          Properties: {Path: /Prod/literal, Method: any, ResponseTransferMode: RESPONSE_STREAM}
"""


def test_a_catch_all_route_does_not_hide_the_stage(tmp_path: Path) -> None:
    """The stage is stripped before it; a route that is written with it is not."""
    template = tmp_path / "template.yaml"
    template.write_text(CATCH_ALL.replace("FUNCTIONS", str(FUNCTIONS)))
    with run_cloud(template) as cloud:
        base = cloud.url("rest")
        for path, inner in [
            ("/Prod/a/b", "/a/b"),
            ("/a/b", "/a/b"),
            ("/Prod", "/Prod"),
            ("/Prod/literal", "/Prod/literal"),
        ]:
            assert ask(base + path, {"echo": 1}).json["payload"]["path"] == inner, path


def test_a_head_request_is_not_told_that_there_is_nothing(cloud: RunningCloud) -> None:
    """How long the body would be is not known; zero would be wrong."""
    for front in ("url plain", "http"):
        path = "/http" if front == "http" else "/"
        signature = ("Authorization", "AWS4-HMAC-SHA256 Credential=K/x")
        got = ask(cloud.url(front) + path, method="HEAD", headers=[signature])
        assert got.header("content-length") != "0" or got.status == 404


def test_routes_that_do_not_exist(cloud: RunningCloud) -> None:
    """Each gateway refuses in its own words."""
    assert ask(cloud.url("rest") + "/nowhere").body == b'{"message":"Missing Authentication Token"}'
    assert ask(cloud.url("http") + "/nowhere").body == b'{"message":"Not Found"}'
    assert ask(cloud.url("http") + "/http").status == 404  # POST only


def test_an_http_api_buffers(cloud: RunningCloud) -> None:
    """Format 2.0 in, one object out; JSON without statusCode is the body itself."""
    url = cloud.url("http") + "/http"
    answer = {"statusCode": 201, "headers": {"x-a": "1"}, "cookies": ["a=1"], "body": "done"}
    got = ask(url, {"whole": answer}, method="POST")
    assert (got.status, got.body, got.header("set-cookie")) == (201, b"done", "a=1")
    assert got.header("content-length") == "4"
    got = ask(url, {"whole": {"plain": True}}, method="POST")
    assert (got.status, got.json) == (200, {"plain": True})
    got = ask(
        url, {"whole": {"statusCode": 200, "body": "/3s=", "isBase64Encoded": True}}, method="POST"
    )
    assert got.body == b"\xff{"
    assert ask(url, {"say": ["a stream"]}, method="POST").status == 500


def test_a_buffered_rest_route_shows_the_head_of_a_stream_but_no_body(cloud: RunningCloud) -> None:
    """What API Gateway does when the integration was left BUFFERED."""
    got = ask(cloud.url("rest") + "/wrong", {"prelude": {"statusCode": 201}, "say": ["lost"]})
    assert (got.status, got.body) == (201, b"")
    assert ask(cloud.url("rest") + "/wrong", {"whole": {"no": "status"}}).status == 502


def test_a_signed_url_asks_for_a_signature(cloud: RunningCloud) -> None:
    """403 without one; with one, the caller is in the payload."""
    url = cloud.url("url plain")
    assert ask(url, {"whole": 1}).status == 403
    signed = [
        ("Authorization", "AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/x/lambda/aws4_request")
    ]
    got = ask(url, {"whole": {"statusCode": 200, "body": "in"}}, headers=signed)
    assert (got.status, got.body) == (200, b"in")


def test_netlify_serves_both_urls_and_says_so(cloud: RunningCloud) -> None:
    """The function sees the path the visitor used."""
    base = cloud.url("netlify")
    for path in (
        "/api/chat",
        "/.netlify/functions/chat",
        "/.netlify/functions/chat/runs/1",
        "/talk/x",
    ):
        got = ask(base + path, {"echo": 1})
        assert got.json["payload"]["rawPath"] == path
        assert got.header("server") == "Netlify"
        assert len(got.header("x-nf-request-id")) == 26
        assert got.json["payload"]["headers"]["x-nf-request-id"] == got.header("x-nf-request-id")


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/", 200, b"<p>home</p>\n"),
        ("/about", 200, b"<p>about</p>\n"),
        ("/about/", 200, b"<p>about</p>\n"),
        ("/main.mjs", 200, b"export {}\n"),
        ("/app/deep/link", 200, b"<p>home</p>\n"),
        ("/old/page", 301, b""),
        ("/missing", 404, b"Not Found"),
        ("/../template.yaml", 404, b"Not Found"),
        ("/%2e%2e/template.yaml", 404, b"Not Found"),
        (
            "/api/nothing",
            404,
            (
                b'{"type": "error", "error": "There is no such function.", "code": "not_found", '
                b'"retryable": false}'
            ),
        ),
        ("/.netlify/functions/unknown", 404, b"Function not found..."),
        ("/.netlify/functions/no$body", 400, None),
    ],
)
def test_netlify_serves_the_site(
    cloud: RunningCloud, path: str, status: int, text: bytes | None
) -> None:
    """Files, pretty URLs, redirects, and nothing outside the published directory."""
    got = ask(cloud.url("netlify") + path)
    assert got.status == status
    assert text is None or got.body == text
    if status == 301:
        assert got.header("location") == "/new/page"


def test_files_have_types_headers_and_tags(cloud: RunningCloud) -> None:
    """A second visit costs no body."""
    url = cloud.url("netlify") + "/main.mjs"
    got = ask(url)
    assert got.header("content-type") == "text/javascript; charset=UTF-8"
    assert got.header("x-frame-options") == "DENY"
    again = ask(url, headers=[("If-None-Match", got.header("etag"))])
    assert (again.status, again.body) == (304, b"")
    assert ask(url, method="HEAD").header("content-length") == "10"
    assert ask(url, method="POST", body=b"").status == 405


@pytest.mark.parametrize("front", STREAMING)
def test_a_request_over_six_megabytes_is_refused(cloud: RunningCloud, front: str) -> None:
    """413, and the function is not invoked."""
    body = b"x" * (6 * 1024 * 1024 + 1)
    assert ask(at(cloud, front), method="POST", body=body).status == 413


def test_requests_that_are_not_http_are_refused(cloud: RunningCloud) -> None:
    """A head h11 does not accept: 400, and the connection ends."""
    sock = raw(cloud.url("netlify"), "/", "Bad Header: x")
    with sock:
        assert read_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 400")


def test_connections_are_kept_alive_and_pipelined(cloud: RunningCloud) -> None:
    """Two requests written at once are answered in order on one connection."""
    two = "/main.mjs HTTP/1.1\r\nHost: localhost\r\n\r\nGET /about"
    sock = raw(cloud.url("netlify"), two)
    with sock:
        text = read_until(sock, b"about</p>\n")
    assert text.index(b"export {}") < text.index(b"<p>about</p>")


FAULTY = [
    (Fault(kind="cut", at=4), b"data", False),
    (Fault(kind="reset", at=4), b"data", False),
    (Fault(kind="kill", at=4), b"data", False),
    (Fault(kind="cut", at=0), b"", False),
    (Fault(kind="stall", at=4, seconds=0.1), b"data: 0\n\ndata: 1\n\n", True),
    (Fault(kind="freeze", at=4, seconds=0.1), b"data: 0\n\ndata: 1\n\n", True),
    (Fault(kind="split", size=3), b"data: 0\n\ndata: 1\n\n", True),
    (Fault(kind="coalesce", size=4096), b"data: 0\n\ndata: 1\n\n", True),
    (Fault(kind="throttle", burst=0, rate=200), b"data: 0\n\ndata: 1\n\n", True),
    (Fault(kind="duplicate"), b"data: 0\n\ndata: 1\n\n", True),
]


@pytest.mark.parametrize("front", STREAMING)
@pytest.mark.parametrize(("fault", "body", "whole"), FAULTY, ids=lambda x: getattr(x, "kind", ""))
def test_each_fault_does_what_it_says_and_only_once(
    cloud: RunningCloud, front: str, fault: Fault, body: bytes, whole: bool
) -> None:
    """The struck request shows it, the next one does not."""
    cloud.break_with(fault)
    order = {"count": 2, "gap": 0.01}
    got = ask(at(cloud, front), order)
    assert (got.body, got.whole) == (body, whole)
    got = ask(at(cloud, front), order)
    assert (got.body, got.whole) == (b"data: 0\n\ndata: 1\n\n", True)


def test_an_idle_cut_ends_the_answer_and_not_the_function(cloud: RunningCloud) -> None:
    """Silence longer than the front's patience truncates; the function goes on to its 202."""
    before = len(cloud.log_lines("stream said 202"))
    fault = Fault(kind="idle", seconds=0.05, front="rest-api", times=20)
    cloud.break_with(fault)  # a busy machine is silent for so long before its first byte, too
    order = {"say": ["a", "b"], "gap": 0.4, "report": 1}
    got = ask_until(at(cloud, "rest"), order, lambda got: got.body != b"")
    cloud.call(cloud.cloud.faults.clear)
    assert (got.body, got.whole) == (b"a", False)
    wait_for(lambda: len(cloud.log_lines("stream said 202")) > before)


def test_a_duplicate_has_the_same_id_and_another_nonce(cloud: RunningCloud) -> None:
    """The function runs twice; the caller hears one."""
    cloud.break_with(Fault(kind="duplicate", front="function-url"))
    before = len(cloud.log_lines("twins"))
    ask(cloud.url("url chat"), {"log": ["twins"], "say": ["x"]})
    wait_for(lambda: len(cloud.log_lines("twins")) == before + 2)


def test_a_refusal_answers_for_the_function(cloud: RunningCloud) -> None:
    """A status, headers and a body of one's choice."""
    fault = Fault(
        kind="refuse", status=429, headers={"Retry-After": "2"}, body="{}", path="/api/*", skip=1
    )
    cloud.break_with(fault)
    seen = [ask(at(cloud, "netlify"), {"say": ["x"]}) for _ in range(3)]
    assert [got.status for got in seen] == [200, 429, 200]
    assert (seen[1].header("retry-after"), seen[1].body) == ("2", b"{}")


@pytest.mark.parametrize(
    ("to", "status"), [("next", 503), ("next", 0), ("response", 500), ("response", 413)]
)
def test_the_runtime_can_be_refused_too(cloud: RunningCloud, to: str, status: int) -> None:
    """A refused post fails its invocation; a refused poll is only asked again."""
    cloud.break_with(Fault(kind="refuse", to=to, status=status, function="chat"))
    seen = {ask(at(cloud, "url chat" if to else ""), {"say": ["x"]}).status for _ in range(3)}
    assert seen == ({200} if to == "next" else {200, 502})


def test_a_gateway_does_not_wait_for_ever(cloud: RunningCloud) -> None:
    """Before the head a status of its own, after it a cut; the function is not told."""
    before = len(cloud.log_lines("stream said 202"))
    late = {"hang": 0.6, "say": ["x"], "report": 1}
    assert ask(cloud.url("rest") + "/slow", late).status == 504
    assert ask(cloud.url("http") + "/slow", late).status == 503
    paced = {"count": 10, "gap": 0.1, "report": 1}
    got = ask_until(cloud.url("rest") + "/slow", paced, lambda got: got.body != b"")
    assert (got.status, got.whole) == (200, False)
    assert got.body.startswith(b"data: 0")
    wait_for(lambda: len(cloud.log_lines("stream said 202")) >= before + 3)


def test_the_bandwidth_of_lambda_is_a_switch(tmp_path: Path) -> None:
    """7 MB: six at once, the seventh in half a second."""
    with run_cloud(write_template(tmp_path), concurrency=2, throttled=True) as cloud:
        ask(cloud.url("url one"), {"say": ["warm"]})
        began = time.monotonic()
        got = ask(cloud.url("url one"), {"bytes": 7 * 1024 * 1024})
        assert (len(got.body), got.whole) == (7 * 1024 * 1024, True)
        assert time.monotonic() - began > 0.3


def test_a_slow_client_slows_the_function_and_nothing_grows(cloud: RunningCloud) -> None:
    """Back-pressure: of 64 MB a client that does not read gets what sockets hold, no more."""
    order = quote(json.dumps({"bytes": 64 * 1024 * 1024, "report": 1}))
    before = len(cloud.log_lines("stream said 202"))
    with raw(cloud.url("url chat"), f"/?do={order}") as sock:
        read_until(sock, b"\r\n\r\n")
        wait_for(lambda: cloud.cloud.functions["chat"].busy == 1)
        assert len(cloud.log_lines("stream said 202")) == before
        tail = b""
        while not tail.endswith(b"0\r\n\r\n"):
            tail = (tail + sock.recv(1 << 20))[-5:]
    wait_for(lambda: len(cloud.log_lines("stream said 202")) == before + 1)


def test_cors_of_a_function_url_is_answered_by_the_url(tmp_path: Path) -> None:
    """The preflight does not reach the function; a foreign origin gets no header."""
    cors = {
        "AllowOrigins": ["https://a.example"],
        "AllowMethods": ["POST"],
        "AllowHeaders": ["content-type"],
        "AllowCredentials": True,
        "MaxAge": 60,
    }
    url_config = {"AuthType": "NONE", "InvokeMode": "RESPONSE_STREAM", "Cors": cors}
    with run_cloud(write_template(tmp_path, FunctionUrlConfig=url_config), concurrency=2) as cloud:
        url = cloud.url("url one")
        ours, theirs = ("Origin", "https://a.example"), ("Origin", "https://b.example")
        wish = ("Access-Control-Request-Method", "POST")
        got = ask(url, {"fail": "not reached"}, method="OPTIONS", headers=[ours, wish])
        assert (got.status, got.header("access-control-max-age")) == (200, "60")
        assert got.header("access-control-allow-methods") == "POST"
        got = ask(url, {"say": ["x"]}, headers=[ours])
        assert got.header("access-control-allow-origin") == "https://a.example"
        assert got.header("access-control-allow-credentials") == "true"
        got = ask(url, {"say": ["x"]}, headers=[theirs])
        assert got.header("access-control-allow-origin") == ""


def test_an_edge_optimised_api_cuts_after_its_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty seconds, here one; each byte starts them anew. Asked again where they were not met."""
    monkeypatch.setattr("emulator.rest_api.EDGE_IDLE", 1.0)
    asked: list[tuple[dict[str, Any], Callable[[Got], bool]]] = [
        ({"say": ["a"] * 6, "gap": 0.3}, lambda got: got.whole and got.status == 200),
        ({"say": ["a", "b"], "gap": 20}, lambda got: got.body != b""),
        ({"hang": 20, "say": ["late"]}, lambda _: True),
    ]
    with run_cloud(concurrency=64) as cloud, ThreadPoolExecutor(3) as clients:
        url = cloud.url("rest") + "/api/chat"
        ask_until(url, {"say": ["warm"]}, is_answered)
        whole, cut, none = clients.map(lambda do: ask_until(url, *do), asked)
    assert (whole.body, whole.whole) == (b"aaaaaa", True)
    assert (cut.status, cut.body, cut.whole) == (200, b"a", False)
    assert none.status == 504


def test_a_function_is_public_under_its_modules_name(tmp_path: Path) -> None:
    """functions.talk.handler is /api/talk, whatever the cloud calls it."""
    template = write_template(
        tmp_path, FunctionName="stack-TalkFunction-1X", Handler="functions.talk.app"
    )
    with run_cloud(template, concurrency=2) as cloud:
        for path in (
            "/api/talk",
            "/.netlify/functions/talk",
            "/.netlify/functions/stack-TalkFunction-1X",
        ):
            assert ask(cloud.url("netlify") + path, {"say": ["x"]}).body == b"x"
        assert any(line.startswith("talk ") for line in cloud.lines)
