"""One application, four hosts: our stream, our buffered mode, Mangum, uvicorn.

Each row is a response or a misuse of ASGI; a client must not be able to tell the hosts apart.
"""

import gzip
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from tests.services.lambda_runtime.harness import http, run_runtime
from tests.services.lambda_runtime.servers import (
    fetch,
    uvicorn,
    view_mangum,
    view_result,
    view_stream,
)

pytestmark = pytest.mark.anyio

Pairs = list[tuple[bytes, bytes]]
TEXT: Pairs = [(b"content-type", b"text/plain; charset=utf-8")]
BINARY: Pairs = [(b"content-type", b"application/octet-stream")]
EVENTS: Pairs = [(b"content-type", b"text/event-stream")]


@dataclass
class Row:
    """A response as ASGI messages."""

    status: int = 200
    headers: Pairs = field(default_factory=lambda: list(TEXT))
    frames: tuple[bytes, ...] = (b"hello",)
    method: str = "GET"
    open_end: bool = False  # the last frame says more_body, and an empty one follows

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        await receive()
        start = {"type": "http.response.start", "status": self.status, "headers": self.headers}
        await send(start)
        for index, frame in enumerate(self.frames):
            more = self.open_end or index + 1 < len(self.frames)
            await send({"type": "http.response.body", "body": frame, "more_body": more})
        if self.open_end or not self.frames:
            await send({"type": "http.response.body"})


def with_headers(*pairs: tuple[bytes, bytes], **more: Any) -> Row:
    return Row(headers=[*TEXT, *pairs], **more)


