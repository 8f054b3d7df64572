"""Requests: what an application sees behind each front equals what uvicorn shows it.

Each row is a request on a socket and, by AWS's rules, the payloads the fronts make of it.
"""

import base64
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.lambda_runtime import payload as payloads
from services.lambda_runtime.payload import NotHttpError, PayloadError
from tests.services.lambda_runtime.harness import URL_DOMAIN, http, run_runtime
from tests.services.lambda_runtime.servers import fetch, uvicorn, view_mangum, view_stream

HOST = ("Host", URL_DOMAIN)


@dataclass(frozen=True)
class RequestCase:
    """A request as a client writes it."""

    target: str = "/x"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    method: str = "GET"
    raw: bytes = field(default=b"", compare=False)

    def wire(self) -> bytes:
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in (HOST, *self.headers)]
        if self.body:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body

    def all_headers(self) -> list[tuple[str, str]]:
        length = [("Content-Length", str(len(self.body)))] if self.body else []
        return [HOST, *self.headers, *length]

    def text_or_base64(self) -> dict[str, Any]:
        try:
            return {"body": self.body.decode() or None, "isBase64Encoded": False}
        except UnicodeDecodeError:
            return {"body": base64.b64encode(self.body).decode(), "isBase64Encoded": True}

    def as_url(self) -> dict[str, Any]:
        """Format 2.0: names lower, values joined, cookies apart, the query as it was."""
        path, _, query = self.target.partition("?")
        headers: dict[str, str] = {}
        cookies: list[str] = []
        for name, value in self.all_headers():
            if name.lower() == "cookie":
                cookies += value.split("; ")
            else:
                key = name.lower()
                headers[key] = f"{headers[key]},{value}" if key in headers else value
        payload = http(path, method=self.method, query=query)
        payload["headers"] = {"x-forwarded-proto": "http", **headers}
        if cookies:
            payload["cookies"] = cookies
        return {**payload, **self.text_or_base64()}

    def as_alb(self) -> dict[str, Any]:
        """Names and values listed, path and query as they were."""
        path, _, query = self.target.partition("?")
        headers: dict[str, list[str]] = {"X-Forwarded-Proto": ["http"]}
        for name, value in self.all_headers():
            headers.setdefault(name, []).append(value)
        parameters: dict[str, list[str]] = {}
        for pair in filter(None, query.split("&")):
            key, _, value = pair.partition("=")
            parameters.setdefault(key, []).append(value)
        return {
            "requestContext": {"elb": {"targetGroupArn": "arn"}},
            "httpMethod": self.method,
            "path": path,
            "multiValueHeaders": headers,
            "multiValueQueryStringParameters": parameters,
            **self.text_or_base64(),
        }

    def as_rest(self) -> dict[str, Any]:
        """Format 1.0: path and query decoded, names as they were sent."""
        path, _, query = self.target.partition("?")
        payload = self.as_alb()
        parameters: dict[str, list[str]] = {}
        for key, value in parse_qsl(query, keep_blank_values=True):
            parameters.setdefault(key, []).append(value)
        payload["path"] = unquote(path)
        payload["resource"] = "/{proxy+}"
        payload["multiValueQueryStringParameters"] = parameters or None
        payload["requestContext"] = {"stage": "prod", "path": "/prod" + path}
        return payload


