"""Any OpenAI-compatible endpoint, through the official client over a real socket."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fakes import openai as fake
from fakes.steps import Call, Fake, Reply, Step
from services.chat import ModelUsage, Prompt, Stop, Text, Turn, answer
from services.chat.providers import read_pacing
from services.chat.providers.openai import PARTS_A_TURN, OpenAIProvider
from tests.connections import accept_connections
from tests.services.chat.conformance import collect, outcome, text_of
from tests.services.chat.providers.bag import passage

pytestmark = pytest.mark.anyio

PROMPT = Prompt("Why?", (passage("Why?", "Sky", "The sky is blue because air scatters light."),))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Fake]:
    """A fake endpoint for all tests here."""
    with fake.openai() as started:
        yield started


@pytest.fixture
def service(endpoint: Fake) -> Fake:
    """The fake as it was started."""
    endpoint.play_by(fake.answering)
    return endpoint


OPENED: list[OpenAIProvider] = []


@pytest.fixture(autouse=True)
async def closed() -> AsyncIterator[None]:
    """Every provider of a test is closed in its loop."""
    yield
    while OPENED:
        await OPENED.pop().close()


def model(service: Fake, **more: Any) -> OpenAIProvider:
    OPENED.append(OpenAIProvider(model="tiny", base_url=f"{service.url}/v1", **more))
    return OPENED[-1]


async def test_the_request(service: Fake) -> None:
    """Keyed, with a limit, the instructions first, the passages fenced, the turns in order."""
    prompt = Prompt("And why red?", PROMPT.passages, (Turn("Why blue?", "Air. [1]"),), 77)
    await collect(
        model(service, api_key="sk-1", temperature=0.0, instructions="Answer in rhyme."), prompt
    )
    call = service.calls[0]
    assert call.headers["authorization"] == "Bearer sk-1"
    assert (call.body["model"], call.body["temperature"]) == ("tiny", 0.0)
    assert call.body["max_tokens"] == 77
    assert call.body["stream_options"] == {"include_usage": True}
    roles = [message["role"] for message in call.body["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert call.body["messages"][0]["content"].endswith("Answer in rhyme.")
    assert "scatters light" in fake.question_of(call)


async def test_a_key_is_not_shown_by_accident() -> None:
    """A provider in a log line has none."""
    assert "sk-1" not in repr(OpenAIProvider(model="m", api_key="sk-1"))


async def test_an_endpoint_that_counts_nothing_is_asked_without(service: Fake) -> None:
    """It refuses the option once; from then on it is left out."""

    def old(call: Call) -> Reply:
        if "stream_options" in call.body:
            return fake.refusal(400, message="Unrecognized request argument: stream_options")
        return fake.stream(fake.text("a"), fake.stop(), fake.DONE)

    service.play_by(old)
    provider = model(service)
    for calls in (2, 3):
        assert await collect(provider, PROMPT) == [Text("a"), Stop("stop")]
        assert len(service.calls) == calls


async def test_cached_tokens_are_told(service: Fake) -> None:
    """They cost less."""
    count_stream = fake.usage(100, 2, cached=64)
    service.play(fake.stream(fake.text("a"), fake.stop(), count_stream, fake.DONE))
    assert ModelUsage(100, 2, None, cached_tokens=64) in await collect(model(service), PROMPT)


BEGUN: list[Step] = [fake.START, fake.text("Half an ")]

PINGS: list[Step] = [b": ping\n\n", 0.1] * 30

BROKEN: list[tuple[str, Reply, str]] = [
    ("error object", fake.stream(*BEGUN, fake.error()), "provider_error"),
    ("overloaded", fake.stream(*BEGUN, fake.error(code="rate_limit_exceeded")),
     "provider_throttled"),
    ("a status for a code", fake.stream(*BEGUN, fake.error(code=429)), "provider_throttled"),
    ("no JSON", fake.stream(*BEGUN, b"data: {half\n\n"), "provider_truncated"),
    ("reset", fake.stream(*BEGUN, 0.05, "cut"), "provider_truncated"),
    ("no last chunk", fake.stream(*BEGUN, "end"), "provider_truncated"),
    ("no finish_reason", fake.stream(*BEGUN), "provider_truncated"),
    ("half a chunk", fake.stream(*BEGUN, fake.text("more")[:30]), "provider_truncated"),
    ("nothing at all", fake.stream(), "provider_truncated"),
    ("silence", fake.stream(*BEGUN, "hang"), "provider_timeout"),
    ("only comments", fake.stream(*BEGUN, *PINGS), "provider_timeout"),
    ("silence before the head", fake.stream("hang"), "provider_timeout"),
]  # fmt: skip


REFUSALS = [
    (fake.refusal(429), "provider_throttled", True, None),
    (fake.refusal(429, Retry_After="2"), "provider_throttled", True, 2000),
    (fake.refusal(429, retry_after_ms="150"), "provider_throttled", True, 150),
    (fake.refusal(429, Retry_After="Wed, 21 Oct 2099 07:28:00 GMT"), "provider_throttled", True,
     86_400_000),
    (fake.refusal(429, "insufficient_quota"), "provider_throttled", False, None),
    (fake.refusal(500), "provider_error", True, None),
    (fake.refusal(503), "provider_error", True, None),
    (fake.refusal(408), "provider_timeout", True, None),
    (fake.refusal(400), "provider_error", False, None),
    (fake.refusal(400, "context_length_exceeded"), "context_too_long", False, None),
    (fake.refusal(400, message="This model's maximum context length is 4096 tokens"),
     "context_too_long", False, None),
    (fake.refusal(400, "content_filter"), "content_filtered", False, None),
    (fake.refusal(401), "provider_error", False, None),
    (fake.refusal(403), "provider_error", False, None),
    (fake.refusal(404), "provider_error", False, None),
]  # fmt: skip


async def test_an_endpoint_that_does_not_answer_may_be_asked_again() -> None:
    """A refused connection has cost nothing."""
    provider = OpenAIProvider(model="m", base_url="http://127.0.0.1:9/v1")
    _, error = await outcome(provider, PROMPT)
    await provider.close()
    assert error is not None
    assert (error.code, error.retryable) == ("provider_error", True)


async def test_a_model_is_asked_to_go_on(service: Fake) -> None:
    """It repeats its last words, as asked; they are shown once."""
    service.play(fake.whole("The sky is blue", " because", " of air."))
    prompt = Prompt("Why?", PROMPT.passages, so_far="The sky is blue ")
    assert text_of(await collect(model(service), prompt)) == "because of air."
    assert "«The sky is blue»" in fake.question_of(service.calls[0])
    assert service.calls[0].body["messages"][-2]["content"] == "The sky is blue"


async def test_one_provider_in_two_loops(service: Fake) -> None:
    """As when a process runs a loop for each request: connections belong to one of them."""
    service.play(fake.whole("a"))
    provider = model(service)

    async def ask() -> str:
        text = text_of(await collect(provider, PROMPT))
        assert provider._client is not None
        await provider._client.aclose()
        return text

    for _ in range(2):
        assert await asyncio.to_thread(asyncio.run, ask()) == "a"


@asynccontextmanager
async def turns_of_the_loop() -> AsyncIterator[list[int]]:
    """A count of the loop's turns, in a list of one."""
    turns = [0]

    async def count() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(count())
    try:
        yield turns
    finally:
        task.cancel()


