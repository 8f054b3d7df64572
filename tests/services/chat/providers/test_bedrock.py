"""Bedrock through real boto3 over a real socket: every end, every fault, nothing left open."""

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fakes import bedrock as fake
from fakes.aws_account import ACCOUNT
from fakes.steps import Fake, Reply, Step
from services import aws
from services.chat import Piece, Prompt, Stop, Text, Turn, Usage, answer
from services.chat.providers import bedrock as module
from services.chat.providers import read_pacing
from services.chat.providers.bedrock import BedrockProvider
from services.chat.providers.bedrock_request import Guardrail
from services.errors import SetupError
from tests.services.chat.conformance import check_provider, collect, outcome, text_of
from tests.services.chat.providers.bag import passage

pytestmark = pytest.mark.anyio

ENDPOINT = "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"

PROMPT = Prompt("Why?", (passage("Why?", "Sky", "The sky is blue because air scatters light."),))


@pytest.fixture(scope="module")
def running() -> Iterator[Fake]:
    """A fake Bedrock, and with it one client, for all tests here: a client is dear."""
    with fake.bedrock() as started:
        aws.forget()
        yield started
        aws.forget()


@pytest.fixture
def service(running: Fake, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The fake as it was started, and an account that finds it."""
    account = {**ACCOUNT, ENDPOINT: running.url}
    for name, value in account.items():
        monkeypatch.setenv(name, value)
    running.play_by(fake.answering)
    return running


@contextmanager
def other_client(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> Iterator[None]:
    """A client of its own, for `endpoint`."""
    monkeypatch.setenv(ENDPOINT, endpoint)
    aws.forget()
    try:
        yield
    finally:
        aws.forget()


def model(**more: Any) -> BedrockProvider:
    return BedrockProvider(model="vendor.model-v1:0", **more)


async def test_it_keeps_every_promise_of_a_provider(service: Fake) -> None:
    """The conformance suite, two hundred streams at once included."""
    service.play(fake.whole("Light ", "scatters ", "[1]."))
    await check_provider(model(), PROMPT)


async def test_text_usage_and_end(service: Fake) -> None:
    """What goes in comes out, with the tokens it took."""
    service.play(fake.whole("Light ", "é\U0001f5fc", " [1]."))
    assert await collect(model(), PROMPT) == [
        Text("Light "),
        Text("é\U0001f5fc"),
        Text(" [1]."),
        Usage(10, 3, None),
        Stop("stop"),
    ]


async def test_bytes_that_come_one_by_one_are_the_same(service: Fake) -> None:
    """Frames have nothing to do with chunks."""
    frames = fake.START + fake.text("one") + fake.stop() + fake.usage()
    service.play(fake.stream(*fake.bytewise(frames)))
    assert text_of(await collect(model(), PROMPT)) == "one"


async def test_a_piece_is_shown_before_the_next_is_sent(service: Fake) -> None:
    """Nothing holds a token back."""
    gate = threading.Event()
    service.play(
        fake.stream(fake.START, fake.text("first"), gate, fake.text(" second"), fake.stop())
    )
    stream = answer(model(), PROMPT)
    assert await anext(stream) == Text("first")
    gate.set()
    assert await anext(stream) == Text(" second")
    await stream.aclose()


async def test_the_request(service: Fake) -> None:
    """Signed, with a limit, the instructions apart, the passages fenced, the turns in order."""
    prompt = Prompt(
        "And why red?", PROMPT.passages, (Turn("Why blue?", "Air. [1]"),), max_tokens=77
    )
    await collect(model(temperature=0.0, instructions="Answer in rhyme."), prompt)
    call = service.calls[0]
    assert fake.model_of(call) == "vendor.model-v1:0"
    assert call.headers["authorization"].startswith("AWS4-HMAC-SHA256")
    assert call.body["inferenceConfig"] == {"maxTokens": 77, "temperature": 0.0}
    assert call.body["system"][0]["text"].endswith("Answer in rhyme.")
    assert [message["role"] for message in call.body["messages"]] == ["user", "assistant", "user"]
    assert "scatters light" in fake.question_of(call)
    assert fake.question_of(call).endswith("The question: And why red?")
    assert "guardrailConfig" not in call.body


async def test_a_guardrail_and_cache_points_are_passed_on(service: Fake) -> None:
    """The cache is told where what repeats ends: after the instructions and the earlier turns."""
    prompt = Prompt("Why?", (), (Turn("a", "b"), Turn("c", "d")))
    await collect(model(guardrail=Guardrail("gr", "2"), cache="5m"), prompt)
    body = service.calls[0].body
    assert body["guardrailConfig"] == {"guardrailIdentifier": "gr", "guardrailVersion": "2"}
    point = {"cachePoint": {"type": "default"}}
    assert body["system"][-1] == point
    assert [point in message["content"] for message in body["messages"]] == [
        False, False, False, True, False,
    ]  # fmt: skip


async def test_cached_tokens_count_as_read(service: Fake) -> None:
    """Bedrock counts them apart; the bill needs both."""
    count_stream = fake.usage(10, 2, cacheReadInputTokens=100, cacheWriteInputTokens=7)
    service.play(fake.stream(fake.START, fake.text("a"), fake.stop(), count_stream))
    usage = [piece for piece in await collect(model(), PROMPT) if isinstance(piece, Usage)]
    assert usage == [Usage(117, 2, None, cached_tokens=100, stored_tokens=7)]


@pytest.mark.parametrize(
    ("word", "reason"),
    [("end_turn", "stop"), ("stop_sequence", "stop"), ("max_tokens", "length"),
     ("model_context_window_exceeded", "length")],
)  # fmt: skip
async def test_good_ends(service: Fake, word: str, reason: Any) -> None:
    """As the contract calls them."""
    service.play(fake.whole("text", reason=word))
    assert (await collect(model(), PROMPT))[-1] == Stop(reason)


@pytest.mark.parametrize(
    ("word", "code"),
    [("content_filtered", "content_filtered"), ("guardrail_intervened", "content_filtered"),
     ("tool_use", "provider_error"), ("malformed_model_output", "provider_error"),
     ("malformed_tool_use", "provider_error"), ("bored", "provider_error")],
)  # fmt: skip
async def test_bad_ends(service: Fake, word: str, code: str) -> None:
    """A failing model is an error; what it cost is told all the same."""
    service.play(fake.whole("text", reason=word))
    seen, error = await outcome(model(), PROMPT)
    assert error is not None
    assert error.code == code
    assert seen == [Text("text"), Usage(10, 1, None)]


async def test_a_window_that_the_question_fills_is_too_long(service: Fake) -> None:
    """Nothing was said, so nothing was cut."""
    service.play(fake.whole(reason="model_context_window_exceeded"))
    _, error = await outcome(model(), PROMPT)
    assert error is not None
    assert error.code == "context_too_long"


NAMES = [
    ("ThrottlingException", "provider_throttled", True),
    ("ModelStreamErrorException", "provider_error", False),
    ("ServiceUnavailableException", "provider_error", True),
    ("InternalServerException", "provider_error", True),
    ("ValidationException", "provider_error", False),
    ("ModelTimeoutException", "provider_timeout", True),
    ("SomethingNewException", "provider_error", False),
]


@pytest.mark.parametrize("row", NAMES, ids=[row[0] for row in NAMES])
@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("shape", [fake.exception, fake.error])
async def test_exceptions_within_the_stream(
    service: Fake, row: tuple[str, str, bool], small: bool, shape: Any
) -> None:
    """Either letter case, either kind of frame; what was said stays; one call."""
    name, code, retryable = row
    spelled = name[0].lower() + name[1:] if small else name
    service.play(fake.stream(fake.START, fake.text("Half an "), shape(spelled)))
    seen, error = await outcome(model(), PROMPT)
    assert seen == [Text("Half an ")]
    assert error is not None
    assert (error.code, error.retryable) == (code, retryable)
    assert "secret" not in f"{error.message}{error.hint}"
    assert len(service.calls) == 1


BEGUN: list[Step] = [fake.START, fake.text("Half an ")]
HALF_FRAME = fake.text("answer")[:20]

BROKEN: list[tuple[str, Reply, str]] = [
    ("bad checksum", fake.stream(*BEGUN, fake.bad_crc(fake.text("answer"))), "provider_truncated"),
    ("too long a frame", fake.stream(*BEGUN, fake.too_long()), "provider_truncated"),
    ("reset", fake.stream(*BEGUN, 0.05, "cut"), "provider_truncated"),
    ("no last chunk", fake.stream(*BEGUN, "end"), "provider_truncated"),
    ("half a frame", fake.stream(*BEGUN, HALF_FRAME), "provider_truncated"),
    ("no messageStop", fake.stream(*BEGUN), "provider_truncated"),
    ("no messageStop, usage", fake.stream(*BEGUN, fake.usage()), "provider_truncated"),
    ("nothing at all", fake.stream(), "provider_truncated"),
    ("reset before the head", fake.stream("cut"), "provider_error"),
    ("silence", fake.stream(*BEGUN, "hang"), "provider_timeout"),
    ("silence before the head", fake.stream("hang"), "provider_timeout"),
    ("16 MB that never come", fake.stream(*BEGUN, fake.long_head(16 << 20), "hang"),
     "provider_timeout"),
]  # fmt: skip


def _patience(code: str) -> float:
    # Only silence is waited for; everything else comes by itself, on a busy machine too.
    return 0.3 if code == "provider_timeout" else 20.0


@pytest.mark.parametrize(("reply", "code"), [row[1:] for row in BROKEN], ids=[r[0] for r in BROKEN])
async def test_streams_that_break(service: Fake, reply: Reply, code: str) -> None:
    """Truncation is never taken for an end; all of these may be asked again."""
    service.play(reply)
    seen, error = await outcome(model(timeout=_patience(code)), PROMPT)
    assert error is not None
    assert (error.code, error.retryable) == (code, True)
    assert text_of(seen) in ("", "Half an ")
    assert len(service.calls) <= 1


REFUSALS = [
    (fake.refusal("ThrottlingException", 429), "provider_throttled", True, None),
    (fake.refusal("ThrottlingException", 429, **{"Retry-After": "2"}), "provider_throttled", True,
     2000),
    (fake.refusal("", 503), "provider_error", True, None),
    (fake.refusal("", 429), "provider_throttled", True, None),
    (fake.refusal("InternalServerException", 500), "provider_error", True, None),
    (fake.refusal("ModelNotReadyException", 429), "provider_error", True, None),
    (fake.refusal("ModelTimeoutException", 408), "provider_timeout", True, None),
    (fake.refusal("AccessDeniedException", 403), "provider_error", False, None),
    (fake.refusal("ValidationException", 400), "provider_error", False, None),
    (fake.refusal("ValidationException", 400, "Input is too long for requested model."),
     "context_too_long", False, None),
    (fake.refusal("ResourceNotFoundException", 404), "provider_error", False, None),
    (fake.refusal("ServiceQuotaExceededException", 400), "provider_throttled", False, None),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "code", "retryable", "wait"), REFUSALS)
async def test_refusals_before_the_stream(
    service: Fake, reply: Reply, code: str, retryable: bool, wait: int | None
) -> None:
    """Their codes, and one request: boto3 does not try again by itself."""
    service.play(reply)
    seen, error = await outcome(model(), PROMPT)
    assert seen == []
    assert error is not None
    assert (error.code, error.retryable, error.retry_after_ms) == (code, retryable, wait)
    assert "secret" not in f"{error.message}{error.hint}"
    assert len(service.calls) == 1


async def test_an_endpoint_that_does_not_answer_may_be_asked_again(
    service: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused connection has cost nothing."""
    with other_client(monkeypatch, "http://127.0.0.1:9"):
        _, error = await outcome(model(), PROMPT)
    assert error is not None
    assert (error.code, error.retryable) == ("provider_error", True)


async def test_missing_credentials_are_the_installations_fault(
    service: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client is told nothing of it; the log says what to set."""
    with other_client(monkeypatch, service.url):
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(SetupError, match="AWS_PROFILE"):
            await collect(model(), PROMPT)
    assert service.calls == []


@pytest.mark.parametrize("ending", ["cut", "hang", "end"])
async def test_a_whole_answer_does_not_need_its_usage(
    service: Fake,
    ending: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What breaks after the end is for the log, and is not waited for long."""
    monkeypatch.setattr(module, "METADATA_PATIENCE", 0.1)
    service.play(fake.stream(fake.START, fake.text("whole"), fake.stop(), 0.02, ending))
    with caplog.at_level(logging.WARNING):
        assert await collect(model(), PROMPT) == [Text("whole"), Stop("stop")]


@pytest.mark.parametrize("seen", [0, 1, 500])
async def test_leaving_closes_the_connection_at_once(service: Fake, seen: int) -> None:
    """While the first byte is awaited, at the first token, and in the middle (PF06)."""
    steps: list[Step] = [fake.START, *(fake.text(f"{n} ") for n in range(seen)), "hang"]
    service.play(fake.stream(*(steps if seen else ["hang"])))
    said: list[Piece] = []
    waiting = asyncio.Event()

    async def read() -> None:
        async for piece in answer(model(), PROMPT):
            said.append(piece)
            if len(said) == seen:
                waiting.set()

    task = asyncio.create_task(read())
    call = await asyncio.to_thread(service.call)
    if seen:
        await waiting.wait()
    left = time.monotonic()
    task.cancel()
    await asyncio.wait({task})
    assert await asyncio.to_thread(call.over.wait, 5)
    assert call.left
    # The promise is 250 ms; a busy machine is not what is tested here.
    assert call.left_at - left < 2
    assert len(service.calls) == 1


async def test_leaving_one_stream_leaves_the_others(service: Fake) -> None:
    """Connections are shared by and by; a cut never hits a stranger's."""
    service.play(fake.whole("a ", "b ", "c"))

    async def read(leave: bool) -> str:
        stream = answer(model(), PROMPT)
        if leave:
            await anext(stream)
            await stream.aclose()
            return ""
        return text_of([piece async for piece in stream])

    for _ in range(5):
        texts = await asyncio.gather(*(read(number % 2 == 0) for number in range(20)))
        assert set(texts) == {"", "a b c"}


SAID = "The sky is blue "


async def test_a_model_that_takes_a_prefill_goes_on_with_its_own_message(service: Fake) -> None:
    """Without the white space at its end, which such models refuse."""
    service.play(fake.whole(" because", " of air."))
    claude = BedrockProvider(model="eu.anthropic.claude-sonnet-4-5-20250929-v1:0")
    prompt = Prompt("Why?", PROMPT.passages, so_far=SAID)
    assert SAID + text_of(await collect(claude, prompt)) == "The sky is blue because of air."
    last = service.calls[0].body["messages"][-1]
    assert (last["role"], last["content"]) == ("assistant", [{"text": "The sky is blue"}])


@pytest.mark.parametrize(
    "name",
    ["amazon.nova-pro-v1:0", "global.anthropic.claude-sonnet-4-6", "us.anthropic.claude-opus-5"],
)
async def test_any_other_model_is_asked_to_go_on(service: Fake, name: str) -> None:
    """It repeats its last words, as asked; they are shown once."""
    service.play(fake.whole("The sky is blue", " because", " of air."))
    prompt = Prompt("Why?", PROMPT.passages, so_far=SAID)
    assert SAID + text_of(await collect(BedrockProvider(model=name), prompt)) == (
        "The sky is blue because of air."
    )
    roles = [message["role"] for message in service.calls[0].body["messages"]]
    assert roles == ["user", "assistant", "user"]
    assert "«The sky is blue»" in fake.question_of(service.calls[0])


async def test_a_crowd_does_read_so(service: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3's answers come through the file that lets bytes gather; the words are the same."""
    waits: list[float] = []

    def get_read_pause() -> float:
        waits.append(0.001)
        return 0.001

    monkeypatch.setattr(read_pacing, "get_read_pause", get_read_pause)
    service.play(fake.whole("a ", "b ", "c"))
    assert text_of(await collect(model(), PROMPT)) == "a b c"
    assert waits