REQUESTS = {
    "a path": RequestCase("/a/b"),
    "the root": RequestCase("/"),
    "an encoded slash": RequestCase("/a%2Fb"),
    "an encoded percent": RequestCase("/a%25b"),
    "an encoded space": RequestCase("/a%20b"),
    "a plus": RequestCase("/a+b"),
    "UTF-8 in the path": RequestCase("/%E4%B8%96"),
    "not UTF-8 in the path": RequestCase("/%ff%fe"),
    "a lone percent": RequestCase("/100%"),
    "lower-case hex": RequestCase("/%c3%a9"),
    "double slashes": RequestCase("//a//b/"),
    "dots": RequestCase("/a/../b/./c"),
    "punctuation": RequestCase("/a;b=1,2/@me/~you/(x)/*/!/$/'/:"),
    "a query": RequestCase("/x?a=1&b=2"),
    "a repeated key": RequestCase("/x?a=1&a=2&a=1"),
    "an empty value": RequestCase("/x?a=&b"),
    "an empty query": RequestCase("/x?"),
    "an encoded query": RequestCase("/x?q=a%26b%3Dc%25&z=%20"),
    "a plus in the query": RequestCase("/x?q=a+b"),
    "UTF-8 in the query": RequestCase("/x?q=%E4%B8%96"),
    "not UTF-8 in the query": RequestCase("/x?q=%ff"),
    "a question mark in the query": RequestCase("/x?q=a?b"),
    "brackets in the query": RequestCase("/x?a[]=1&a[b]=2"),
    "a repeated header": RequestCase(headers=(("X-A", "1"), ("X-A", "2"))),
    "a header in mixed case": RequestCase(headers=(("X-MiXeD", "CaSe"),)),
    "an empty header": RequestCase(headers=(("X-Empty", ""),)),
    "a latin-1 header": RequestCase(headers=(("X-Name", "Zoë"),)),
    "a long header": RequestCase(headers=(("X-Long", "v" * 10_000),)),
    "commas in a header": RequestCase(headers=(("X-List", "a, b,c"),)),
    "cookies": RequestCase(headers=(("Cookie", "a=1; b=2; c=3"),)),
    "a comma in a cookie": RequestCase(headers=(("Cookie", 'a="1,2"; b=3'),)),
    "one cookie": RequestCase(headers=(("Cookie", "a=1"),)),
    "json": RequestCase(
        method="POST", body=b'{"a": "\xc3\xa9"}', headers=(("Content-Type", "application/json"),)
    ),
    "a binary body": RequestCase(method="POST", body=bytes(range(256))),
    "NULs": RequestCase(method="PUT", body=b"\0" * 9),
    "a body of 300 kB": RequestCase(method="POST", body=b"x" * 300_000),
    "an upload": RequestCase(method="POST", body=b"--b\r\n\r\n\xff\r\n--b--\r\n"),
    "OPTIONS": RequestCase(method="OPTIONS", headers=(("Origin", "https://e.org"),)),
    "DELETE": RequestCase(method="DELETE"),
    "an invented method": RequestCase(method="BREW"),
    "accept-encoding": RequestCase(headers=(("Accept-Encoding", "gzip, br"),)),
    "an event source": RequestCase(
        headers=(("Accept", "text/event-stream"), ("Last-Event-ID", "r-1"))
    ),
}


