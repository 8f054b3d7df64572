"""What goes wrong between the runtime and Lambda, and that the next invocation never notices."""

import asyncio
import gc
import logging
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from services.lambda_runtime import client, export_handler, invocation_handler
from services.lambda_runtime.client import RuntimeAPIError
from services.lambda_runtime.connection import Address, Connection
from services.lambda_runtime.invocation import current
from services.lambda_runtime.invocation_scope import InvocationScope
from services.lambda_runtime.loop import Runtime
from services.lambda_runtime.task_ledger import TaskLedger
from tests.services.lambda_runtime.harness import RunningRuntime, http, run_runtime, standing_clock
from tests.services.lambda_runtime.runtime_api import Invocation, Step, invocation, runtime_api

pytestmark = pytest.mark.anyio
DEADLINE = "Lambda-Runtime-Deadline-Ms"


class Talker:
    """An application with a generator that knows how it ended."""

    def __init__(self) -> None:
        self.closed = 0
        self.started = 0
        self.told = asyncio.Event()
        self.app = Starlette(routes=[Route("/", self.page), Route("/short", self.short)])

    async def words(self) -> Any:
        self.started += 1
        try:
            while True:
                yield b"data: word\n\n"
                await asyncio.sleep(0)
        finally:
            self.closed += 1

    # Not a sync endpoint: the thread that ran it would hold its response until its next job.
    async def page(self, _request: Any) -> StreamingResponse:
        return StreamingResponse(self.words(), media_type="text/event-stream")

    def short(self, _request: Any) -> StreamingResponse:
        async def parts() -> Any:
            yield b"short"

        return StreamingResponse(parts())


async def lose_preconnected(h: RunningRuntime) -> None:
    """End the connection that was opened ahead, so that the next stream opens its own."""
    await h.api.until(lambda: h.api.open_connections == 2)
    _end(h.api.writers[-1])
    await h.api.until(lambda: h.api.open_connections == 1)


async def works(h: RunningRuntime) -> None:
    """The next invocation is answered as if nothing had happened."""
    before = h.api.polls
    h.api.waiting.put_nowait(invocation(http("/short"), request_id=f"after-{before}"))
    await h.api.until(lambda: any(f"after-{before}/" in call.path for call in h.api.calls))
    call = next(call for call in h.api.calls if f"after-{before}/" in call.path)
    await h.api.until(lambda: call.complete)
    assert call.content == b"short"


async def wait_settled(h: RunningRuntime) -> None:
    await h.api.until(lambda: h.api.idle == 1 and h.api.waiting.empty())