ROWS = {
    "a text": Row(),
    "two frames": Row(frames=(b"hel", b"lo")),
    "an open end": Row(frames=(b"hel", b"lo"), open_end=True),
    "an empty frame first": Row(frames=(b"", b"hello")),
    "an empty frame between": Row(frames=(b"hel", b"", b"lo")),
    "an empty frame last": Row(frames=(b"hello", b"")),
    "many small frames": Row(frames=tuple(b"%d," % n for n in range(500))),
    "a large frame": Row(frames=(b"x" * 300_000,)),
    "large frames": Row(frames=(b"x" * 70_000, b"y" * 70_000, b"z" * 70_000)),
    "an event stream": Row(headers=EVENTS, frames=(b"data: 1\n\n", b"data: 2\n\n"), open_end=True),
    "an empty event stream": Row(headers=EVENTS, frames=()),
    "an empty body": Row(frames=(b"",)),
    "no body at all": Row(frames=()),
    "no headers, no body": Row(headers=[], frames=(b"",)),
    "no content type": Row(headers=[(b"x-a", b"1")], frames=(b"",)),
    "an empty body, declared": with_headers((b"content-length", b"0"), frames=(b"",)),
    "a declared length": with_headers((b"content-length", b"5")),
    "a declared length in two frames": with_headers(
        (b"content-length", b"5"), frames=(b"he", b"llo")
    ),
    "201 with location": with_headers((b"location", b"/things/1"), status=201),
    "202": Row(status=202),
    "204": Row(status=204, headers=[], frames=()),
    "204 with headers": Row(status=204, headers=[(b"x-a", b"1")], frames=(b"",)),
    "206": with_headers((b"content-range", b"bytes 0-4/10"), status=206),
    "301": Row(status=301, headers=[(b"location", b"https://e.org/?a=1&b=%20")], frames=()),
    "302 with a body": with_headers((b"location", b"/x"), status=302, frames=(b"moved",)),
    "303": Row(status=303, headers=[(b"location", b"/x")], frames=(b"",)),
    "304": Row(status=304, headers=[(b"etag", b'"a"')], frames=()),
    "307 with no frames": Row(status=307, headers=[(b"location", b"/x")], frames=()),
    "400": Row(status=400),
    "401 asks twice": with_headers(
        (b"www-authenticate", b"Basic"), (b"www-authenticate", b"Bearer"), status=401
    ),
    "404 with no body": Row(status=404, frames=()),
    "418": Row(status=418),
    "429 with retry-after": with_headers((b"retry-after", b"3"), status=429),
    "500 of the application": Row(status=500, frames=(b"ours",)),
    "503": Row(status=503),
    "HEAD": Row(method="HEAD"),
    "HEAD with a length": with_headers((b"content-length", b"5"), method="HEAD", frames=(b"",)),
    "HEAD of a stream": Row(method="HEAD", headers=EVENTS, frames=(b"a", b"b"), open_end=True),
    "HEAD with 404": Row(method="HEAD", status=404, frames=()),
    "OPTIONS": Row(method="OPTIONS", status=204, headers=[(b"allow", b"GET, POST")], frames=()),
    "DELETE": Row(method="DELETE", status=204, headers=[], frames=()),
    "PATCH": Row(method="PATCH"),
    "one cookie": with_headers((b"set-cookie", b"a=1; Path=/; HttpOnly")),
    "three cookies": with_headers(*((b"set-cookie", b"c%d=1" % n) for n in range(3))),
    "a cookie with a comma": with_headers(
        (b"set-cookie", b"a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT")
    ),
    "cookies and no body": Row(status=204, headers=[(b"set-cookie", b"a=1")], frames=()),
    "binary": Row(headers=BINARY, frames=(bytes(range(256)),)),
    "binary with NULs": Row(headers=BINARY, frames=(b"a" + bytes(8) + b"b",)),
    "a body of eight NULs": Row(headers=BINARY, frames=(bytes(8),)),
    "a body that looks like a prelude": Row(
        headers=BINARY, frames=(b'{"statusCode":500}' + bytes(8),)
    ),
    "a body that looks like chunks": Row(frames=(b"0\r\n\r\n", b"5\r\nhello\r\n")),
    "UTF-8": Row(frames=("grüße, 世界 🌍".encode(),)),
    "UTF-8 cut in a character": Row(frames=("é".encode()[:1], "é".encode()[1:])),
    "text that is not UTF-8": Row(frames=(b"\xff\xfe",)),
    "json": Row(headers=[(b"content-type", b"application/json")], frames=(b'{"a":1}',)),
    "header names in mixed case": Row(headers=[(b"Content-Type", b"text/plain"), (b"X-Ab", b"1")]),
    "a repeated header": with_headers((b"x-a", b"1"), (b"x-a", b"2")),
    "repeated in two cases": with_headers((b"x-a", b"1"), (b"X-A", b"2")),
    "a repeated vary": with_headers((b"vary", b"accept"), (b"vary", b"origin")),
    "an empty value": with_headers((b"x-empty", b"")),
    "a value with commas": with_headers((b"link", b'</a>; rel="next", </b>; rel="prev"')),
    "a value of 8 KiB": with_headers((b"x-long", b"v" * 8000)),
    "a latin-1 value": with_headers((b"x-name", "Zoë".encode("latin-1"))),
    "a value with quotes": with_headers((b"etag", b'W/"a\\b"')),
    "a value with tabs": with_headers((b"x-tab", b"a\tb")),
    "a hundred headers": with_headers(*((b"x-%d" % n, b"v") for n in range(100))),
    "every punctuation a name may hold": with_headers((b"x-!#$%&'*+.^_`|~9", b"v")),
    "a gzip body": with_headers(
        (b"content-encoding", b"gzip"), frames=(gzip.compress(b"squeezed", mtime=0),)
    ),
    "a deflate body": with_headers(
        (b"content-encoding", b"deflate"), frames=(zlib.compress(b"squeezed"),)
    ),
    "a raw deflate body in single bytes": with_headers(
        (b"content-encoding", b"deflate"),
        frames=tuple(zlib.compress(b"squeezed")[2:-4][n : n + 1] for n in range(10)),
    ),
    "a gzip body in two frames": with_headers(
        (b"content-encoding", b"gzip"),
        frames=(gzip.compress(b"squeezed", mtime=0)[:9], gzip.compress(b"squeezed", mtime=0)[9:]),
    ),
    "an unknown content coding": with_headers((b"content-encoding", b"br"), frames=(b"\x0b\x02",)),
}


