"""Embedding at a compatible endpoint when it does not go well, and what is asked of it."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from fakes.openai import answering, openai, refusal
from fakes.steps import Call, Fake, Refusal, Reply
from services.embedding import EmbeddingError
from services.embedding import openai as module
from services.embedding.openai import OpenAIEmbedder, open_openai
from services.errors import SetupError

pytestmark = pytest.mark.anyio


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """A fake endpoint, and few tries."""
    monkeypatch.setattr(module, "RETRIES", {"question": 0, "passage": 1})
    with openai() as running:
        yield running


OpenIndex = Callable[..., OpenAIEmbedder]


@pytest.fixture
async def opened(fake: Fake) -> AsyncIterator[OpenIndex]:
    """Makes embedders that ask the fake."""
    async with AsyncExitStack() as stack:

        def opened(model: str | None = None, dimension: int | None = None) -> OpenAIEmbedder:
            made = open_openai(model, dimension, base_url=f"{fake.url}/v1", api_key=None)
            stack.push_async_callback(made.close)
            return made

        yield opened


@pytest.mark.parametrize(
    ("status", "code"),
    [(429, "provider_throttled"), (500, "provider_error"), (503, "provider_error")],
)
async def test_a_failing_endpoint_has_its_code(
    fake: Fake, opened: OpenIndex, status: int, code: str
) -> None:
    """And says nothing of what the endpoint said."""
    fake.play(refusal(status))
    with pytest.raises(EmbeddingError) as caught:
        await opened().embed(["hello"], "question")
    assert (caught.value.code, caught.value.retryable) == (code, True)
    assert "sk-" not in caught.value.message
    assert len(fake.calls) == 1


@pytest.mark.parametrize(("status", "said"), [(401, "OPENAI_API_KEY"), (404, "OPENAI_BASE_URL")])
async def test_a_refusal_is_the_installations_fault(
    fake: Fake, opened: OpenIndex, status: int, said: str
) -> None:
    """It says what to set, and is not tried again."""
    fake.play(refusal(status))
    with pytest.raises(SetupError, match=said):
        await opened().embed(["hello"])
    assert len(fake.calls) == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"object": "list", "data": []},
        {"object": "list", "data": None},
        {"object": "list", "data": [{"index": 0, "embedding": [1.0, 2.0]}]},
        {"object": "list", "data": [{"index": 0, "embedding": None}]},
    ],
)
async def test_an_answer_that_is_no_vector_is_refused(
    fake: Fake, opened: OpenIndex, answer: Any
) -> None:
    """It would spoil an index for ever."""
    fake.play(Refusal(200, answer))
    with pytest.raises(EmbeddingError) as caught:
        await opened().embed(["hello"], "question")
    assert caught.value.code == "provider_error"


async def test_a_dimension_is_asked_for_only_where_it_can_be(fake: Fake, opened: OpenIndex) -> None:
    """Most endpoints refuse the field."""
    await opened("text-embedding-3-large", 256).embed(["hello"])
    await opened("text-embedding-3-small").embed(["hello"])
    await opened("our-own-model", 768).embed(["hello"])
    assert [call.body.get("dimensions") for call in fake.calls] == [256, None, None]


async def test_a_model_that_wants_a_word_in_front_gets_it(fake: Fake, opened: OpenIndex) -> None:
    """One for passages, another for questions."""
    embedder = opened("nomic-embed-text")
    await embedder.embed(["hello"], "passage")
    await embedder.embed(["hello"], "question")
    said = [call.body["input"][0] for call in fake.calls]
    assert said == ["search_document: hello", "search_query: hello"]


@pytest.mark.parametrize(
    ("model", "dimension", "base_url", "said"),
    [
        ("our-own-model", None, "http://127.0.0.1:1/v1", "RIVERRUN_EMBEDDING_DIMENSION"),
        ("text-embedding-3-small", 3072, "http://127.0.0.1:1/v1", "1536"),
        ("text-embedding-ada-002", 256, "http://127.0.0.1:1/v1", "1536"),
        (None, None, None, "OPENAI_API_KEY"),
    ],
)
def test_what_cannot_be_is_refused_at_the_start(
    model: str | None, dimension: int | None, base_url: str | None, said: str
) -> None:
    """Before anything is asked."""
    with pytest.raises(SetupError, match=said):
        open_openai(model, dimension, base_url=base_url, api_key=None)


async def test_an_empty_address_is_openais_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a line of a file of settings that was never filled in."""
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    async with OpenAIEmbedder("m", 3)._connect() as client:
        assert client.base_url.host == "api.openai.com"


LIMITS = [
    "This model's maximum context length is 512 tokens, however you requested 900 tokens",
    "the input length exceeds the context length",
    "Input validation error: `inputs` must have less than 512 tokens. Given: 900",
    "input is too large to process. increase the physical batch size",
]


@pytest.mark.parametrize("message", LIMITS)
async def test_a_text_too_long_for_the_model_is_cut(
    fake: Fake, opened: OpenIndex, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As far as it takes; the limit is remembered, and the log says so."""

    def short_sighted(call: Call) -> Reply:
        if max(map(len, call.body["input"])) > 1500:
            return refusal(400, message=message)
        return answering(call)

    fake.play_by(short_sighted)
    embedder = opened()
    for calls in (3, 1):
        fake.calls.clear()
        assert (await embedder.embed(["word " * 1000], "question")).shape == (1, 1536)
        assert len(fake.calls) == calls
    assert "cut at 1250 characters" in caplog.text


async def test_a_model_that_refuses_any_length_has_a_code_of_its_own(
    fake: Fake, opened: OpenIndex
) -> None:
    """No setting is at fault that could be named."""
    fake.play(refusal(400, message=LIMITS[0]))
    with pytest.raises(EmbeddingError) as caught:
        await opened().embed(["word " * 1000], "question")
    assert (caught.value.code, caught.value.retryable) == ("context_too_long", False)