@pytest.mark.parametrize("fault", ["reset", "close", "413", "403", "400", "410"])
async def test_a_lost_reader_ends_the_stream_and_its_generator(
    fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Reset, closed or refused in the middle: `finally` has run before GET /next."""
    talker = Talker()
    step = Step(after=2000, reset=fault == "reset", close=fault == "close")
    if fault.isdigit():
        step.status = int(fault)
        step.body = b'{"errorMessage":"m","errorType":"T"}\n'
    async with run_runtime(talker.app) as h:
        h.api.script("/response", step)
        with caplog.at_level(logging.INFO):
            h.api.waiting.put_nowait(invocation(http()))
            await h.api.until(lambda: len(h.api.calls) >= 2)
            await wait_settled(h)
        assert (talker.started, talker.closed) == (1, 1)
        await works(h)
    if fault.isdigit():
        logged = [record for record in caplog.records if f"({fault})" in record.getMessage()]
        assert len(logged) == 1


async def test_a_sync_generator_is_closed_too() -> None:
    """Starlette forgets it when the reader leaves; it ends when its thread lets go of it."""
    closed = threading.Event()

    def words() -> Any:
        try:
            while True:
                yield b"word " * 500
        finally:
            closed.set()

    app = Starlette(routes=[Route("/", lambda _: StreamingResponse(words()))])
    async with run_runtime(app) as h:
        h.api.script("/response", Step(after=2000, reset=True))
        h.api.waiting.put_nowait(invocation(http()))
        assert await asyncio.to_thread(closed.wait, 60)


async def test_a_generator_in_the_frames_of_an_exception_is_closed() -> None:
    """A cycle of frame and exception would keep it until some later garbage collection."""
    closed: list[bool] = []

    def words() -> Any:
        try:
            yield 1
        finally:
            closed.append(True)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        generator = words()
        next(generator)
        try:
            int("no number")
        except ValueError as error:
            kept = error
            raise KeyError from kept

    gc.disable()
    try:
        async with run_runtime(app) as h:
            await h.invoke(http())
            assert closed == [True]
    finally:
        gc.enable()


async def test_a_connection_that_never_opened_is_an_invocation_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The application has already begun its answer, but not a byte of it has left."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        begun.set()
        with pytest.raises(ConnectionResetError):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})

    def open_socket(self: Connection, _address: Address) -> None:
        pending.append(self)

    begun = asyncio.Event()
    pending: list[Connection] = []
    async with run_runtime(app) as h:
        await lose_preconnected(h)
        monkeypatch.setattr(Connection, "_connect", open_socket)
        h.api.waiting.put_nowait(invocation(http()))
        await begun.wait()
        await asyncio.sleep(0)
        pending[0]._lose(ConnectionRefusedError(111, "refused at last"))
        call = await h.api.call("/error")
    assert call.header("Lambda-Runtime-Function-Error-Type") == "Runtime.StreamError"


async def test_a_name_with_two_addresses_is_tried_at_both() -> None:
    """localhost is ::1 too, and the Runtime API may listen on the other one only."""
    async with runtime_api() as server:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            api = client.RuntimeAPI(server.host)
            await api.connect()
            api._addresses.insert(0, Address(2, unused.getsockname()))
            slept: list[float] = []

            async def sleep(seconds: float) -> None:
                slept.append(seconds)

            line = client.RuntimeApiConnection(api, sleep=sleep)
            server.waiting.put_nowait(invocation({}, request_id="found"))
            assert (await line.next()).id == "found"
            assert len(slept) == 1
            line.close()


async def test_a_task_cancelled_before_its_first_step_still_ends() -> None:
    """SIGTERM may come between the two."""
    called: list[bool] = []

    async def never() -> None:
        called.append(True)

    async with run_runtime(Talker().app) as h:
        supervised = asyncio.create_task(
            h.runtime._supervise(never, 30, InvocationScope(TaskLedger()))
        )
        await asyncio.sleep(0)
        h.runtime.stop()
        async with asyncio.timeout(60):
            outcome = await supervised
    assert outcome.stopped_by == "shutdown"
    assert called == []


async def test_what_is_logged_between_invocations_belongs_to_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last request id is not carried on."""
    monkeypatch.setattr(client, "RETRY_PAUSES", (0.0, 0.0, 0.0, 0.0))
    owners: list[Any] = []
    logger = logging.getLogger(client.__name__)

    def note(record: logging.LogRecord) -> bool:
        owners.append(current.get())
        return True

    logger.addFilter(note)
    try:
        async with run_runtime(Talker().app) as h:
            await h.invoke(http("/short"))
            h.api.waiting.put_nowait(Step(status=503))
            await works(h)
    finally:
        logger.removeFilter(note)
    assert owners == [None]


async def test_a_reset_at_every_byte_of_the_beginning_is_survived() -> None:
    """Head, prelude and first frames: cut at each byte, the next answer is whole."""
    talker = Talker()
    async with run_runtime(talker.app) as h:
        h.api.waiting.put_nowait(invocation(http("/short")))
        whole = await h.api.call("/response")
        await wait_settled(h)
        length = len(whole.raw)
        for cut in range(1, length + 40, 3):
            h.api.script("/response", Step(after=cut, reset=True))
            started = talker.started
            h.api.waiting.put_nowait(invocation(http()))
            await h.api.until(lambda started=started: talker.started > started)
            await wait_settled(h)
            assert talker.closed == talker.started
        await works(h)


async def test_receive_tells_of_a_lost_reader() -> None:
    """An application that waits for it hears http.disconnect, and its sends are refused."""
    heard: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 3000, "more_body": True})
        heard.append(await receive())
        try:
            await send({"type": "http.response.body", "body": b"y", "more_body": True})
        except OSError as error:
            heard.append(type(error))

    async with run_runtime(app) as h:
        h.api.script("/response", Step(after=2000, reset=True))
        h.api.waiting.put_nowait(invocation(http()))
        await h.api.until(lambda: h.api.polls == 2)
    assert heard == [{"type": "http.disconnect"}, ConnectionResetError]