async def mirror(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what was asked."""
    if scope["type"] != "http":
        raise NotImplementedError
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message.get("more_body", False)
    shown = {
        "method": scope["method"],
        "path": scope["path"],
        "raw_path": scope["raw_path"].decode("latin-1"),
        "query": scope["query_string"].decode("latin-1"),
        "root_path": scope["root_path"],
        "scheme": scope["scheme"],
        "version": scope["http_version"],
        "headers": [[k.decode("latin-1"), v.decode("latin-1")] for k, v in scope["headers"]],
        "body": base64.b64encode(body).decode(),
    }
    start = {"type": "http.response.start", "status": 200, "headers": []}
    await send(start)
    await send({"type": "http.response.body", "body": json.dumps(shown).encode()})


def show(body: bytes, *, joined: bool) -> dict[str, Any]:
    """What the mirror said; header order is the front's own, and format 2.0 joins values."""
    said: dict[str, Any] = json.loads(body)
    pairs = [pair for pair in said["headers"] if pair[0] != "x-forwarded-proto"]
    if joined:
        found: dict[str, list[str]] = {}
        for name, value in pairs:
            found.setdefault(name, []).append(value)
        pairs = [[name, ",".join(values)] for name, values in found.items()]
    said["headers"] = sorted(pairs)
    return said


@pytest.mark.anyio
@pytest.mark.parametrize("name", REQUESTS)
async def test_a_request_is_what_uvicorn_makes_of_it(name: str) -> None:
    """Method, path, raw path, query, headers and body, behind a URL, a balancer and REST."""
    sent = REQUESTS[name]
    async with uvicorn(mirror) as port:
        reference = (await fetch(port, sent.wire(), sent.method)).body
    async with run_runtime(mirror) as h:
        url = view_stream(await h.invoke(sent.as_url())).body
        alb = (await h.invoke(sent.as_alb())).json
        rest = view_stream(await h.invoke(sent.as_rest())).body
    by_mangum = (await view_mangum(mirror, sent.as_url())).body
    expected = show(reference, joined=True)
    assert show(url, joined=True) == expected
    assert show(by_mangum, joined=True) == expected
    expected = show(reference, joined=False)
    balanced = base64.b64decode(alb["body"]) if alb["isBase64Encoded"] else alb["body"].encode()
    got = show(balanced, joined=False)
    expected_query = expected.pop("query")
    assert sorted(got.pop("query").split("&")) == pairs_of(expected_query)
    assert got == expected
    got = show(rest, joined=False)
    assert decode_query(got.pop("query")) == decode_query(expected_query)
    # Its stage is public, and its path has been decoded: %2F and / are one.
    assert got.pop("root_path") == "/prod"
    assert got.pop("path") == "/prod" + expected["path"]
    for gone in ("root_path", "path", "raw_path"):
        expected.pop(gone)
        got.pop(gone, None)
    assert got == expected


def decode_query(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=True)


def pairs_of(query: str) -> list[str]:
    """The pairs of a query, every key with its equals sign."""
    return (
        sorted(pair if "=" in pair else f"{pair}=" for pair in query.split("&")) if query else [""]
    )


def url(**more: Any) -> dict[str, Any]:
    return {**http("/x"), **more}


MINIMAL: dict[str, dict[str, Any]] = {
    "http": {"version": "2.0", "requestContext": {"http": {"method": "GET"}}},
    "rest": {"httpMethod": "GET", "requestContext": {}},
    "alb": {"httpMethod": "GET", "requestContext": {"elb": {}}},
}
OPTIONAL = {
    "http": ["rawPath", "rawQueryString", "cookies", "headers", "queryStringParameters", "body"],
    "rest": ["path", "headers", "multiValueHeaders", "queryStringParameters"],
    "alb": ["path", "headers", "multiValueHeaders", "multiValueQueryStringParameters", "body"],
}


@pytest.mark.parametrize("shape", MINIMAL)
def test_every_optional_field_may_be_missing(shape: str) -> None:
    """A request with nothing in it is a GET of the root."""
    found, scope, body = payloads.read(MINIMAL[shape])
    assert found == shape
    assert (scope["method"], scope["path"], scope["raw_path"]) == ("GET", "/", b"/")
    assert (scope["query_string"], scope["headers"], body) == (b"", [], b"")
    assert scope["client"] is None
    assert scope["asgi"]["spec_version"] == "2.4"


@pytest.mark.parametrize(
    ("shape", "name"), [(shape, name) for shape, names in OPTIONAL.items() for name in names]
)
def test_every_optional_field_may_be_null(shape: str, name: str) -> None:
    """AWS writes null where nothing was sent."""
    payload = {**MINIMAL[shape], name: None, "isBase64Encoded": None}
    assert payloads.read(payload)[1:] == payloads.read(MINIMAL[shape])[1:]


OTHER_EVENTS: dict[str, Any] = {
    "nothing": None,
    "a list": [],
    "a text": "hello",
    "a number": 1,
    "an empty object": {},
    "a plain question": {"query": "hi"},
    "a null context": {"requestContext": None},
    "a context of text": {"requestContext": "elb"},
    "a queue's records": {"Records": [{"eventSource": "aws:sqs", "body": "x"}]},
    "a socket's message": {"requestContext": {"connectionId": "c", "eventType": "MESSAGE"}},
    "a lattice request": {"version": "2.0", "path": "/", "method": "GET", "requestContext": {}},
    "a rule's event": {"version": "0", "detail-type": "Scheduled Event", "detail": {}},
    "a socket's connection": {
        "headers": {"Host": "x"},
        "requestContext": {"routeKey": "$connect", "eventType": "CONNECT", "connectionId": "c"},
    },
    "a REST API's authorizer": {
        "type": "REQUEST",
        "methodArn": "arn:aws:execute-api:eu-west-1:1:a/b/GET/",
        "httpMethod": "GET",
        "path": "/",
        "requestContext": {},
    },
    "an HTTP API's authorizer": {
        "version": "2.0",
        "type": "REQUEST",
        "routeArn": "arn:aws:execute-api:eu-west-1:1:a/b/GET/",
        "requestContext": {"http": {"method": "GET"}},
    },
}
REFUSED: dict[str, Any] = {
    "no method": {"version": "2.0", "requestContext": {"http": {}}},
    "a method of null": {"version": "2.0", "requestContext": {"http": {"method": None}}},
    "a balancer without method": {"requestContext": {"elb": {}}},
    "bad base64": url(body="a", isBase64Encoded=True),
    "base64 with spaces": url(body="aGk= aGk=", isBase64Encoded=True),
    "base64 that is not ASCII": url(body="é", isBase64Encoded=True),
    "a body that is an object": url(body={"a": 1}),
    "a lone surrogate": url(body="\ud800"),
    "a line break in a header": url(headers={"x-a": "a\r\nb: c"}),
    "a NUL in a header": url(headers={"x-a": "\0"}),
    "a line break in a name": url(headers={"x\na": "b"}),
    "a line break in a cookie": url(cookies=["a=1\r\nb: c"]),
}


@pytest.mark.anyio
@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_request_is_a_400_and_never_reaches_the_application(name: str) -> None:
    """Under both runtimes, with the contract's error object."""
    payload = REFUSED[name]
    with pytest.raises(PayloadError):
        payloads.read(payload)
    async with run_runtime(unreachable) as h:
        streamed = await h.invoke(payload)
    async with run_runtime(unreachable, mode="buffered") as h:
        whole = (await h.invoke(payload)).json
    for status, body in [
        (streamed.prelude["statusCode"], streamed.content)
        if streamed.header("Lambda-Runtime-Function-Response-Mode")
        else (streamed.json["statusCode"], streamed.json["body"]),
        (whole["statusCode"], whole["body"]),
    ]:
        error = json.loads(body)
        assert (status, error["type"], error["code"]) == (400, "error", "invalid_request")
        assert isinstance(error["error"], str)
    assert (await view_mangum(unreachable, payload)).status == 400


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["response_stream", "buffered"])
@pytest.mark.parametrize("name", OTHER_EVENTS)
async def test_other_events_are_invocation_errors(name: str, mode: Any) -> None:
    """Answered with success, a queue's message would be deleted and an authorizer's word final."""
    payload = OTHER_EVENTS[name]
    async with run_runtime(unreachable, mode=mode) as h:
        call = await h.invoke(payload)
    assert call.path.endswith("/error")
    kind = call.header("Lambda-Runtime-Function-Error-Type")
    assert kind == "Runtime.NotAnHttpRequest"
    with pytest.raises(NotHttpError):
        await view_mangum(unreachable, payload)


