"""A stream, from the application's `send` to the bytes Lambda reads. Order is proved, not timed."""

import asyncio
import base64
import json
import zlib
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse
from starlette.routing import Route

from services.lambda_runtime import asgi, export_handler
from services.lambda_runtime.invocation import current
from tests.services.lambda_runtime.harness import http, run_runtime
from tests.services.lambda_runtime.runtime_api import Step, invocation

pytestmark = pytest.mark.anyio

EVENTS = [(b"content-type", b"text/event-stream")]


async def start(send: Any, headers: Any = EVENTS, status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def frame(send: Any, data: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})


def http_only(scope: Any) -> None:
    if scope["type"] != "http":
        raise NotImplementedError


async def test_every_frame_is_read_before_the_next_is_released() -> None:
    """The reader holds the key to each next frame; buffering anywhere would stop this test."""
    release = asyncio.Semaphore(0)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        http_only(scope)
        await start(send)
        for n in range(20):
            await release.acquire()
            await frame(send, b"data: %d\n\n" % n)
        await release.acquire()
        await frame(send, b"", more=False)

    async with run_runtime(app) as h:
        h.api.waiting.put_nowait(invocation(http()))
        call = await h.api.call("/response", complete=False)
        await h.api.until(lambda: bytes(call.body).endswith(b"\0" * 8))
        for n in range(20):
            release.release()
            await h.api.until(lambda n=n: call.content.endswith(b"data: %d\n\n" % n))
            assert not call.complete
        release.release()
        await h.api.until(lambda: call.complete)


async def test_the_prelude_leaves_by_itself() -> None:
    """As a chunk of its own, even when the body follows at once; frames in one turn are joined."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        http_only(scope)
        await start(send)
        for n in range(100):
            await frame(send, b"data: %d\n\n" % n)
        await frame(send, b"", more=False)

    async with run_runtime(app) as h:
        call = await h.invoke(http())
    prelude, *body = call.pieces
    assert prelude.endswith(b"\0" * 8)
    assert len(body) <= 2
    assert b"".join(body) == b"".join(b"data: %d\n\n" % n for n in range(100))


async def test_a_start_alone_is_sent() -> None:
    """Headers reach the caller while the first frame is still being thought about."""
    release = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        http_only(scope)
        await start(send)
        await release.wait()
        await frame(send, b"x", more=False)

    async with run_runtime(app) as h:
        h.api.waiting.put_nowait(invocation(http()))
        call = await h.api.call("/response", complete=False)
        await h.api.until(lambda: bytes(call.body).endswith(b"\0" * 8))
        release.set()
        await h.api.until(lambda: call.complete)
    assert call.content == b"x"


@pytest.mark.parametrize("status", [200, 204, 302, 304, 404])
async def test_an_empty_body_says_so_and_ends_at_once(status: int) -> None:
    """content-length: 0 in the prelude, then the last chunk: nothing for a front to wait for."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        http_only(scope)
        await start(send, [], status)
        await frame(send, b"", more=False)

    async with run_runtime(app) as h:
        call = await h.invoke(http())
    assert call.prelude == {
        "statusCode": status,
        "headers": {"content-length": "0"},
        "cookies": [],
    }
    assert call.raw.endswith(b"\0\r\n0\r\n\r\n")


async def test_hop_by_hop_headers_stay_here() -> None:
    """The viewer's side may be HTTP/2, where they are illegal."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        http_only(scope)
        names = [b"Connection", b"keep-alive", b"TE", b"trailer", b"Transfer-Encoding", b"upgrade"]
        names += [b"proxy-connection", b"proxy-authenticate", b"Content-Length"]
        await start(send, [(name, b"1") for name in names] + [(b"x-a", b"1")])
        await frame(send, b"x", more=False)

    async with run_runtime(app) as h:
        call = await h.invoke(http())
    assert call.prelude["headers"] == {"x-a": "1"}


async def test_repeated_headers_are_listed_where_the_front_knows_lists() -> None:
    """REST APIs read multiValueHeaders; Function URLs do not."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        http_only(scope)
        await start(send, [(b"x-a", b"1"), (b"x-a", b"2"), (b"x-b", b"3"), (b"set-cookie", b"c=1")])
        await frame(send, b"x", more=False)

    rest = {"resource": "/", "path": "/", "httpMethod": "GET", "requestContext": {}}
    async with run_runtime(app) as h:
        by_url = await h.invoke(http())
        by_rest = await h.invoke(rest)
    assert by_url.prelude["headers"] == {"x-a": "1, 2", "x-b": "3"}
    assert by_rest.prelude == {
        "statusCode": 200,
        "headers": {"x-b": "3"},
        "multiValueHeaders": {"x-a": ["1", "2"]},
        "cookies": ["c=1"],
    }


