"""Embedding on Bedrock when it does not go well: every failure has its code, and is told once."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from fakes.bedrock import bedrock, refusal
from fakes.steps import Fake, Refusal, Stream
from services import aws
from services.embedding import EmbeddingError
from services.embedding import bedrock as module
from services.embedding.bedrock import open_bedrock
from services.embedding.bedrock_models import canonical
from services.errors import SetupError

pytestmark = pytest.mark.anyio


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """A fake Bedrock, and few tries."""
    monkeypatch.setattr(module, "TRIES", {"question": 1, "passage": 2})
    with bedrock() as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", running.url)
        aws.forget()
        yield running
        aws.forget()


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("ThrottlingException", 429, "provider_throttled"),
        ("ModelTimeoutException", 408, "provider_timeout"),
        ("InternalServerException", 500, "provider_error"),
        ("ServiceUnavailableException", 503, "provider_error"),
        ("ModelErrorException", 424, "provider_error"),
    ],
)
async def test_a_failing_service_has_its_code(
    fake: Fake, name: str, status: int, code: str
) -> None:
    """And says nothing of what the service said."""
    fake.play(refusal(name, status))
    with pytest.raises(EmbeddingError) as caught:
        await open_bedrock(None, None).embed(["hello"], "question")
    assert caught.value.code == code
    assert caught.value.retryable
    assert "arn" not in caught.value.message
    assert len(fake.calls) == 1


@pytest.mark.parametrize("name", ["AccessDeniedException", "ValidationException"])
async def test_a_refusal_is_the_installations_fault(fake: Fake, name: str) -> None:
    """It says which permission, and is not tried again."""
    fake.play(refusal(name, 403))
    with pytest.raises(SetupError, match="bedrock:InvokeModel"):
        await open_bedrock(None, None).embed(["hello"])
    assert len(fake.calls) == 1


async def test_an_ingest_is_patient(fake: Fake) -> None:
    """A quota that lets go again costs nothing but time."""
    answer = {"embedding": [1.0] * 1024}
    fake.play(refusal("ThrottlingException", 429), Refusal(200, answer))
    rows = await open_bedrock(None, None).embed(["hello"], "passage")
    assert rows.shape == (1, 1024)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"embedding": []},
        {"embedding": [1.0] * 1023},
        {"embedding": [0.0] * 1024},
        {"embedding": [float("nan")] * 1024},
        {"embedding": ["1"] * 1023 + [None]},
        [],
    ],
)
async def test_an_answer_that_is_no_vector_is_refused(fake: Fake, answer: Any) -> None:
    """It would spoil an index for ever."""
    fake.play(Refusal(200, answer))
    with pytest.raises(EmbeddingError) as caught:
        await open_bedrock(None, None).embed(["hello"])
    assert (caught.value.code, caught.value.retryable) == ("provider_error", False)


async def test_an_absent_service_is_reported_in_our_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection, or a service that is silent."""
    monkeypatch.setattr(module, "TRIES", {"question": 1, "passage": 1})
    aws.forget()
    with pytest.raises(EmbeddingError) as caught:
        await open_bedrock(None, None).embed(["hello"])
    assert (caught.value.code, caught.value.retryable) == ("provider_error", True)
    aws.forget()


async def test_silence_ends_at_the_timeout(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a code of its own."""
    monkeypatch.setattr(module, "READ_TIMEOUT", 0.2)
    fake.play(Stream("application/json", ["hang"]))
    with pytest.raises(EmbeddingError) as caught:
        await open_bedrock(None, None).embed(["hello"], "question")
    assert caught.value.code == "provider_timeout"


async def test_leaving_cuts_the_calls_under_way(fake: Fake) -> None:
    """The service sees the connection close."""
    fake.play(Stream("application/json", ["hang"]))
    asking = asyncio.ensure_future(open_bedrock(None, None).embed(["hello"]))
    call = await asyncio.to_thread(fake.call)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await asyncio.to_thread(call.over.wait, 60)
    assert call.left


async def test_calls_at_once_are_bounded(fake: Fake) -> None:
    """An ingest of many texts does not open many connections."""
    under_way = most = 0
    counting = threading.Lock()
    real = fake.answer

    def count_call(call: Any) -> Any:
        nonlocal under_way, most
        with counting:
            under_way += 1
            most = max(most, under_way)
        try:
            return real(call)
        finally:
            with counting:
                under_way -= 1

    fake.answer = count_call
    await open_bedrock(None, 256).embed([f"text {number}" for number in range(64)])
    assert len(fake.calls) == 64
    assert most <= module.CALLS


@pytest.mark.parametrize(
    ("model", "dimension", "said"),
    [
        ("anthropic.claude-3-haiku", None, "no embedding model"),
        ("amazon.titan-embed-text-v2:0", 384, "1024, 512, 256"),
        ("cohere.embed-english-v3", 512, "1024"),
    ],
)
def test_what_cannot_be_is_refused_at_the_start(
    model: str, dimension: int | None, said: str
) -> None:
    """Before anything is asked."""
    with pytest.raises(SetupError, match=said):
        open_bedrock(model, dimension)


@pytest.mark.parametrize(
    "called",
    [
        "cohere.embed-v4:0",
        "us.cohere.embed-v4:0",
        "global.cohere.embed-v4:0",
        "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.cohere.embed-v4:0",
        "arn:aws:bedrock:eu-west-1::foundation-model/cohere.embed-v4:0",
    ],
)
def test_one_model_has_one_name_whatever_it_is_called_through(called: str) -> None:
    """An index made in one Region is read in another."""
    assert canonical(called) == "cohere.embed-v4:0"
    assert open_bedrock(called, None).model == "cohere.embed-v4:0"
