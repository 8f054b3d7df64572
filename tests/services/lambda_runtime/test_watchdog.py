"""Deadlines that the event loop cannot keep, and invocations that come without time."""

import asyncio
import hashlib
import json
import threading
import time
from queue import SimpleQueue
from typing import Any

import pytest

from services.lambda_runtime.client import RuntimeAPI
from services.lambda_runtime.delivery import RuntimeConfig
from services.lambda_runtime.environment import Environment
from services.lambda_runtime.loader import recognise
from services.lambda_runtime.loop import Runtime
from services.lambda_runtime.threads import InvocationThreads
from services.lambda_runtime.watchdog import Watchdog
from tests.connections import accept_connections
from tests.services.lambda_runtime.harness import http, run_runtime
from tests.services.lambda_runtime.runtime_api import invocation

pytestmark = pytest.mark.anyio
REST = {"httpMethod": "GET", "path": "/", "requestContext": {"identity": {}}}


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def compute(seconds: float) -> None:
    """In C, without the interpreter's lock."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        hashlib.pbkdf2_hmac("sha256", b"", b"", 200_000)


def spin(seconds: float) -> None:
    """In Python, with it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def app_of(block: Any, *, first: bytes | None = None, seconds: float = 2.7) -> Any:
    """An application that blocks its loop beyond the deadline, and then answers all the same."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        headers = [(b"content-type", b"text/event-stream")]
        start = {"type": "http.response.start", "status": 200, "headers": headers}
        if first is not None:
            await send(start)
            await send({"type": "http.response.body", "body": first, "more_body": True})
            await asyncio.sleep(0.05)
        block(seconds)
        if first is None:
            await send(start)
        await send({"type": "http.response.body", "body": b"data: late\n\n"})

    return app


class WaitingClock:
    """A wall clock that stands until it is told: how late a machine begins is not looked at."""

    def __init__(self) -> None:
        self.stand()

    def __call__(self) -> float:
        return self._now + (time.monotonic() - self._since if self._since else 0.0)

    def stand(self) -> None:
        """Stand at the time that it is."""
        self._now, self._since = time.time(), 0.0

    def go_on(self) -> None:
        """Go on from where it stands."""
        self._since = time.monotonic()


class Elsewhere:
    """A Runtime API in a thread of its own: the runtime's loop is the one that is blocked."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.stop: asyncio.Event | None = None
        self.seen: list[tuple[str, bytes, float]] = []
        self.port = 0
        self._pending: SimpleQueue[tuple[dict[str, str], bytes]] = SimpleQueue()
        self._answered = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()))
        self._thread.start()
        assert self.ready.wait(60)

    async def _live(self) -> None:
        self.stop = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        async with accept_connections(self._serve) as self.port:
            self.ready.set()
            await self.stop.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line = head.split(b"\r\n")[0].decode()
                if line.startswith("GET"):
                    headers, body = await asyncio.to_thread(self._pending.get)
                    if not headers:
                        return
                    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                    answer = f"HTTP/1.1 200 OK\r\n{fields}Content-Length: {len(body)}\r\n\r\n"
                    writer.write(answer.encode() + body)
                    continue
                if b"chunked" in head:
                    body = await reader.readuntil(b"\r\n0\r\n")
                    while (trailer := await reader.readuntil(b"\r\n")) != b"\r\n":
                        body += trailer
                else:
                    size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                    body = await reader.readexactly(size)
                self.seen.append((line, body, time.time()))
                self._answered.set()
                writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def deliver(self, payload: Any, seconds: float) -> float:
        """The next invocation; gives its deadline."""
        deadline = time.time() + seconds
        headers = {
            "Lambda-Runtime-Aws-Request-Id": f"id-{len(self.seen)}",
            "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)),
        }
        self._pending.put((headers, json.dumps(payload).encode()))
        return deadline

    def wait_answer(self) -> bool:
        """Wait for the first post."""
        return self._answered.wait(60)

    def close(self) -> None:
        assert self.stop is not None
        self._pending.put(({}, b""))
        self.loop.call_soon_threadsafe(self.stop.set)
        self._thread.join(60)


async def block(app: Any, payload: Any, **options: Any) -> tuple[str, bytes, float]:
    """Run `app` on one invocation of 2.4 s: its only post, and how long before the deadline.

    Again where it came too late: a machine that gives this process no time is no fault of it.
    """
    for _ in range(2):
        found = await _block_once(app, payload, **options)
        if found[2] > 0:
            return found
    return await _block_once(app, payload, **options)


async def _block_once(app: Any, payload: Any, **options: Any) -> tuple[str, bytes, float]:
    api = Elsewhere()
    try:
        host = f"127.0.0.1:{api.port}"
        environment = Environment(api=host, handler="tests.handler", **options)
        config = RuntimeConfig(
            RuntimeAPI(host), recognise(app), environment, {}, InvocationThreads()
        )
        runtime = Runtime(config)
        deadline = api.deliver(payload, 2.4)
        task = asyncio.create_task(runtime.run())
        assert await asyncio.to_thread(api.wait_answer)
        await asyncio.sleep(max(0.0, deadline + 0.5 - time.time()))  # time for late bytes
        runtime.stop()
        await asyncio.wait({task}, timeout=60)
        assert len(api.seen) == 1, api.seen
        line, body, when = api.seen[0]
        return line, body, deadline - when
    finally:
        api.close()