async def everywhere(app: Callable[..., Any], method: str = "GET", path: str = "/x") -> list[Any]:
    """The same request to the four hosts; uvicorn's answer comes first."""
    payload = http(path, method=method, headers={"x-forwarded-proto": "http"})
    host = payload["headers"]["host"]
    request = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    async with uvicorn(app) as port:
        results = [await fetch(port, request, method)]
    async with run_runtime(app) as streaming:
        results.append(view_stream(await streaming.invoke(payload)))
    async with run_runtime(app, mode="buffered") as buffered:
        results.append(view_result((await buffered.invoke(payload)).json))
    results.append(await view_mangum(app, payload))
    return results


def bodiless(row: Row) -> bool:
    """Fronts drop these bodies; Mangum hands them over."""
    return row.method == "HEAD" or row.status in {204, 304}


@pytest.mark.parametrize("name", ROWS)
async def test_a_response_is_the_same_from_every_host(name: str) -> None:
    """Status, headers, cookies and body do not tell which host it was."""
    row = ROWS[name]
    reference, *others = await everywhere(row, row.method)
    assert reference.status == row.status
    for other in others[:2]:
        assert other == reference
    if not bodiless(row):
        assert others[2] == reference


@pytest.mark.parametrize("shape", ["rest", "alb", "alb with repeated headers"])
@pytest.mark.parametrize("name", ["three cookies", "a repeated header", "binary", "204"])
async def test_other_fronts_get_the_same_response(name: str, shape: str) -> None:
    """REST APIs and load balancers read other result objects; their clients see no difference."""
    row = ROWS[name]
    context: dict[str, Any] = {"elb": {}} if shape.startswith("alb") else {"stage": "prod"}
    payload: dict[str, Any] = {
        "resource": "/{proxy+}",
        "httpMethod": row.method,
        "path": "/x",
        "headers": {"host": "e.org"},
        "requestContext": context,
    }
    if shape == "alb with repeated headers":
        payload["multiValueHeaders"] = {"host": ["e.org"]}
    async with uvicorn(row) as port:
        request = f"{row.method} /x HTTP/1.1\r\nHost: e.org\r\n\r\n".encode()
        reference = await fetch(port, request, row.method)
    async with run_runtime(row, mode="buffered") as buffered:
        result = (await buffered.invoke(payload)).json
    # A load balancer without repeated headers gets one spelling per value.
    assert view_result(result) == reference
    assert await view_mangum(row, payload) == reference
    if shape == "rest":
        async with run_runtime(row) as streaming:
            assert view_stream(await streaming.invoke(payload)) == reference


async def raises_first(scope: Any, receive: Any, send: Any) -> None:
    raise ValueError("secret")