@pytest.mark.parametrize("kind", ["asgi", "frames"])
async def test_a_refused_connection_is_an_invocation_error(kind: str) -> None:
    """Not a byte has left yet, so there is still a way to say what happened."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise NotImplementedError

    async def frames(event: Any, context: Any) -> Any:
        yield b"x"

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with run_runtime(app if kind == "asgi" else frames) as h:
            await lose_preconnected(h)
            api = h.runtime._config.api
            known, api._addresses = api._addresses, [Address(2, unused.getsockname())]
            h.api.waiting.put_nowait(invocation(http()))
            call = await h.api.call("/error")
            api._addresses = known
    assert call.header("Lambda-Runtime-Function-Error-Type") == "Runtime.StreamError"


@pytest.mark.parametrize("status", [400, 403, 410, 413])
@pytest.mark.parametrize("mode", ["response_stream", "buffered"])
async def test_a_refused_answer_is_logged_once_and_never_repeated(
    status: int, mode: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The invocation is lost, the process is not."""
    talker = Talker()
    async with run_runtime(talker.app, mode=mode) as h:
        h.api.script("/response", Step(status=status, body=b'{"errorType":"T"}\n'))
        call = await h.invoke(http("/short"))
        assert call.complete
        again = await h.invoke(http("/short"))
        assert again.complete
    logged = [record for record in caplog.records if str(status) in record.getMessage()]
    assert len(logged) == 1


@pytest.mark.parametrize("mode", ["response_stream", "buffered"])
async def test_a_500_ends_the_process(mode: Any) -> None:
    """Lambda says that the sandbox is beyond repair and asks for a prompt exit."""
    talker = Talker()

    async def live() -> None:
        async with run_runtime(talker.app, mode=mode) as h:
            h.api.script("/response", Step(status=500))
            h.api.waiting.put_nowait(invocation(http("/short")))
            await asyncio.wait({h.task}, timeout=60)

    with pytest.raises(RuntimeAPIError):
        await live()


async def test_a_500_from_next_ends_the_process() -> None:
    """The same, while waiting."""
    with pytest.raises(RuntimeAPIError):
        await die_of(Step(status=500))


async def die_of(*faults: Step) -> None:
    async with run_runtime(Talker().app) as h:
        for fault in faults:
            h.api.waiting.put_nowait(fault)
        await asyncio.wait({h.task}, timeout=60)


NEXT_FAULTS: dict[str, Step | Invocation] = {
    "closed idle": Step(close=True),
    "reset": Step(reset=True),
    "503": Step(status=503),
    "403": Step(status=403),
    "410": Step(status=410),
    "cut in the head": Step(status=200, cut=9),
    "cut in the body": Step(status=200, body=b"x" * 100, cut=150),
    "not HTTP": Invocation(b"", [], raw=b"hello\r\n\r\n"),
    "no request id": invocation({}, without=["Lambda-Runtime-Aws-Request-Id"]),
    "a request id that is a path": invocation({}, request_id="../../init/error"),
    "a request id with a query": invocation({}, request_id="a?b"),
    "an empty request id": invocation({}, request_id=" "),
}