async def test_streams_that_begin_together_begin_one_a_turn(
    service: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To build sixty requests in one turn of the loop would hold up everything else."""
    provider = model(service)
    await collect(provider, PROMPT)  # the client is made
    began: list[int] = []

    async def post_bodies(*_: object, **more: object) -> None:
        began.append(turns[0])
        raise OSError("enough was seen")

    monkeypatch.setattr(OpenAIProvider, "_open_response", post_bodies)
    async with turns_of_the_loop() as turns:
        await asyncio.gather(*(outcome(provider, PROMPT) for _ in range(20)))
    assert len(began) == len(set(began)) == 20


async def test_chunks_that_came_together_are_shown_a_few_a_turn(service: Fake) -> None:
    """One socket that holds many does not hold up the other streams."""
    many = 10 * PARTS_A_TURN
    together = b"".join(fake.text(f"{number} ") for number in range(many))
    service.play(fake.stream(together, fake.stop(), fake.DONE))
    async with turns_of_the_loop() as turns:
        pieces = answer(model(service), PROMPT)
        seen = [turns[0] async for piece in pieces if isinstance(piece, Text)]
    assert len(seen) == many
    assert max(Counter(seen).values()) <= PARTS_A_TURN


async def test_a_crowd_lets_its_bytes_gather(
    service: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a read and not after each of its chunks; the words are the same."""
    reads: list[float] = []

    def get_read_pause() -> float:
        reads.append(0.001)
        return 0.001

    monkeypatch.setattr(read_pacing, "get_read_pause", get_read_pause)
    words = [f"{number} " for number in range(50)]
    together = b"".join(map(fake.text, words))
    gate = threading.Event()
    service.play(fake.stream(together, gate, together, fake.stop(), fake.DONE))
    said = []
    async for piece in answer(model(service), PROMPT):
        said += [piece.text] if isinstance(piece, Text) else []
        if len(said) == 50 and not gate.is_set():
            asyncio.get_running_loop().call_later(0.01, gate.set)
    assert said == words * 2
    assert 1 <= len(reads) < 20


async def test_a_crowd_is_no_slower_than_a_service_that_sends_a_chunk_a_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once for all chunks that one read brings: a pause after each would add up to seconds."""
    many = 50
    parts = [*(fake.text(f"{number} ") for number in range(many)), fake.stop(), fake.DONE]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + chunks + b"0\r\n\r\n")
        await writer.drain()
        writer.close()

    reads: list[float] = []

    def get_read_pause() -> float:
        reads.append(0.001)
        return 0.001

    monkeypatch.setattr(read_pacing, "get_read_pause", get_read_pause)
    async with accept_connections(serve) as port:
        provider = OpenAIProvider(model="m", base_url=f"http://127.0.0.1:{port}")
        said = await collect(provider, PROMPT)
        await provider.close()
    assert text_of(said).count(" ") == many
    assert len(reads) < many / 2


async def test_an_empty_address_is_openais_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a line of a file of settings that was left empty."""
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    assert OpenAIProvider(model="m")._find_url() == "https://api.openai.com/v1/chat/completions"