async def raises_after_start(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": TEXT})
    raise ValueError("secret")


async def raises_after_a_frame(scope: Any, receive: Any, send: Any) -> None:
    await raises_later(send)
    raise ValueError("secret")


async def raises_later(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": TEXT})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})


async def raises_after_the_end(scope: Any, receive: Any, send: Any) -> None:
    await Row()(scope, receive, send)
    raise ValueError("secret")


async def return_nothing(scope: Any, receive: Any, send: Any) -> None:
    await receive()


async def returns_after_start(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": TEXT})


async def returns_after_a_frame(scope: Any, receive: Any, send: Any) -> None:
    await raises_later(send)


async def exits(scope: Any, receive: Any, send: Any) -> None:
    raise SystemExit(3)


async def body_before_start(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.body", "body": b"x"})


async def an_unknown_message(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.surprise"})


@pytest.mark.parametrize(
    "app",
    [raises_first, return_nothing, body_before_start, an_unknown_message],
)
async def test_a_failure_before_the_start_is_a_500_from_every_host(app: Any) -> None:
    """Phase 1: a real HTTP status, and not a word of the exception."""
    reference, *others = await everywhere(app)
    assert reference.status == 500
    for other in others:
        assert (other.status, other.body) == (500, b"Internal Server Error")
        assert dict(other.headers)["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    "app",
    [raises_after_start, raises_after_a_frame, returns_after_start, returns_after_a_frame],
)
async def test_a_failure_in_the_body_never_looks_whole(app: Any) -> None:
    """Phase 2: uvicorn cuts the body, our stream says so in trailers, buffered is a 500."""
    reference, streamed, *buffered = await everywhere(app)
    assert not reference.whole
    assert not streamed.whole
    assert (streamed.status, streamed.headers) == (200, reference.headers)
    assert streamed.body == reference.body
    assert len(buffered) == 2
    for other in buffered:
        assert (other.status, other.body) == (500, b"Internal Server Error")


async def test_a_failure_after_the_end_is_only_logged() -> None:
    """Phase 3: the response was complete, so it stays so."""
    reference, *others = await everywhere(raises_after_the_end)
    assert [reference] * 3 == others
    assert reference.whole


async def test_an_application_cannot_end_the_process() -> None:
    """sys.exit is a failure like any other."""
    async with run_runtime(exits) as h:
        first = await h.invoke(http())
        second = await h.invoke(http())
    assert first.prelude["statusCode"] == second.prelude["statusCode"] == 500


Steps = Callable[[Any, Any], Awaitable[None]]


async def start_twice(send: Any, receive: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def body_after_end(send: Any, receive: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})
    await send({"type": "http.response.body", "body": b"y"})


async def start_after_end(send: Any, receive: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def body_first(send: Any, receive: Any) -> None:
    await send({"type": "http.response.body", "body": b"x"})


async def surprise_in_body(send: Any, receive: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.surprise"})


async def websocket_message(send: Any, receive: Any) -> None:
    await send({"type": "websocket.accept"})


@pytest.mark.parametrize(
    "steps",
    [start_twice, body_after_end, start_after_end, body_first, surprise_in_body, websocket_message],
)
async def test_misuse_raises_what_it_raises_under_uvicorn(steps: Steps) -> None:
    """Messages out of order are a RuntimeError in the application, everywhere."""
    raised: list[type[BaseException]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        try:
            await steps(send, receive)
        except Exception as error:
            raised.append(type(error))
            raise

    await everywhere(app)
    assert len(raised) == 4
    assert all(issubclass(kind, RuntimeError) for kind in raised[:3])


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, [(b"x-a", b"a\r\nx-b: 1")]),
        (200, [(b"x-a", b"a\nb")]),
        (200, [(b"x-a", b"a\0b")]),
        (200, [(b"x a", b"1")]),
        (200, [(b"x:a", b"1")]),
        (200, [(b"", b"1")]),
        (200, [("x-a", "Ω")]),
        (200, [(b"x-a",)]),
        (200, [(b"x-a", 1)]),
        (200, [(b"set-cookie", b"a=1\r\nb: 2")]),
        (200, [(b"set-cookie", b"c%03d=" % n + b"v" * 100) for n in range(200)]),
        (200, [(b"x-long", b"v" * 32_768)]),
        (99, []),
        (101, []),
        (600, []),
        (None, []),
        ("ok", []),
    ],
)
async def test_what_no_header_may_hold_is_refused_before_the_first_byte(
    status: Any, headers: Any
) -> None:
    """The application is told, and the caller gets a 500 without a trace of it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"x"})

    async with run_runtime(app) as h:
        call = await h.invoke(http())
    assert call.prelude["statusCode"] == 500
    assert call.content == b"Internal Server Error"
    assert set(call.prelude["headers"]) == {"content-type"}


@pytest.mark.parametrize("body", ["text", None, 5, ["x"]])
async def test_a_body_that_is_not_bytes_is_misuse(body: Any) -> None:
    """Text has no encoding here; the application must choose one."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body, "more_body": True})

    async with run_runtime(app) as h:
        call = await h.invoke(http())
    assert call.trailers


@pytest.mark.parametrize("frame", [bytearray(b"hello"), memoryview(b"hello")])
async def test_bytes_like_bodies_are_taken_as_they_are_now(frame: Any) -> None:
    """A buffer the application uses again does not change what was sent."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first ", "more_body": True})
        await send({"type": "http.response.body", "body": frame, "more_body": True})
        if isinstance(frame, bytearray):
            frame[:] = b"wrong"
        await send({"type": "http.response.body", "body": b""})

    async with run_runtime(app) as h:
        call = await h.invoke(http())
    assert call.content == b"first hello"


@pytest.mark.parametrize(("declared", "frames"), [(5, [b"four"]), (5, [b"sixsix"]), (5, [])])
async def test_a_body_that_breaks_its_content_length_is_broken(
    declared: int, frames: list[bytes]
) -> None:
    """The length is not on the wire here, so the host has to hold the application to it."""
    row = Row(headers=[(b"content-length", b"%d" % declared)], frames=tuple(frames))
    async with run_runtime(row) as h:
        call = await h.invoke(http())
    assert call.trailers


def test_file(request: Request) -> FileResponse:
    return FileResponse(__file__)


test_file.__test__ = False  # type: ignore[attr-defined] # a route, not a test


async def stream_ticks(request: Request) -> StreamingResponse:
    async def parts() -> Any:
        for n in range(50):
            yield f"part {n}\n"

    return StreamingResponse(parts(), media_type="text/plain")


STARLETTE = GZipMiddleware(
    Starlette(
        routes=[
            Route("/json", lambda _: JSONResponse({"a": "ü"})),
            Route("/text", lambda _: PlainTextResponse("hello")),
            Route("/redirect", lambda _: RedirectResponse("/text")),
            Route("/empty", lambda _: Response(status_code=204)),
            Route("/file", test_file),
            Route("/stream", stream_ticks),
        ]
    ),
    minimum_size=10,
)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    "path", ["/json", "/text", "/redirect", "/empty", "/file", "/stream", "/missing", "/json/"]
)
async def test_a_starlette_application_is_the_same_from_every_host(path: str, method: str) -> None:
    """Files, streams, redirects, 404 and 405, through middleware."""
    reference, *others = await everywhere(STARLETTE, method, path)
    assert others[:2] == [reference] * 2
    if method != "HEAD":
        assert others[2] == reference


@pytest.mark.anyio
async def test_a_head_says_the_length_that_a_get_would_have() -> None:
    """The application's own word; without one, that nothing follows."""

    async def say(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        declared = [(b"content-length", b"5")] if scope["path"] == "/declared" else []
        await send({"type": "http.response.start", "status": 200, "headers": declared})
        await send({"type": "http.response.body", "body": b""})

    async with run_runtime(say) as h:
        for path, length in [("/declared", "5"), ("/", "0")]:
            call = await h.invoke(http(path, method="HEAD"))
            assert call.prelude["headers"]["content-length"] == length


@pytest.mark.anyio
async def test_a_base_path_is_no_part_of_the_routes() -> None:
    """A custom domain puts it in front; it joins the stage in `root_path`."""
    app = Starlette(routes=[Route("/inner", lambda r: PlainTextResponse(str(r.url)))])
    async with run_runtime(app, base_path="/v1") as h:
        assert (await h.invoke(http("/v1/inner"))).content.endswith(b"/v1/inner")
        assert (await h.invoke(http("/inner"))).prelude["statusCode"] == 200
        assert (await h.invoke(http("/v1beta/inner"))).prelude["statusCode"] == 404
