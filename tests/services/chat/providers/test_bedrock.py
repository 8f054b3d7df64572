"""Bedrock through real boto3 over a real socket: every end, every fault, nothing left open."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from fakes import bedrock as fake
from fakes.aws_account import ACCOUNT
from fakes.steps import Fake
from services import aws
from services.chat import ModelUsage, Prompt, Stop, Turn, answer
from services.chat.budget import Budget, BudgetedProvider
from services.chat.prompt import estimate_prompt_tokens
from services.chat.providers import read_pacing
from services.chat.providers.bedrock import BedrockProvider
from services.chat.providers.bedrock_request import Guardrail
from services.chat.providers.thoughts import ThinkingPolicy
from services.errors import SetupError
from tests.services.chat.conformance import collect, outcome, text_of
from tests.services.chat.providers.bag import passage

pytestmark = pytest.mark.anyio

ENDPOINT = "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"

PROMPT = Prompt("Why?", (passage("Why?", "Sky", "The sky is blue because air scatters light."),))


@pytest.fixture(scope="module")
def fake_bedrock() -> Iterator[Fake]:
    """A fake Bedrock, and with it one client, for all tests here: a client is dear."""
    with fake.bedrock() as started:
        aws.forget()
        yield started
        aws.forget()


@pytest.fixture
def service(fake_bedrock: Fake, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The fake as it was started, and an account that finds it."""
    account = {**ACCOUNT, ENDPOINT: fake_bedrock.url}
    for name, value in account.items():
        monkeypatch.setenv(name, value)
    fake_bedrock.play_by(fake.answering)
    return fake_bedrock


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
    usage = [piece for piece in await collect(model(), PROMPT) if isinstance(piece, ModelUsage)]
    assert usage == [ModelUsage(117, 2, None, cached_tokens=100, stored_tokens=7)]


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


def effort(name: str, level: str, **more: Any) -> BedrockProvider:
    """A model that is asked to think so hard."""
    return BedrockProvider(model=name, thinking=ThinkingPolicy(effort=level), **more)


THINKING = [
    ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "low",
     {"thinking": {"type": "enabled", "budget_tokens": 2048}}, 1024 + 2048),
    ("global.anthropic.claude-opus-5", "high",
     {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}, 1024 + 8192),
    ("global.amazon.nova-2-lite-v1:0", "medium",
     {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}}, 1024 + 8192),
    ("global.amazon.nova-2-lite-v1:0", "high",
     {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}, None),
    ("openai.gpt-oss-120b-1:0", "minimal", {"reasoning_effort": "low"}, 1024 + 8192),
    ("global.anthropic.claude-opus-5", "none", {"thinking": {"type": "disabled"}}, 1024),
    ("eu.amazon.nova-lite-v1:0", "high", None, 1024),
]  # fmt: skip


@pytest.mark.parametrize(("name", "level", "fields", "limit"), THINKING)
async def test_each_family_is_asked_to_think_in_its_own_way(
    service: Fake, name: str, level: str, fields: Any, limit: int | None
) -> None:
    """With room for it, and without the temperature, which goes with no thinking."""
    service.play(fake.whole("Air."))
    await collect(effort(name, level, temperature=0.5), PROMPT)
    body = service.calls[0].body
    assert body.get("additionalModelRequestFields") == fields
    assert body.get("inferenceConfig", {}).get("maxTokens") == limit
    assert ("temperature" in body.get("inferenceConfig", {})) == (level == "none" or fields is None)