@pytest.mark.parametrize("frames", [0, 1, 17])
async def test_a_failure_in_the_stream_ends_with_trailers(
    frames: int, caplog: pytest.LogCaptureFixture
) -> None:
    """And an event stream with one last event; the exception itself is only in the log."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        http_only(scope)
        await start(send)
        for n in range(frames):
            await frame(send, b"data: %d\n\n" % n)
        raise ValueError("the secret")

    async with run_runtime(app) as h:
        call = await h.invoke(http())
        again = await h.invoke(http())
    assert call.trailers["lambda-runtime-function-error-type"] == "Runtime.StreamError"
    error = json.loads(base64.b64decode(call.trailers["lambda-runtime-function-error-body"]))
    assert error["errorType"] == "Runtime.StreamError"
    events = call.content.split(b"\n\n")
    assert events[:frames] == [b"data: %d" % n for n in range(frames)]
    last = json.loads(events[frames].removeprefix(b"data: "))
    assert (last["type"], last["code"], type(last["error"])) == ("error", "internal", str)
    assert b"secret" not in call.raw
    assert b"secret" not in base64.b64decode(call.trailers["lambda-runtime-function-error-body"])
    assert "the secret" in caplog.text
    assert again.content == call.content


@pytest.mark.parametrize(
    "half", [b"data: 1\n\ndata: ha", b"data: 1\n", b"data: 1\n\n: ping\ndata: 2\n"]
)
async def test_a_broken_event_is_left_broken(half: bytes) -> None:
    """Writing behind half an event would make it a whole one with a lie in it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        http_only(scope)
        await start(send)
        await frame(send, half)
        raise ValueError

    async with run_runtime(app) as h:
        call = await h.invoke(http())
    assert call.content == half
    assert call.trailers


@pytest.mark.parametrize("tail", [b"data: 1\n\n", b"data: 1\r\n\r\n", b": ping\n"])
async def test_a_last_event_follows_whole_events_and_pings(tail: bytes) -> None:
    """Where a line of its own can begin."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        http_only(scope)
        await start(send)
        await frame(send, tail)
        raise ValueError

    async with run_runtime(app) as h:
        call = await h.invoke(http())
    assert call.content.startswith(tail + b'data: {"type": "error"')
    assert call.content.endswith(b"}\n\n")


async def test_a_failure_before_the_start_has_a_status_and_trailers() -> None:
    """The HTTP caller gets a 500, and Lambda's metadata has the error."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        http_only(scope)
        raise ValueError("secret")

    async with run_runtime(app) as h:
        call = await h.invoke(http())
    assert call.path.endswith("/response")
    assert call.prelude["statusCode"] == 500
    assert call.content == b"Internal Server Error"
    assert call.trailers["lambda-runtime-function-error-type"] == "Runtime.StreamError"


async def test_a_slow_reader_slows_the_application() -> None:
    """What waits in this process stays small, however much the application has to say."""
    unread = asyncio.Event()
    sent = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        http_only(scope)
        await start(send)
        for _ in range(2000):
            await frame(send, b"x" * 65536)
            sent += 1
        await frame(send, b"", more=False)

    async with run_runtime(app) as h:
        h.api.script("/response", Step(unread=unread))
        h.api.waiting.put_nowait(invocation(http()))
        call = await h.api.call("/response", complete=False)
        before = -1
        while before != sent:
            before = sent
            for _ in range(200):
                await asyncio.sleep(0)
        assert 0 < sent < 400, "the kernel's buffers are full, and so is ours"
        unread.set()
        await h.api.until(lambda: call.complete)
    assert len(call.content) == 2000 * 65536


