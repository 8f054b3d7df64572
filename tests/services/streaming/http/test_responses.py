"""What goes back: statuses, headers, one write per event, and generators that are always closed."""

import json
import logging
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest
from starlette.responses import Response
from starlette.types import Message

from services.errors import RiverrunError, SetupError
from services.settings import Settings
from services.streaming.answering.producer import Producer
from services.streaming.app import App
from services.streaming.events import Event, Final, Result, Source, Sources, Status
from services.streaming.handlers import handle_request, handle_streaming_request
from services.streaming.http.responses import StreamingAnswer, error_response
from services.streaming.question import Question
from services.streaming.run.stages import Output
from tests.functions.asgi import Answer, call, exchange, scope_of

CANARY = "canary-91 /home/secret arn:aws:bedrock:model/claude"

# The contract's section 4, and section 3's codes as JSON mode shows them.
STATUSES = {
    "invalid_json": 400,
    "invalid_request": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "idempotency_conflict": 409,
    "expired": 410,
    "payload_too_large": 413,
    "uri_too_long": 414,
    "unsupported_media": 415,
    "validation_error": 422,
    "context_too_long": 422,
    "rate_limited": 429,
    "budget_exceeded": 429,
    "internal": 500,
    "retrieval_failed": 500,
    "a_code_from_the_future": 500,
    "provider_error": 502,
    "provider_truncated": 502,
    "content_filtered": 502,
    "provider_throttled": 503,
    "overloaded": 503,
    "interrupted": 503,
    "cancelled": 503,
    "provider_timeout": 504,
    "deadline": 504,
}


@pytest.fixture
def app() -> App:
    return App(Settings())


def make_failing(error: Exception, *before: Output) -> AsyncGenerator[Output, None]:
    async def produce() -> AsyncGenerator[Output, None]:
        for event in before:
            yield event
        raise error

    return produce()


async def one_word(_question: object = None) -> AsyncGenerator[Output, None]:
    yield "word"


async def stream(producer: Producer, app: App, **data: Any) -> Answer:
    asked = {"query": "x", "streaming": True} | data
    return await call(await handle_streaming_request(asked, producer=producer, app=app))


async def one_object(producer: Producer, app: App, **data: Any) -> Answer:
    asked = {"query": "x"} | data
    return await call(await handle_request(asked, producer=producer, app=app))


@pytest.mark.anyio
@pytest.mark.parametrize(("code", "status"), STATUSES.items())
async def test_a_code_has_one_status_before_a_run_and_in_json_mode(
    code: str, status: int, app: App
) -> None:
    """And the same error object in both."""
    error = RiverrunError("No.", code=code, retryable=True, retry_after_ms=2500, hint="Wait.")
    before = await call(error_response(error))
    after = await one_object(make_failing(error), app)
    for answer in (before, after):
        assert (answer.status, answer.header("Content-Type")) == (status, "application/json")
        assert answer.header("Cache-Control") == "no-store"
        assert answer.header("Retry-After") == ("3" if status in (429, 503) else None)
        assert answer.header("WWW-Authenticate") == ("Bearer" if status == 401 else None)
        assert answer.json() | {"runId": "", "partial": None} == {
            "type": "error", "error": "No.", "code": code, "retryable": True,
            "retryAfterMs": 2500, "hint": "Wait.", "runId": "", "partial": None,
        }  # fmt: skip


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("milliseconds", "seconds"), [(None, "1"), (0, "1"), (1, "1"), (1000, "1"), (1001, "2")]
)
async def test_retry_after_is_never_too_soon(milliseconds: int | None, seconds: str) -> None:
    """Whole seconds, rounded up, at least one."""
    error = RiverrunError("No.", code="rate_limited", retry_after_ms=milliseconds)
    assert (await call(error_response(error))).header("Retry-After") == seconds


@pytest.mark.anyio
async def test_an_installation_at_fault_is_told_to_the_log_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A path is none of the asker's business, and the hint says where it went."""
    with caplog.at_level(logging.ERROR, "riverrun"):
        answer = await call(error_response(SetupError(CANARY)))
    assert answer.status == 500
    assert "canary" not in answer.body.decode()
    assert CANARY in caplog.text