async def unreachable(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        raise AssertionError
    raise NotImplementedError


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("2.0"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = [
    "version", "rawPath", "rawQueryString", "cookies", "headers", "body", "isBase64Encoded", "path",
    "httpMethod", "resource", "multiValueHeaders", "multiValueQueryStringParameters", "stage",
    "queryStringParameters", "requestContext", "http", "elb", "method", "sourceIp", "identity",
]  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    base=st.sampled_from([url(), MINIMAL["rest"], MINIMAL["alb"]]),
    changes=st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=6),
    inner=st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=4),
)
def test_any_payload_is_a_request_or_a_payload_error(
    base: dict[str, Any], changes: dict[str, Any], inner: dict[str, Any]
) -> None:
    """A stranger's JSON raises nothing else, and a scope is always well formed."""
    payload = {**base, **changes}
    if isinstance(payload.get("requestContext"), dict):
        payload["requestContext"] = {**payload["requestContext"], **inner}
    try:
        _, scope, body = payloads.read(payload)
    except PayloadError:
        return
    assert isinstance(body, bytes)
    assert scope["raw_path"].isascii()
    assert scope["query_string"].isascii()
    for name, value in scope["headers"]:
        assert not set(name + value) & set(b"\r\n\0")


@pytest.mark.parametrize(
    ("context", "root_path", "path"),
    [
        ({"stage": "prod", "path": "/prod/a b"}, "/prod", "/prod/a b"),
        ({"stage": "prod", "path": "/a b"}, "", "/a b"),  # a custom domain
        ({"stage": "prod"}, "", "/a b"),
        ({"path": "/a b"}, "", "/a b"),
    ],
)
def test_a_rest_stage_becomes_the_root_path(context: Any, root_path: str, path: str) -> None:
    """Where the public path shows it; ASGI's path includes the root path."""
    _, scope, _ = payloads.read({"httpMethod": "GET", "path": "/a b", "requestContext": context})
    assert (scope["root_path"], scope["path"]) == (root_path, path)
    assert scope["raw_path"] == path.replace(" ", "%20").encode()


def test_an_http_apis_stage_becomes_the_root_path() -> None:
    """It is the first segment of the path; $default is none."""
    payload = url(rawPath="/prod/x")
    assert payloads.read(payload)[1]["root_path"] == ""
    payload["requestContext"]["stage"] = "prod"
    assert payloads.read(payload)[1]["root_path"] == "/prod"
    assert payloads.read({**payload, "rawPath": "/production/x"})[1]["root_path"] == ""