@pytest.mark.parametrize("name", NEXT_FAULTS)
@pytest.mark.parametrize("times", [1, 4])
async def test_next_is_asked_again_after_a_fault(
    name: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to five times in a row; the invocation that follows is not lost."""
    monkeypatch.setattr(client, "RETRY_PAUSES", (0.0, 0.0, 0.0, 0.0))
    async with run_runtime(Talker().app) as h:
        for _ in range(times):
            h.api.waiting.put_nowait(NEXT_FAULTS[name])
        await works(h)


async def test_next_gives_up_after_five_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the process ends, and Lambda starts another."""
    monkeypatch.setattr(client, "RETRY_PAUSES", (0.0, 0.0, 0.0, 0.0))
    with pytest.raises(RuntimeAPIError):
        await die_of(*[Step(status=503)] * 5)


async def test_a_quiet_day_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long no invocation comes, the question that waits is neither given up nor asked
    again: the platform may take hours to answer it."""
    async with run_runtime(Talker().app) as h:
        assert (await h.invoke(http("/short"))).content == b"short"
        await h.api.until(lambda: h.api.open_connections == 2)
        polls, connections = h.api.polls, h.api.connections
        loop = asyncio.get_running_loop()
        now = loop.time
        monkeypatch.setattr(loop, "time", lambda: now() + 86_400)
        for _ in range(5):  # whatever was set for this day is due
            await asyncio.sleep(0)
        assert (h.api.polls, h.api.connections) == (polls, connections)
        assert (await h.invoke(http("/short"))).content == b"short"
        assert h.api.polls == polls + 1


async def test_the_pauses_between_tries_grow() -> None:
    """A Runtime API that is gone is asked five times over a second and a half."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    line = client.RuntimeApiConnection(client.RuntimeAPI("127.0.0.1:1"), sleep=sleep)
    with pytest.raises(RuntimeAPIError):
        await line.next()
    assert slept == [0.1, 0.2, 0.4, 0.8]


def _end(writer: asyncio.StreamWriter) -> None:
    writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


def _speak(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize("spoil", [_end, _reset, _speak])
@pytest.mark.parametrize("frozen", [False, True])
async def test_a_connection_opened_ahead_that_went_stale_is_replaced(
    spoil: Callable[[asyncio.StreamWriter], None], frozen: bool
) -> None:
    """Before the invocation came, or in a freeze, when the loop has not heard of it yet."""
    async with run_runtime(Talker().app) as h:
        for _ in range(3):
            await h.api.until(lambda: h.api.open_connections == 2)
            if frozen:
                # Everything at once: the invocation and the bad news are one turn's events.
                h.api.waiting.put_nowait(invocation(http("/short"), request_id="frozen"))
                spoil(h.api.writers[-1])
                call = await h.api.call("/response")
                assert call.content == b"short"
                h.api.calls.clear()
            else:
                spoil(h.api.writers[-1])
                await asyncio.sleep(0.01)
                assert (await h.invoke(http("/short"))).content == b"short"


async def test_a_connection_opened_ahead_is_used_once_and_closed_at_the_end() -> None:
    """Each stream has its own, opened while the line waits; one that is not needed stays."""
    async with run_runtime(Talker().app) as h:
        calls = [await h.invoke(http("/short")) for _ in range(3)]
        await h.api.until(lambda: h.api.open_connections == 2)
        assert {call.connection for call in calls} == {1, 2, 3}
    await h.api.until(lambda: h.api.open_connections == 0)


async def test_a_kept_connection_that_went_stale_is_replaced() -> None:
    """Closed while the application worked, as after a freeze: a buffered answer still arrives."""

    async def function(event: Any, context: Any) -> Any:
        connection = lines[0]._connection
        connection._socket.shutdown(1)
        await asyncio.sleep(0.02)
        return {"answer": 42}

    lines: list[Any] = []
    real = client.RuntimeApiConnection.__init__

    def remember(self: Any, *args: Any, **options: Any) -> None:
        real(self, *args, **options)
        lines.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client.RuntimeApiConnection, "__init__", remember)
        async with run_runtime(function) as h:
            call = await h.invoke({})
            assert call.json == {"answer": 42}


async def test_a_kept_connection_that_dies_without_a_word_is_replaced_once() -> None:
    """The answer is asked for by its id, so a second copy could do no harm; a third is not sent."""

    async def function(event: Any, context: Any) -> Any:
        return event

    async with run_runtime(function) as h:
        h.api.script("/response", Step(close=True))
        h.api.waiting.put_nowait(invocation(1, request_id="one"))
        await h.api.wait_polls(2)
        await wait_settled(h)
        h.api.script("/response", Step(close=True), Step(close=True))
        h.api.waiting.put_nowait(invocation(2, request_id="two"))
        await h.api.wait_polls(3)
        await wait_settled(h)
        h.api.waiting.put_nowait(invocation(3, request_id="three"))
        assert (await h.api.call("three/response")).json == 3
    sent = [(call.json, call.connection) for call in h.api.calls if call.method == "POST"]
    assert [value for value, _ in sent] == [1, 1, 2, 2, 3]
    assert sent[0][1] != sent[1][1]


@pytest.mark.parametrize(
    "headers",
    [
        [("Lambda-Runtime-Deadline-Ms", "soon")],
        [("Lambda-Runtime-Deadline-Ms", "")],
        [("Lambda-Runtime-Deadline-Ms", "-5")],
        [("Lambda-Runtime-Deadline-Ms", "1542409706888")],
        [("Lambda-Runtime-Deadline-Ms", "9" * 30)],
        [("Lambda-Runtime-Deadline-Ms", "²")],
    ],
)
async def test_a_deadline_that_cannot_be_ours_is_the_longest_there_is(headers: Any) -> None:
    """Unreadable, or years away: no reason to refuse an invocation."""
    async with run_runtime(Talker().app) as h:
        call = await h.invoke(http("/short"), without=["Lambda-Runtime-Deadline-Ms"], more=headers)
    assert call.content == b"short"


async def test_every_optional_header_may_be_empty_or_strange() -> None:
    """Managed Instances send empty ones; JSON may be no JSON; unknown ones are ignored."""
    headers = [
        ("Lambda-Runtime-Client-Context", ""),
        ("lambda-runtime-cognito-identity", ""),
        ("LAMBDA-RUNTIME-INVOCATION-ID", ""),
        ("Lambda-Runtime-Aws-Tenant-Id", ""),
        ("X-Unknown", "\xff"),
    ]
    async with run_runtime(Talker().app) as h:
        assert (await h.invoke(http("/short"), more=headers)).content == b"short"
        headers[0] = ("Lambda-Runtime-Client-Context", "{not json")
        headers[1] = ("lambda-runtime-cognito-identity", "[]")
        assert (await h.invoke(http("/short"), more=headers)).content == b"short"


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b"nul", b"[" * 100_000, b'{"a":' * 50_000])
async def test_a_payload_that_is_no_json_is_an_invocation_error(payload: bytes) -> None:
    """A hundred times over, each on its own, and the process lives."""
    async with run_runtime(Talker().app) as h:
        for _ in range(3):
            call = await h.invoke(payload)
            assert call.path.endswith("/error")
            assert call.header("Lambda-Runtime-Function-Error-Type") == "Runtime.UnmarshalError"
            assert call.json["errorType"] == "Runtime.UnmarshalError"
        await works(h)