async def test_a_heartbeat_keeps_a_silent_event_stream_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A comment and one line feed, between events only, and never in other streams."""
    monkeypatch.setattr(asgi, "HEARTBEAT", 0.02)
    released = asyncio.Event()

    def app(first: bytes, kind: bytes) -> Any:
        async def run(scope: Any, receive: Any, send: Any) -> None:
            http_only(scope)
            await start(send, [(b"content-type", kind)])
            if first:
                await frame(send, first)
            await released.wait()
            await frame(send, b"data: 2\n\n", more=False)

        return run

    async with run_runtime(app(b"data: 1\n\n", b"text/event-stream")) as h:
        h.api.waiting.put_nowait(invocation(http()))
        call = await h.api.call("/response", complete=False)
        await h.api.until(lambda: call.content.count(b":\n") >= 3)
        released.set()
        await h.api.until(lambda: call.complete)
        assert call.content.replace(b":\n", b"") == b"data: 1\n\ndata: 2\n\n"
        assert b":\n\n" not in call.content
    async with run_runtime(app(b"", b"text/event-stream"), keep_alive=True) as h:
        await h.invoke(http())
        await asyncio.sleep(0.1)  # a heartbeat that goes on would be in the next request
        assert (await h.invoke(http())).content == b"data: 2\n\n"
        assert h.api.connections == 1
    for first, kind in [(b"data: ", b"text/event-stream"), (b"x\n\n", b"text/plain")]:
        released.clear()
        async with run_runtime(app(first, kind)) as h:
            h.api.waiting.put_nowait(invocation(http()))
            call = await h.api.call("/response", complete=False)
            await asyncio.sleep(0.1)
            released.set()
            await h.api.until(lambda call=call: call.complete)
        assert call.content == first + b"data: 2\n\n"


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"identity"])
async def test_a_compressed_stream_leaves_as_what_it_is(coding: bytes) -> None:
    """Frame by frame: what the application flushed is readable at once."""
    squeeze = zlib.compressobj(wbits=31 if coding == b"gzip" else 15)
    released = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        http_only(scope)
        await start(send, [(b"content-encoding", coding), (b"content-type", b"text/plain")])
        if coding == b"identity":
            await frame(send, b"one ")
            await released.wait()
            await frame(send, b"two", more=False)
            return
        await frame(send, squeeze.compress(b"one ") + squeeze.flush(zlib.Z_SYNC_FLUSH))
        await released.wait()
        await frame(send, squeeze.compress(b"two") + squeeze.flush(), more=False)

    async with run_runtime(app) as h:
        h.api.waiting.put_nowait(invocation(http()))
        call = await h.api.call("/response", complete=False)
        await h.api.until(lambda: call.content == b"one ")
        released.set()
        await h.api.until(lambda: call.complete)
    assert call.content == b"one two"
    assert call.prelude["headers"] == {"content-type": "text/plain"}


async def test_a_body_that_is_not_what_its_coding_says_is_broken() -> None:
    """The caller must not take it for whole."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        http_only(scope)
        await start(send, [(b"content-encoding", b"gzip")])
        await frame(send, b"not gzip", more=False)

    async with run_runtime(app) as h:
        call = await h.invoke(http())
    assert call.trailers


async def test_background_tasks_are_awaited_before_the_next_invocation() -> None:
    """The caller has the whole answer; the sandbox is not frozen over the rest."""
    order: list[str] = []
    released = asyncio.Event()

    async def later() -> None:
        await released.wait()
        order.append("background")

    def page(_request: Any) -> StreamingResponse:
        async def parts() -> Any:
            yield "x"

        return StreamingResponse(parts(), background=BackgroundTask(later))

    async with run_runtime(Starlette(routes=[Route("/", page)])) as h:
        h.api.waiting.put_nowait(invocation(http()))
        call = await h.api.call("/response")
        assert call.content == b"x"
        assert h.api.idle == 0
        released.set()
        await h.api.until(lambda: h.api.idle == 1)
    assert order == ["background"]