@pytest.mark.parametrize(
    ("headers", "server", "scheme"),
    [
        ({"host": "e.org"}, ("e.org", 443), "https"),
        ({"host": "e.org:8443"}, ("e.org", 8443), "https"),
        ({"host": "e.org", "x-forwarded-proto": "http"}, ("e.org", 80), "http"),
        ({"host": "e.org", "x-forwarded-port": "8080"}, ("e.org", 8080), "https"),
        ({"host": "[::1]:9"}, ("::1", 9), "https"),
        ({"host": "[::1]"}, ("::1", 443), "https"),
        ({"host": "e.org:x"}, ("e.org", 443), "https"),
        ({"host": "e.org", "x-forwarded-proto": "https,http"}, ("e.org", 443), "https"),
        ({"host": "e.org", "x-forwarded-proto": "gopher"}, ("e.org", 443), "https"),
        ({}, (URL_DOMAIN, 443), "https"),
    ],
)
def test_server_and_scheme_come_from_the_host_header(
    headers: dict[str, str], server: Any, scheme: str
) -> None:
    """And never fail on what a client may put there."""
    _, scope, _ = payloads.read(url(headers=headers))
    assert (scope["server"], scope["scheme"]) == (server, scheme)


def test_cookies_replace_a_cookie_header() -> None:
    """Format 2.0 lists them apart; one header, however many there are."""
    payload = url(headers={"Cookie": "old=1", "x-a": "1"}, cookies=["a=1", "b=2"])
    assert payloads.read(payload)[1]["headers"] == [(b"x-a", b"1"), (b"cookie", b"a=1; b=2")]


def test_the_client_is_who_the_front_saw() -> None:
    """A load balancer appends it to what the client claimed."""
    assert payloads.read(url())[1]["client"] == ("192.0.2.7", 0)
    rest = {**MINIMAL["rest"], "requestContext": {"identity": {"sourceIp": "192.0.2.8"}}}
    assert payloads.read(rest)[1]["client"] == ("192.0.2.8", 0)
    alb = {**MINIMAL["alb"], "headers": {"x-forwarded-for": "6.6.6.6, 192.0.2.9"}}
    assert payloads.read(alb)[1]["client"] == ("192.0.2.9", 0)


@pytest.mark.parametrize(
    ("payload", "streams"),
    [
        (url(), True),
        (MINIMAL["rest"], True),
        (MINIMAL["alb"], False),
        ({**MINIMAL["rest"], "version": "1.0"}, False),
        (url(requestContext={"http": {"method": "GET"}, "domainName": "api.example.com"}), False),
        (url(requestContext={"http": {"method": "GET"}}), False),
        (url(requestContext={"http": {"method": "GET"}, "routeKey": "GET /x"}), False),
        (url(requestContext={"http": {"method": "GET"}, "stage": "prod"}), False),
        (
            url(
                requestContext={
                    "http": {"method": "GET"},
                    "routeKey": "$default",
                    "stage": "$default",
                    "domainName": "id.execute-api.eu-west-1.amazonaws.com",
                }
            ),
            False,
        ),
    ],
)
def test_only_fronts_that_can_stream_are_streamed_to(payload: Any, streams: bool) -> None:
    """HTTP APIs share the URL's format and would show the prelude to the client."""
    shape = payloads.shape_of(payload)
    assert shape is not None
    assert payloads.may_stream(payload, shape) is streams


def test_mangums_own_mapping_departs_where_ours_is_used() -> None:
    """Why requests are not read by Mangum: the day this fails, look at its mapping again."""
    from mangum.handlers import APIGateway, HTTPGateway

    config: Any = {"api_gateway_base_path": "/"}
    no_context: Any = None
    repeated = REQUESTS["a repeated header"].as_rest()
    assert HTTPGateway(url(), no_context, config).scope["raw_path"] is None
    mangums = APIGateway({**repeated, "path": "/a%25b"}, no_context, config).scope
    assert mangums["path"] == "/a%b"
    assert [b"x-a", b"1, 2"] in mangums["headers"]
    with pytest.raises(AttributeError):
        _ = HTTPGateway(url(headers=None), no_context, config).scope
    assert HTTPGateway(url(body="aGVs!bG8=", isBase64Encoded=True), no_context, config).body
