"""The HTTP face: methods, addresses, origins and errors, seen from the wire."""

import logging

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from services.errors import RiverrunError, SetupError
from services.settings import Settings
from services.streaming.http.asgi import BASES, http_app
from services.streaming.http.url import URL_LIMIT
from tests.functions.asgi import Answer, HeaderLines, call

CANARY = "canary-7f3a /srv/secret.txt arn:aws:bedrock:eu-west-1:123456789012"


class Endpoint:
    """Answers, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, _request: Request) -> Response:
        self.asked += 1
        return JSONResponse({"asked": self.asked})


async def fails(request: Request) -> Response:
    raise {
        "/api/bug": RuntimeError(CANARY),
        "/api/setup": SetupError(CANARY),
        "/api/gone": ClientDisconnect(),
        "/api/typed": RiverrunError("Come back later.", code="overloaded", retry_after_ms=1200),
    }[request.url.path]


async def ask(
    endpoint: Endpoint,
    method: str = "GET",
    target: str = "/api/thing",
    *,
    headers: HeaderLines = (),
    settings: Settings | None = None,
) -> Answer:
    app = http_app({"/thing": {"GET": endpoint, "POST": endpoint}}, settings or Settings())
    return await call(app, target, method=method, headers=headers)


@pytest.mark.anyio
@pytest.mark.parametrize("base", ["/api", "/.netlify/functions"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_both_bases_serve_every_route(base: str, method: str) -> None:
    """The contract, section 1: one endpoint, two addresses."""
    assert base in BASES
    answer = await ask(Endpoint(), method, f"{base}/thing")
    assert (answer.status, answer.json()) == (200, {"asked": 1})


@pytest.mark.anyio
@pytest.mark.parametrize(
    "method",
    ["HEAD", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND", "BREW", "get", "Post"],
)
async def test_any_other_method_is_405_and_reaches_no_endpoint(method: str) -> None:
    """With Allow, and whatever a proxy's override header says."""
    endpoint = Endpoint()
    answer = await ask(endpoint, method, headers={"X-HTTP-Method-Override": "POST"})
    assert answer.status == 405
    assert answer.header("Allow") == "GET, POST, OPTIONS"
    assert answer.json()["code"] == "method_not_allowed"
    assert endpoint.asked == 0


@pytest.mark.anyio
async def test_an_override_header_overrides_nothing() -> None:
    """A GET stays a GET."""
    endpoint = Endpoint()
    answer = await ask(endpoint, "OPTIONS", headers={"X-HTTP-Method-Override": "POST"})
    assert (answer.status, endpoint.asked) == (204, 0)


@pytest.mark.anyio
async def test_options_without_an_origin_says_what_is_allowed() -> None:
    """204 and nothing else, so that asking costs nothing."""
    answer = await ask(Endpoint(), "OPTIONS")
    assert (answer.status, answer.body) == (204, b"")
    assert answer.header("Allow") == "GET, POST, OPTIONS"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "target",
    ["/", "/api", "/api/", "/api/thing/", "/api/thing/more", "/api//thing", "/api/Thing",
     "/api/thing%2F", "/api/thing%00", "/apix/thing", "/functions/thing", "/api/other?query=x"],
)  # fmt: skip
async def test_any_other_path_is_the_contracts_404(target: str) -> None:
    """No redirect either: it would name the host that the request claims."""
    endpoint = Endpoint()
    answer = await ask(endpoint, target=target)
    assert (answer.status, answer.json()["code"]) == (404, "not_found")
    assert answer.header("Location") is None
    assert endpoint.asked == 0


@pytest.mark.anyio
async def test_a_long_url_is_414_and_reaches_no_endpoint() -> None:
    """The path counts as well as the query."""
    endpoint = Endpoint()
    fits = "/api/thing?x=" + "y" * (URL_LIMIT - len("/api/thing?x="))
    assert (await ask(endpoint, target=fits)).status == 200
    answer = await ask(endpoint, target=fits + "y")
    assert (answer.status, answer.json()["code"]) == (414, "uri_too_long")
    assert endpoint.asked == 1