async def test_lifespan_runs_once_and_every_request_has_its_own_copy_of_the_state() -> None:
    """Startup before the first invocation, shutdown at the end."""
    said: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            scope["state"]["seen"] = 0
            assert (await receive())["type"] == "lifespan.startup"
            said.append("up")
            await send({"type": "lifespan.startup.complete"})
            assert (await receive())["type"] == "lifespan.shutdown"
            said.append("down")
            await send({"type": "lifespan.shutdown.complete"})
            return
        scope["state"]["seen"] += 1
        await start(send)
        await frame(send, b"%d" % scope["state"]["seen"], more=False)

    async with run_runtime(export_handler(app)) as h:
        answers = [(await h.invoke(http())).content for _ in range(3)]
    assert answers == [b"1", b"1", b"1"]
    assert said == ["up", "down"]


async def test_the_scope_says_whose_invocation_it_is() -> None:
    """Payload, context and deadline; and `current` for whatever has no scope."""
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        http_only(scope)
        seen.update(scope)
        seen["current"] = current.get()
        await start(send)
        await frame(send, b"", more=False)

    async with run_runtime(app) as h:
        await h.invoke(http("/there"), seconds=60)
    assert seen["aws.event"]["rawPath"] == "/there"
    assert seen["aws.context"].aws_request_id == "invocation-0" == seen["current"].id
    assert 55_000 < seen["aws.context"].get_remaining_time_in_millis() <= 60_000
    assert seen["riverrun.deadline"] == seen["current"].deadline
    assert current.get() is None


async def test_receive_waits_after_the_body_and_says_when_it_is_over() -> None:
    """One request message, then the disconnect that follows a complete response."""
    messages: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        http_only(scope)
        messages.append(await receive())
        waiting = asyncio.create_task(receive())
        await start(send)
        await frame(send, b"x")
        await asyncio.sleep(0)
        assert not waiting.done()
        await frame(send, b"", more=False)
        messages.extend([await waiting, await receive()])

    async with run_runtime(app) as h:
        await h.invoke(http(method="POST", body="hello"))
    assert messages == [
        {"type": "http.request", "body": b"hello", "more_body": False},
        {"type": "http.disconnect"},
        {"type": "http.disconnect"},
    ]


async def test_two_tasks_may_send() -> None:
    """Each frame stays whole, whichever task sends it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        http_only(scope)
        await start(send)

        async def say(word: bytes) -> None:
            for _ in range(200):
                await frame(send, word * 700)

        await asyncio.gather(say(b"a"), say(b"b"))
        await frame(send, b"", more=False)

    async with run_runtime(app) as h:
        call = await h.invoke(http())
    body = call.content
    assert len(body) == 400 * 700
    assert all(len(set(body[at : at + 700])) == 1 for at in range(0, len(body), 700))


@pytest.mark.parametrize("keep_alive", [False, True])
async def test_a_streamed_answer_has_a_connection_of_its_own_unless_told_otherwise(
    keep_alive: bool,
) -> None:
    """AWS asks for the connection to be closed after a stream; keeping it is an option."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        http_only(scope)
        await start(send)
        await frame(send, b"x", more=False)

    async with run_runtime(app, keep_alive=keep_alive) as h:
        calls = [await h.invoke(http()) for _ in range(3)]
        await h.api.until(lambda: h.api.open_connections == 1)
    numbers = {call.connection for call in calls}
    assert numbers == ({0} if keep_alive else {1, 2, 3})


async def test_the_attempt_is_echoed_exactly_when_it_was_named() -> None:
    """On streamed and buffered answers and on errors."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        http_only(scope)
        await start(send)
        await frame(send, b"x", more=False)

    named = [("Lambda-Runtime-Invocation-Id", "att/empt=1")]
    for mode in ("response_stream", "buffered"):
        async with run_runtime(app, mode=mode) as h:
            assert (await h.invoke(http())).header("Lambda-Runtime-Invocation-Id") is None
            call = await h.invoke(http(), more=named)
            assert call.header("Lambda-Runtime-Invocation-Id") == "att/empt=1"
            call = await h.invoke(b"not json", more=named)
            assert call.path.endswith("/error")
            assert call.header("Lambda-Runtime-Invocation-Id") == "att/empt=1"


async def test_what_an_invocation_sets_in_its_context_stays_there() -> None:
    """Context variables are not carried into the next invocation."""
    import contextvars

    user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="none")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        http_only(scope)
        found = user.get()
        user.set("alice")
        await start(send)
        await frame(send, found.encode(), more=False)

    async with run_runtime(app) as h:
        assert [(await h.invoke(http())).content for _ in range(2)] == [b"none"] * 2