async def test_a_poisonous_request_is_handled_a_hundred_times() -> None:
    """Each failure is alone."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        raise ValueError("poison")

    async with run_runtime(app) as h:
        for _ in range(100):
            assert (await h.invoke(http())).prelude["statusCode"] == 500


async def test_a_large_payload_arrives_whole() -> None:
    """Six megabytes, Lambda's limit."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        message = await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"%d" % len(message["body"])})

    async with run_runtime(app) as h:
        call = await h.invoke(http(method="POST", body="x" * (6 * 1024 * 1024 - 1000)))
    assert call.content == b"%d" % (6 * 1024 * 1024 - 1000)


async def test_a_buffered_answer_over_the_limit_is_an_error_and_not_a_413() -> None:
    """Lambda would refuse it; the caller is told why instead."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(70):
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
        await send({"type": "http.response.body"})

    async def function(event: Any, context: Any) -> Any:
        return "x" * 7_000_000

    async with run_runtime(app, mode="buffered") as h:
        assert (await h.invoke(http())).json["statusCode"] == 500
    async with run_runtime(function) as h:
        call = await h.invoke({})
    assert call.path.endswith("/error")
    assert call.json["errorType"] == "Function.ResponseSizeTooLarge"


async def waits_forever(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise NotImplementedError
    if scope["path"] == "/started":
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream")],
            }
        )
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
    await asyncio.Event().wait()


async def test_the_deadline_stops_an_application_before_lambda_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """504 before the start; after it a last event and trailers: a quarter of its time earlier."""
    given: list[float] = []

    async def note(self: Runtime, run: Any, seconds: float, *more: Any) -> Any:
        given.append(seconds)
        return await supervise(self, run, seconds, *more)

    supervise = Runtime._supervise
    monkeypatch.setattr(Runtime, "_supervise", note)
    exact = {"without": [DEADLINE], "more": [(DEADLINE, "1001000")]}
    async with run_runtime(waits_forever, clock=lambda: 1000.0) as h:
        call = await h.invoke(http(), **exact)
        assert call.prelude["statusCode"] == 504
        call = await h.invoke(http("/started"), **exact)
    assert given == [0.75, 0.75]
    assert b'"code": "deadline"' in call.content
    assert call.trailers["lambda-runtime-function-error-type"] == "Runtime.DeadlineReached"


def test_the_margin_leaves_a_whole_second() -> None:
    """Cancelling takes its grace out of the rest."""
    from services.lambda_runtime import loop

    assert invocation_handler.DEADLINE_MARGIN - loop.CANCEL_GRACE >= 1.0


async def test_a_deadline_that_has_passed_is_answered_without_the_application() -> None:
    """The caller is gone; work begun now would only be killed."""
    called: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        called.append(scope["type"])
        raise NotImplementedError

    async with run_runtime(app) as h:
        call = await h.invoke(http(), seconds=-5)
    assert call.prelude["statusCode"] == 504
    assert called == ["lifespan"]


async def test_a_generator_that_will_not_stop_is_left_behind_and_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The answer ends in time, whatever the application does with its cancellation."""
    free = asyncio.Event()
    alive: list[asyncio.Task[Any] | None] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        if scope["path"] != "/":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"short"})
            return
        alive.append(asyncio.current_task())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue

    async with run_runtime(app, clock=standing_clock()) as h:
        call = await h.invoke(http(), seconds=0.8)
        assert call.trailers["lambda-runtime-function-error-type"] == "Runtime.DeadlineReached"
        await works(h)
        free.set()
        assert alive[0] is not None
        await asyncio.wait({alive[0]}, timeout=60)
    assert "does not stop" in caplog.text