FAILURES = {name: {"GET": fails} for name in ("/bug", "/setup", "/gone", "/typed")}


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/api/bug", "/api/setup"])
async def test_a_fault_of_ours_is_told_to_the_log_and_not_to_the_asker(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """500 with a plain sentence; the exception's text stays here."""
    with caplog.at_level(logging.ERROR, "riverrun"):
        answer = await call(http_app(FAILURES, Settings()), path)
    assert (answer.status, answer.json()["code"]) == (500, "internal")
    assert answer.json()["error"]
    wire = str(answer.headers) + answer.body.decode()
    assert not any(secret in wire for secret in CANARY.split())
    assert "Traceback" not in wire
    assert CANARY in caplog.text
    assert len(caplog.records) == 1


@pytest.mark.anyio
async def test_a_fault_of_ours_can_be_read_by_the_page_that_met_it() -> None:
    """Without CORS headers a browser would hide even the status."""
    app = http_app(FAILURES, Settings())
    answer = await call(app, "/api/bug", headers={"Origin": "http://localhost:3000"})
    assert answer.status == 500
    assert answer.header("Access-Control-Allow-Origin") == "http://localhost:3000"


@pytest.mark.anyio
async def test_a_typed_error_is_its_status() -> None:
    """With Retry-After in whole seconds, rounded up."""
    answer = await call(http_app(FAILURES, Settings()), "/api/typed")
    assert (answer.status, answer.header("Retry-After")) == (503, "2")
    assert answer.json()["error"] == "Come back later."


@pytest.mark.anyio
async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It happens to every server, and nothing is logged as an error."""
    with caplog.at_level(logging.WARNING):
        answer = await call(http_app(FAILURES, Settings()), "/api/gone")
    assert answer.status == 400
    assert not caplog.records


LISTED = Settings(allowed_origins=("https://app.example.com", "https://other.example"))

ALLOWED = [
    # Host, Origin, why
    ("api.example.org", "https://app.example.com"),  # listed
    ("api.example.org", "https://api.example.org"),  # its own
    ("API.Example.org", "https://api.example.org"),  # its own, as typed
    ("api.example.org:8443", "https://api.example.org:8443"),
    ("localhost:8888", "http://localhost:8888"),
    ("localhost:8888", "http://localhost:3000"),  # two ports of one laptop
    ("localhost:8888", "http://127.0.0.1:5173"),
    ("127.0.0.1:8888", "http://localhost"),
    ("[::1]:8888", "http://[::1]:3000"),
]

REFUSED = [
    ("api.example.org", "https://evil.example"),
    ("api.example.org", "https://app.example.com.evil.example"),
    ("api.example.org", "https://evilapp.example.com"),
    ("api.example.org", "https://app.example.com:444"),
    ("api.example.org", "http://app.example.com"),
    ("api.example.org", "https://app.example.com/"),
    ("api.example.org", "https://app.example.com https://evil.example"),
    ("api.example.org", "https://APP.example.com.evil"),
    ("api.example.org", "https://api.example.org.evil.example"),
    ("api.example.org", "https://xapi.example.org"),
    ("api.example.org", "https://api.example.org:444"),
    ("api.example.org", "https://api.example.org@evil.example"),
    ("api.example.org", "https://evil.example#api.example.org"),
    ("api.example.org", "https://user@api.example.org"),
    ("api.example.org", "http://localhost:3000"),
    ("api.example.org", "null"),
    ("localhost:8888", "null"),
    ("localhost:8888", "NULL"),
    ("localhost:8888", ""),
    ("localhost:8888", " "),
    ("localhost:8888", "file://"),
    ("localhost:8888", "http://"),
    ("localhost:8888", "http://[evil"),
    ("localhost:8888", "http://localhost:x"),
    ("localhost:8888", "http://localhost.evil.example:8888"),
    ("localhost:8888", "http://evil.example:8888"),
    ("localhost:8888", "http://127.0.0.1.evil.example"),
    ("localhost:8888", "http://localhost@evil.example"),
    ("localhost:8888", "javascript://localhost"),
    ("localhost:8888", "localhost:8888"),
    ("localhost:8888", "//localhost:8888"),
    ("[evil", "http://localhost:3000"),
    ("localhost.evil.example", "http://localhost:3000"),
    ("localhost@evil.example", "http://localhost:3000"),
    ("", "http://localhost:3000"),
    ("", "http://"),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("host", "origin"), ALLOWED)
async def test_an_origin_of_ours_may_call_and_read(host: str, origin: str) -> None:
    """It is named exactly once, never by a wildcard, and caches are told that it matters."""
    endpoint = Endpoint()
    answer = await ask(endpoint, headers={"Host": host, "Origin": origin}, settings=LISTED)
    assert (answer.status, endpoint.asked) == (200, 1)
    assert answer.header("Access-Control-Allow-Origin") == origin
    assert answer.header("Access-Control-Allow-Credentials") is None
    exposed = answer.header("Access-Control-Expose-Headers")
    assert exposed == "X-Run-Id, X-Resumable-Stream-Id, Retry-After"
    assert answer.header("Vary") == "Accept, Origin"


@pytest.mark.anyio
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize(("host", "origin"), REFUSED)
async def test_a_foreign_origin_is_refused_before_anything_runs(
    host: str, origin: str, method: str
) -> None:
    """Also where the browser would not have asked first, and never as a fault of ours."""
    endpoint = Endpoint()
    headers = {"Host": host, "Origin": origin, "Access-Control-Request-Method": "POST"}
    answer = await ask(endpoint, method, headers=headers, settings=LISTED)
    assert (answer.status, answer.json()["code"]) == (403, "forbidden")
    assert answer.header("Access-Control-Allow-Origin") is None
    assert answer.header("Vary") == "Accept, Origin"
    assert endpoint.asked == 0


@pytest.mark.anyio
async def test_the_host_a_proxy_was_called_by_counts_as_ours() -> None:
    """Behind Netlify, Host is the function's own."""
    forwarded = {
        "Host": "x.lambda-url.eu-west-1.on.aws",
        "X-Forwarded-Host": "site.example",
        "Origin": "https://site.example",
    }
    assert (await ask(Endpoint(), headers=forwarded)).status == 200
    twice = forwarded | {"X-Forwarded-Host": "site.example, edge.internal"}
    assert (await ask(Endpoint(), headers=twice)).status == 200
    assert (
        await ask(Endpoint(), headers=forwarded | {"Origin": "https://a.site.example"})
    ).status == 403


@pytest.mark.anyio
async def test_a_page_cannot_forward_itself_in() -> None:
    """The header that would let it in needs a preflight, which does not carry it."""
    asked = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "x-forwarded-host",
    }
    answer = await ask(Endpoint(), "OPTIONS", headers=asked)
    assert answer.status == 403
    allowed = await ask(Endpoint(), "OPTIONS", headers=asked | {"Origin": "http://localhost:1"})
    assert "forwarded" not in str(allowed.headers).lower()