@pytest.mark.parametrize("how", [sleep, compute, spin])
async def test_a_blocked_loop_is_ended_before_the_deadline(how: Any) -> None:
    """A 504 in time, with the trailers, and no late byte."""
    line, body, left = await block(app_of(how), http())
    assert line.startswith("POST /2018-06-01/runtime/invocation/id-0/response")
    assert b'"statusCode":504' in body
    assert b"Runtime.DeadlineReached" in body
    assert b"late" not in body
    assert left > 0


async def test_a_blocked_stream_ends_in_its_own_words() -> None:
    """After the first byte: the last event of the contract, and the trailers."""
    _, body, left = await block(app_of(sleep, first=b"data: 1\n\n"), http())
    assert b'"code": "deadline"' in body
    assert b"Runtime.DeadlineReached" in body
    assert b"late" not in body
    assert left > 0


async def test_a_blocked_buffered_answer_is_a_504() -> None:
    """As one whole answer."""
    _, body, left = await block(app_of(sleep), REST, invoke_mode="buffered")
    assert json.loads(body)["statusCode"] == 504
    assert left > 0


async def test_a_blocked_asynchronous_function_is_an_error() -> None:
    """It had nearly all its time."""

    async def function(event: Any, context: Any) -> Any:
        sleep(2.7)
        return "late"

    line, body, left = await block(function, {})
    assert line.startswith("POST /2018-06-01/runtime/invocation/id-0/error")
    assert json.loads(body)["errorType"] == "Runtime.DeadlineReached"
    assert -0.1 < left < 0.35


async def test_a_blocked_generator_function_ends_with_trailers() -> None:
    """What it yields later goes nowhere."""

    async def function(event: Any, context: Any) -> Any:
        yield b"first"
        await asyncio.sleep(0.05)
        sleep(2.7)
        yield b"late"

    _, body, left = await block(function, {})
    assert b"first" in body
    assert b"Runtime.DeadlineReached" in body
    assert b"late" not in body
    assert left > 0


async def test_a_loop_that_wakes_while_it_is_asked_again_writes_the_ending_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when the whole machine stood still: what is refused meanwhile costs no ending."""
    clock, held, answered = WaitingClock(), threading.Event(), threading.Event()
    asked: list[float] = []

    def answers(_self: Watchdog, seconds: float) -> bool:
        asked.append(seconds)
        if len(asked) == 2:
            held.set()
            return answered.wait(60)
        return len(asked) > 2

    monkeypatch.setattr(Watchdog, "_answers", answers)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        clock.go_on()
        assert held.wait(60)  # the loop is blocked until it is asked for the second time
        await send({"type": "http.response.body", "body": b"data: late\n\n"})

    async with run_runtime(app, clock=clock) as h:
        h.api.waiting.put_nowait(invocation(http(), request_id="one", seconds=0.8))
        call = await h.api.call("one/response")
        answered.set()
    assert b"late" not in call.content
    assert b'"code": "deadline"' in call.content
    assert call.trailers["lambda-runtime-function-error-type"] == "Runtime.DeadlineReached"


@pytest.mark.parametrize("seconds", [0.4, 0.0, -5.0, -800.0])
async def test_without_time_nothing_is_called(seconds: float) -> None:
    """A late retry or a wrong clock: the typed error at once."""
    called: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            called.append("app")

    def function(event: Any, context: Any) -> Any:
        called.append("function")

    async def generator(event: Any, context: Any) -> Any:
        called.append("generator")
        yield b"x"

    began = time.monotonic()
    async with run_runtime(app) as h:
        call = await h.invoke(http(), seconds=seconds)
        assert call.prelude["statusCode"] == 504
        assert call.trailers["lambda-runtime-function-error-type"] == "Runtime.DeadlineReached"
    for target in (function, generator):
        async with run_runtime(target) as h:
            call = await h.invoke({}, seconds=seconds)
            kind = call.header("Lambda-Runtime-Function-Error-Type")
            assert kind == "Runtime.DeadlineReached"
    assert called == []
    assert time.monotonic() - began < 30


async def test_a_loop_that_lives_keeps_its_own_deadlines() -> None:
    """The watchdog leaves them alone, also where the reader of the answer is slow."""
    clock = WaitingClock()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        clock.go_on()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(3600)

    async with run_runtime(app, clock=clock) as h:
        for name in ("one", "two", "three"):
            clock.stand()
            h.api.waiting.put_nowait(invocation(http(), request_id=name, seconds=0.8))
            call = await h.api.call(f"{name}/response")
            assert call.prelude["statusCode"] == 200
            assert call.trailers["lambda-runtime-function-error-type"] == "Runtime.DeadlineReached"