async def test_a_message_that_is_continued_is_not_thought_about(service: Fake) -> None:
    """The service would refuse it."""
    service.play(fake.whole(" because."))
    claude = effort("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "high")
    await collect(claude, Prompt("Why?", PROMPT.passages, so_far=SAID))
    assert "additionalModelRequestFields" not in service.calls[0].body
    assert service.calls[0].body["messages"][-1]["role"] == "assistant"


async def test_the_answer_keeps_its_own_limit_where_thoughts_have_theirs(service: Fake) -> None:
    """It is cut by our count, and what it cost is estimated: the service had not said it."""
    service.play(fake.whole(*["word "] * 400))
    thinker = effort("global.amazon.nova-2-lite-v1:0", "low")
    pieces = await collect(thinker, replace(PROMPT, max_tokens=100))
    assert pieces[-1] == Stop("length")
    assert 350 <= len(text_of(pieces)) <= 355
    assert not any(isinstance(piece, ModelUsage) for piece in pieces)


REFUSED = [
    ("The maximum tokens you requested exceeds the model limit of 512.", {}, "inferenceConfig",
     {"maxTokens": 512}),
    ("The model returned the following errors: `temperature` is deprecated for this model.",
     {"temperature": 0.5}, "inferenceConfig", {"maxTokens": 1024}),
    ("The model returned the following errors: reasoning_effort: Extra inputs are not permitted",
     {"thinking": ThinkingPolicy(effort="low"), "model": "openai.gpt-oss-20b"},
     "additionalModelRequestFields", None),
    ("This model doesn't support system messages. Try again without a system message.", {},
     "system", None),
]  # fmt: skip


@pytest.mark.parametrize(("message", "settings", "key", "value"), REFUSED)
async def test_a_refused_parameter_is_changed_and_remembered(
    service: Fake, message: str, settings: Any, key: str, value: Any
) -> None:
    """One more call, the first time; none of them is a question that is too long."""
    provider = BedrockProvider(**{"model": "vendor.model-v1:0", **settings})
    refusal = fake.refusal("ValidationException", 400, message)
    service.play(refusal, fake.whole("Air."))
    assert text_of(await collect(provider, PROMPT)) == "Air."
    assert service.calls[1].body.get(key) == value
    service.play(fake.whole("Air."))
    await collect(provider, PROMPT)
    assert [call.body.get(key) for call in service.calls] == [value]


async def test_an_internal_error_frame_may_pass(service: Fake) -> None:
    """Its name is not one of an exception's."""
    service.play(
        fake.stream(fake.START, fake.text("Half"), fake.error("InternalError", "Internal error"))
    )
    _, error = await outcome(model(), PROMPT)
    assert error is not None
    assert (error.code, error.retryable) == ("provider_error", True)


async def test_a_second_metadata_takes_no_usage_away(service: Fake) -> None:
    """Guardrails send one with a trace and no usage."""
    again = fake.event("metadata", {"usage": {}, "trace": {}})
    service.play(fake.stream(fake.START, fake.text("a"), fake.stop(), fake.usage(7, 1), again))
    assert ModelUsage(7, 1, None) in await collect(model(), PROMPT)


async def test_a_model_may_cite_the_passages_itself(service: Fake) -> None:
    """It gets them as search results; its citations are ours, behind what they are for."""
    passages = (
        passage("Why?", "Sky", "Air scatters light."),
        passage("Why?", "Sea", "Water absorbs red."),
    )
    service.play(
        fake.stream(
            fake.START,
            fake.text("The sky is blue."),
            fake.cite(0),
            fake.cite(0),
            fake.end_block(),
            fake.text(" The sea too."),
            fake.cite(99, source=passages[1].uri or passages[1].id),
            fake.cite(99, source="elsewhere"),
            fake.end_block(),
            fake.text(" Perhaps."),
            fake.stop(),
            fake.usage(),
        )
    )
    claude = BedrockProvider(
        model="eu.anthropic.claude-sonnet-4-5-20250929-v1:0", has_native_citations=True
    )
    pieces = await collect(claude, Prompt("Why?", passages))
    assert text_of(pieces) == "The sky is blue. [1] The sea too. [2] Perhaps."
    body = service.calls[0].body
    results = [block["searchResult"] for block in body["messages"][0]["content"][:-1]]
    assert [result["content"] for result in results] == [
        [{"text": "Air scatters light."}],
        [{"text": "Water absorbs red."}],
    ]
    assert all(result["citations"] == {"enabled": True} for result in results)
    assert body["messages"][0]["content"][-1] == {"text": "Why?"}
    assert "<passage" not in str(body)


@pytest.mark.parametrize("name", ["eu.amazon.nova-lite-v1:0", "anthropic.claude-3-haiku-20240307"])
async def test_a_model_that_cites_nothing_gets_fences_as_ever(service: Fake, name: str) -> None:
    """Whatever the setting says."""
    await collect(BedrockProvider(model=name, has_native_citations=True), PROMPT)
    assert "<passage" in str(service.calls[0].body)
    assert "searchResult" not in str(service.calls[0].body)


async def test_a_cache_may_be_kept_for_an_hour(service: Fake) -> None:
    """As the setting says."""
    await collect(model(cache="1h"), PROMPT)
    point = {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert service.calls[0].body["system"][-1] == point


async def test_tokens_are_counted_by_the_service(
    service: Fake, caplog: pytest.LogCaptureFixture
) -> None:
    """Of the model, not of a profile of it; one that counts none is asked once."""
    provider = BedrockProvider(model="eu.anthropic.claude-sonnet-4-5-20250929-v1:0")
    counted = await provider.count_tokens(PROMPT)
    assert counted is not None
    assert 200 < counted < 1000
    assert fake.model_of(service.calls[0]) == "anthropic.claude-sonnet-4-5-20250929-v1:0"
    service.play(fake.refusal("AccessDeniedException", 403))
    assert await provider.count_tokens(PROMPT) is None
    assert await provider.count_tokens(PROMPT) is None
    assert len(service.calls) == 1
    assert "counts no tokens" in caplog.text


async def test_a_question_near_the_budget_is_counted_before_it_is_refused(service: Fake) -> None:
    """The estimate is rather too high; the count decides, and is asked for only then."""
    estimate = estimate_prompt_tokens(PROMPT)
    budgeted = BudgetedProvider(model(), None, Budget(tokens=estimate + 10))
    assert text_of(await collect(budgeted, PROMPT))
    assert [call.path.rpartition("/")[2] for call in service.calls] == [
        "count-tokens",
        "converse-stream",
    ]
    service.play_by(fake.answering)
    roomy = BudgetedProvider(model(), None, Budget(tokens=estimate + 5000))
    await collect(roomy, PROMPT)
    assert [call.path.rpartition("/")[2] for call in service.calls] == ["converse-stream"]