@pytest.mark.anyio
async def test_a_star_admits_every_origin_by_name() -> None:
    """Also sandboxed pages, whose origin is `null`."""
    open_to_all = Settings(allowed_origins=("*",))
    for origin in ("https://evil.example", "null"):
        answer = await ask(Endpoint(), headers={"Origin": origin}, settings=open_to_all)
        assert answer.header("Access-Control-Allow-Origin") == origin


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/api/thing", "/.netlify/functions/thing"])
async def test_a_preflight_is_answered_without_asking_anybody(path: str) -> None:
    """204, and what a client of ours may send."""
    endpoint = Endpoint()
    headers = {
        "Origin": "https://app.example.com",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,last-event-id",
    }
    answer = await ask(endpoint, "OPTIONS", path, headers=headers, settings=LISTED)
    assert (answer.status, answer.body, endpoint.asked) == (204, b"", 0)
    assert answer.header("Access-Control-Allow-Origin") == "https://app.example.com"
    assert answer.header("Access-Control-Allow-Methods") == "GET, POST, DELETE, OPTIONS"
    allowed = (answer.header("Access-Control-Allow-Headers") or "").lower().split(", ")
    assert {"content-type", "last-event-id", "idempotency-key", "authorization"} <= set(allowed)
    assert answer.header("Vary") == "Accept, Origin"


@pytest.mark.anyio
async def test_an_image_on_another_site_starts_nothing() -> None:
    """It sends no Origin; only the browser's own word tells it from curl."""
    endpoint = Endpoint()
    answer = await ask(endpoint, headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status, endpoint.asked) == (403, 0)
    for site in ("same-origin", "same-site", "none"):
        assert (await ask(endpoint, headers={"Sec-Fetch-Site": site})).status == 200


@pytest.mark.anyio
async def test_without_an_origin_nothing_is_said_of_origins() -> None:
    """curl and servers have none."""
    answer = await ask(Endpoint())
    assert not [name for name, _ in answer.headers if name.startswith("access-control")]


@pytest.mark.anyio
async def test_an_endpoint_that_speaks_of_origins_is_not_doubled() -> None:
    """Two headers of one name make a browser refuse both."""

    async def chatty(_request: Request) -> Response:
        return Response(headers={"Access-Control-Allow-Origin": "*", "Vary": "Cookie"})

    app = http_app({"/thing": {"GET": chatty}}, Settings())
    answer = await call(app, "/api/thing", headers={"Origin": "http://localhost:1"})
    assert answer.header("Access-Control-Allow-Origin") == "http://localhost:1"
    assert answer.header("Vary") == "Accept, Origin"


SHARED = Settings(gateway_secrets=("of this week", "schlüssel"))


@pytest.mark.anyio
@pytest.mark.parametrize("secret", SHARED.gateway_secrets)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_gateway_is_let_in_with_either_secret(secret: str, method: str) -> None:
    """Two of them are accepted while the gateway changes from one to the other."""
    headers = {"X-Riverrun-Gateway": secret.encode().decode("latin-1")}
    assert (await ask(Endpoint(), method, headers=headers, settings=SHARED)).status == 200


@pytest.mark.anyio
@pytest.mark.parametrize("secret", [None, "", "of this week ", "of this", "schl\xfcssel", "\xff"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD"])
async def test_only_the_gateway_is_admitted_where_there_is_a_secret(
    secret: str | None, method: str
) -> None:
    """Before anything runs, preflights included; the challenge tells the gateway it is meant."""
    endpoint = Endpoint()
    headers = {} if secret is None else {"X-Riverrun-Gateway": secret}
    headers["Origin"] = "http://localhost:8888"
    answer = await ask(endpoint, method, headers=headers, settings=SHARED)
    assert (answer.status, answer.json()["code"]) == (401, "unauthorized")
    assert answer.header("WWW-Authenticate") == "Gateway"
    assert endpoint.asked == 0