@pytest.mark.anyio
@pytest.mark.parametrize("fault", [RuntimeError(CANARY), SetupError(CANARY), KeyError(CANARY)])
async def test_no_exception_text_reaches_the_wire(
    fault: Exception, app: App, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in the stream nor in JSON mode; the log has it, with the run's id."""
    with caplog.at_level(logging.INFO, "riverrun"):
        stream_response = await stream(make_failing(fault, "Hel", "lo"), app)
        whole = await one_object(make_failing(fault), app)
    for answer in (stream_response, whole):
        wire = str(answer.headers) + answer.body.decode()
        assert not any(secret in wire for secret in CANARY.split())
        assert "Traceback" not in wire
    assert caplog.text.count("canary-91") >= 2
    run_id = stream_response.header("X-Run-Id") or ""
    assert run_id in caplog.text
    last = stream_response.events()[-1]
    assert (last["type"], last["code"], last["partial"]["answer"]) == ("error", "internal", "Hello")


@pytest.mark.anyio
async def test_a_stream_has_the_headers_that_keep_it_flowing(app: App) -> None:
    """Every proxy's own reason to hold it back is answered; no length, no encoding."""
    answer = await stream(make_failing(RuntimeError(), "x"), app)
    run_id = answer.header("X-Run-Id") or ""
    assert answer.status == 200
    assert len(run_id) == 32
    assert dict(answer.headers) == {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache, no-transform",
        "connection": "keep-alive",
        "x-accel-buffering": "no",
        "x-run-id": run_id,
        "vary": "Accept, Origin",
    }


@pytest.mark.anyio
async def test_every_event_is_one_write(app: App) -> None:
    """The user's fetch client loses an event that is cut over two reads."""

    async def produce(_question: object) -> AsyncGenerator[Output, None]:
        yield Status(step=1, description="é\U0001f5fc" * 100, status="executing")
        for piece in ("a", "\n\n", "b" * 9000, "\u2028"):
            yield piece

    answer = await stream(produce, app)
    assert len(answer.chunks) == len(answer.events()) > 5
    for chunk in answer.chunks:
        assert chunk.endswith(b"\n\n")
        assert chunk.count(b"\n\n") == 1
        assert chunk.count(b"data: {") == 1


@pytest.mark.anyio
async def test_json_mode_says_what_the_stream_says(app: App) -> None:
    """The bare result, byte for byte what `final` holds."""
    metadata = {"a\r\nX-Evil: 1": 'data: \n\nid: 7"}</script>'}

    async def produce(_question: object) -> AsyncGenerator[Event, None]:
        yield Final(Result(answer='"result":{} é\u2028'))

    asked = {"query": "x", "metadata": metadata}
    answer = await one_object(produce, app, **asked)
    assert answer.status == 200
    assert answer.json()["answer"] == '"result":{} é\u2028'
    assert answer.json()["metadata"] == metadata
    assert answer.json()["runId"] == answer.header("X-Run-Id")
    entry = await app.log.read_last(answer.header("X-Run-Id") or "")
    assert entry is not None
    assert entry.payload == b'{"type":"final","result":' + answer.body + b"}"


@pytest.mark.anyio
async def test_no_value_can_add_a_line_or_a_header(app: App) -> None:
    """What strangers and models write stays inside its JSON."""
    evil = "x\r\nX-Evil: 1\r\n\r\ndata: {}\n\nid: 7\nretry: 1\nevent: final\n\u2028\x85\0"

    async def produce(_question: object) -> AsyncGenerator[Output, None]:
        yield Status(step=1, description=evil, status="executing", name=evil, data={evil: evil})
        yield Sources((Source(id=evil, title=evil, uri=evil, score=1, snippet=evil),))
        yield evil

    answer = await stream(produce, app, metadata={evil: evil}, query=evil.replace("\0", ""))
    assert not any("evil" in name + value for name, value in answer.headers)
    assert [event["type"] for event in answer.events()] == [
        "status", "sources", "token", "final",
    ]  # fmt: skip
    lines = answer.body.decode().split("\n")
    assert {line.partition(":")[0] for line in lines if line} == {"retry", "id", "data"}
    assert answer.events()[2]["text"] == evil


class Shelf:
    """A context that notes how much the reader had been sent when it was asked."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.seen: list[Message] = []

    async def retrieve(self, *_asked: object, **_known: object) -> tuple[()]:
        self.seen = list(self.sent)
        raise RiverrunError("No shelf today.", code="retrieval_failed")


@pytest.mark.anyio
async def test_the_first_status_is_on_its_way_before_retrieval_begins() -> None:
    """A client knows at once that its question is being answered."""
    shelf = Shelf()
    app = App(context=shelf)
    response = await handle_streaming_request({"query": "x", "streaming": True}, app=app)
    async with exchange(response, "/api/chat") as talk:
        shelf.sent = talk.sent
        while (await talk.message()).get("more_body") is not False:
            pass
    assert shelf.seen[0]["status"] == 200
    said = [json.loads(message["body"].rpartition(b"data: ")[2]) for message in shelf.seen[1:]]
    assert said[0]["status"]["step"] == 1
    assert said[-1]["status"]["description"] == "Searching the documents"
    assert talk.answer.events()[-1]["code"] == "retrieval_failed"


class WaitingProducer:
    """A producer that says one word and then waits for ever."""

    def __init__(self) -> None:
        self.closed = anyio.Event()

    async def __call__(self, _question: object) -> AsyncGenerator[Output, None]:
        try:
            yield "word"
            await anyio.sleep_forever()
        finally:
            self.closed.set()


@pytest.mark.anyio
async def test_a_reader_that_leaves_lets_the_producer_clean_up(app: App) -> None:
    """Its `finally` has run by the time the response is over, and the reader is counted out."""
    held = WaitingProducer()
    response = await handle_streaming_request(
        {"query": "x", "streaming": True}, producer=held, app=app
    )
    async with exchange(response, "/api/chat") as talk:
        await talk.frame()
        assert not held.closed.is_set()
    assert held.closed.is_set()
    assert app.live.streams == 0


@pytest.mark.anyio
@pytest.mark.parametrize("survives", [0, 1])
async def test_a_host_whose_send_fails_lets_the_producer_clean_up(survives: int, app: App) -> None:
    """ASGI 2.4 hosts say so by an error, at the first byte or later."""
    held = WaitingProducer()
    response = await handle_streaming_request(
        {"query": "x", "streaming": True}, producer=held, app=app
    )
    scope = scope_of("GET", "/api/chat", {})
    scope["asgi"]["spec_version"] = "2.4"
    sent: list[Message] = []

    async def send(message: Message) -> None:
        if len(sent) == survives:
            raise OSError("connection reset")
        sent.append(message)

    async def receive() -> Message:
        await anyio.sleep_forever()
        raise AssertionError

    with anyio.fail_after(10):
        await response(scope, receive, send)
    assert app.live.streams == 0


@pytest.mark.anyio
async def test_a_response_that_is_never_sent_can_be_closed(app: App) -> None:
    """A host that is cancelled between handler and body leaves nothing behind."""
    held = WaitingProducer()
    response = await handle_streaming_request(
        {"query": "x", "streaming": True}, producer=held, app=app
    )
    assert isinstance(response, StreamingAnswer)
    assert app.live.streams == 1
    with anyio.CancelScope() as scope:
        scope.cancel()
        async with exchange(response, "/api/chat"):
            pass
    assert app.live.streams == 0


@pytest.mark.anyio
async def test_a_full_house_is_429_and_asks_no_producer() -> None:
    """With Retry-After; a place that is given back is taken."""
    app = App(Settings(max_streams=1))
    asked: list[object] = []

    async def produce(question: object) -> AsyncGenerator[Output, None]:
        asked.append(question)
        yield "x"

    held = WaitingProducer()
    first = await handle_streaming_request(
        {"query": "x", "streaming": True}, producer=held, app=app
    )
    async with exchange(first, "/api/chat") as talk:
        await talk.frame()
        for refused in (await stream(produce, app), await one_object(produce, app)):
            assert (refused.status, refused.json()["code"]) == (429, "rate_limited")
            assert refused.header("Retry-After") == "1"
    assert asked == []
    assert (await stream(produce, app)).status == 200
    assert len(asked) == 1
    assert app.live.streams == 0


@pytest.mark.anyio
async def test_a_refused_run_gives_its_place_back() -> None:
    """A conflict is no reader."""
    app = App(Settings(max_streams=1))
    for query, status in [("x", 200), ("y", 409), ("y", 409), ("x", 200)]:
        response = await handle_streaming_request(
            Question(query=query, idempotency_key="k"), producer=one_word, app=app
        )
        assert (await call(response)).status == status
    assert app.live.streams == 0


@pytest.mark.anyio
async def test_a_log_that_cannot_be_reached_leaves_nothing_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The generator that came with the question is closed, and its place is free."""
    app = App(Settings(max_streams=1))
    given = one_word()

    async def raise_error(**_known: object) -> object:
        raise ConnectionError

    monkeypatch.setattr(app.log, "start", raise_error)
    with pytest.raises(ConnectionError):
        await handle_streaming_request({"query": "x"}, producer=given, app=app)
    with pytest.raises(StopAsyncIteration):
        await anext(given)
    assert app.live.streams == 0


@pytest.mark.anyio
async def test_a_refused_question_closes_the_generator_that_came_with_it(
    app: App,
) -> None:
    """A stage closes the generator that it was handed."""

    async def produce() -> AsyncGenerator[Output, None]:
        yield "x"

    for handle in (handle_request, handle_streaming_request):
        given = produce()
        answer = await call(await handle({"query": " "}, producer=given, app=app))
        assert answer.status == 422
        with pytest.raises(StopAsyncIteration):
            await anext(given)


@pytest.mark.anyio
@pytest.mark.parametrize("data", [None, [], "x", 7, {"query": None}])
async def test_the_facade_answers_whatever_it_is_handed(data: Any, app: App) -> None:
    """A handler may pass on a body that it has not looked at."""
    response: Response = await handle_streaming_request(data, app=app)
    assert (await call(response)).status == 422
