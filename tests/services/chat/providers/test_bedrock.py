"""Bedrock through real boto3 over a real socket: every end, every fault, nothing left open."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fakes import bedrock as fake
from fakes.aws_account import ACCOUNT
from fakes.steps import Fake
from services import aws
from services.chat import Prompt, Turn, Usage, answer
from services.chat.providers import read_pacing
from services.chat.providers.bedrock import BedrockProvider
from services.chat.providers.bedrock_request import Guardrail
from services.errors import SetupError
from tests.services.chat.conformance import collect, outcome, text_of
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


async def test_bytes_that_come_one_by_one_are_the_same(service: Fake) -> None:
    """Frames have nothing to do with chunks."""
    frames = fake.START + fake.text("one") + fake.stop() + fake.usage()
    service.play(fake.stream(*fake.bytewise(frames)))
    assert text_of(await collect(model(), PROMPT)) == "one"


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