async def test_words_of_an_application_that_outlived_its_exchange_go_nowhere() -> None:
    """A send that comes after the end is refused, not written into the next answer."""
    kept: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        kept.append(send)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError

    async with run_runtime(app) as h:
        first = await h.invoke(http())
        with pytest.raises(RuntimeError):
            await kept[0]({"type": "http.response.body", "body": b"late"})
        second = await h.invoke(http())
    assert b"late" not in first.raw + second.raw


async def test_shutdown_is_told_to_an_application_that_wants_to_hear_of_it() -> None:
    """It ends its response in its own words, which are whole; nothing is cancelled."""
    told = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await told.wait()
        await send({"type": "http.response.body", "body": b"z"})

    async with run_runtime(export_handler(app, on_shutdown=told.set)) as h:
        h.api.waiting.put_nowait(invocation(http("/started")))
        call = await h.api.call("/response", complete=False)
        await h.api.until(lambda: call.content == b"a")
        h.runtime.stop()
        await h.api.until(lambda: call.complete)
        await asyncio.wait({h.task}, timeout=60)
    assert call.content == b"az"
    assert not call.trailers
    assert h.api.polls == 1


async def test_shutdown_does_not_wait_for_a_response_that_does_not_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A hook that does nothing, or fails, changes nothing but by 0.2 s."""

    def fail_hook() -> None:
        raise ValueError("broken")

    for hook in (lambda: None, fail_hook):
        async with run_runtime(export_handler(waits_forever, on_shutdown=hook)) as h:
            h.api.waiting.put_nowait(invocation(http("/started")))
            call = await h.api.call("/response", complete=False)
            await h.api.until(lambda call=call: call.content == b"data: 1\n\n")
            h.runtime.stop()
            await h.api.until(lambda call=call: call.complete)
            await asyncio.wait({h.task}, timeout=60)
        assert b'"code": "interrupted"' in call.content
    assert "shutdown hook failed" in caplog.text
    caplog.clear()


async def test_shutdown_lets_a_stream_end_cleanly() -> None:
    """SIGTERM in the middle: a last event, trailers, and no further invocation."""
    async with run_runtime(waits_forever) as h:
        h.api.waiting.put_nowait(invocation(http("/started")))
        call = await h.api.call("/response", complete=False)
        await h.api.until(lambda: call.content == b"data: 1\n\n")
        h.runtime.stop()
        await h.api.until(lambda: call.complete)
        await asyncio.wait({h.task}, timeout=60)
    assert b'"code": "interrupted"' in call.content
    assert h.api.polls == 1
