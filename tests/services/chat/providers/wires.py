"""The services of `test_conformance`: a fake each, a provider that asks it, and its own words."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from fakes import bedrock, openai
from fakes.aws_account import ACCOUNT
from fakes.steps import Fake, Reply, Step
from services import aws
from services.chat import ChatProvider
from services.chat.providers import bedrock as bedrock_module
from services.chat.providers import completion_stream
from services.chat.providers.bedrock import BedrockProvider
from services.chat.providers.openai import OpenAIProvider
from services.chat.providers.thoughts import ThinkingPolicy

ENDPOINT = "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"


@dataclass(frozen=True, kw_only=True)
class Wire:
    """How one service says what all of them say.

    `kind` is the module of its fake. `open` makes a provider of a running fake; the others are
    rows of what the service sends, with what it means.
    """

    name: str
    kind: Any
    run: Callable[[], AbstractContextManager[Fake]]
    open: Callable[[str, dict[str, Any]], ChatProvider]
    good: dict[str, str]
    bad: dict[str, tuple[str, bool]]
    broken: dict[str, tuple[list[Step], str]]
    refusals: dict[str, tuple[Reply, str, bool, int | None]]
    thought: bytes
    environ: Callable[[Fake], dict[str, str]]
    shorten_patience: Callable[[pytest.MonkeyPatch], None]


def _open_openai(url: str, settings: dict[str, Any]) -> ChatProvider:
    return OpenAIProvider(model="tiny", base_url=f"{url}/v1", **settings)


def _open_bedrock(_url: str, settings: dict[str, Any]) -> ChatProvider:
    return BedrockProvider(model="vendor.model-v1:0", **settings)


@contextmanager
def _run_bedrock() -> Iterator[Fake]:
    with bedrock.bedrock() as fake:
        aws.forget()
        yield fake
        aws.forget()


BEDROCK = Wire(
    name="bedrock",
    kind=bedrock,
    run=_run_bedrock,
    open=_open_bedrock,
    good={"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length"},
    bad={
        "content_filtered": ("content_filtered", False),
        "guardrail_intervened": ("content_filtered", False),
        "tool_use": ("provider_error", False),
        "malformed_model_output": ("provider_error", False),
        "bored": ("provider_error", False),
    },
    broken={
        "bad checksum": ([bedrock.bad_crc(bedrock.text("answer"))], "provider_truncated"),
        "too long a frame": ([bedrock.too_long()], "provider_truncated"),
        "half a frame": ([bedrock.text("answer")[:20]], "provider_truncated"),
        "usage without an end": ([bedrock.usage()], "provider_truncated"),
        "16 MB that never come": ([bedrock.long_head(16 << 20), "hang"], "provider_timeout"),
    },
    refusals={
        "throttled": (
            bedrock.refusal("ThrottlingException", 429, **{"Retry-After": "2"}),
            "provider_throttled", True, 2000,
        ),
        "a gateway": (bedrock.refusal("", 503), "provider_error", True, None),
        "a gateway's 429": (bedrock.refusal("", 429), "provider_throttled", True, None),
        "its fault": (
            bedrock.refusal("InternalServerException", 500), "provider_error", True, None,
        ),
        "not ready": (bedrock.refusal("ModelNotReadyException", 429), "provider_error", True, None),
        "too slow": (bedrock.refusal("ModelTimeoutException", 408), "provider_timeout", True, None),
        "no right": (bedrock.refusal("AccessDeniedException", 403), "provider_error", False, None),
        "our fault": (bedrock.refusal("ValidationException", 400), "provider_error", False, None),
        "too long": (
            bedrock.refusal("ValidationException", 400, "Input is too long for requested model."),
            "context_too_long", False, None,
        ),
        "no quota": (
            bedrock.refusal("ServiceQuotaExceededException", 400),
            "provider_throttled", False, None,
        ),
    },
    thought=bedrock.thought_text("Hm"),
    environ=lambda fake: {**ACCOUNT, ENDPOINT: fake.url},
    shorten_patience=lambda patch: patch.setattr(bedrock_module, "METADATA_PATIENCE", 0.1),
)  # fmt: skip

OPENAI = Wire(
    name="openai",
    kind=openai,
    run=openai.openai,
    open=_open_openai,
    good={"stop": "stop", "length": "length"},
    bad={
        "content_filter": ("content_filtered", False),
        "tool_calls": ("provider_error", False),
        "function_call": ("provider_error", False),
        "error": ("provider_error", True),
        "bored": ("provider_error", False),
    },
    broken={
        "error object": ([openai.error()], "provider_error"),
        "overloaded": ([openai.error(code="rate_limit_exceeded")], "provider_throttled"),
        "no JSON": ([b"data: {half\n\n"], "provider_truncated"),
        "half a chunk": ([openai.text("more")[:30]], "provider_truncated"),
        "only comments": ([b": ping\n\n", 0.1] * 30, "provider_timeout"),
    },
    refusals={
        "throttled": (openai.refusal(429, Retry_After="2"), "provider_throttled", True, 2000),
        "throttled, exactly": (
            openai.refusal(429, retry_after_ms="150"), "provider_throttled", True, 150,
        ),
        "throttled until a date": (
            openai.refusal(429, Retry_After="Wed, 21 Oct 2099 07:28:00 GMT"),
            "provider_throttled", True, 86_400_000,
        ),
        "no quota": (openai.refusal(429, "insufficient_quota"), "provider_throttled", False, None),
        "its fault": (openai.refusal(500), "provider_error", True, None),
        "a gateway": (openai.refusal(503), "provider_error", True, None),
        "too slow": (openai.refusal(408), "provider_timeout", True, None),
        "our fault": (openai.refusal(400), "provider_error", False, None),
        "too long": (
            openai.refusal(400, "context_length_exceeded"), "context_too_long", False, None,
        ),
        "filtered": (openai.refusal(400, "content_filter"), "content_filtered", False, None),
        "no key": (openai.refusal(401), "provider_error", False, None),
        "no model": (openai.refusal(404), "provider_error", False, None),
    },
    thought=openai.thought_text("Hm"),
    environ=lambda _: {},
    shorten_patience=lambda patch: patch.setattr(completion_stream, "USAGE_PATIENCE", 0.1),
)  # fmt: skip

WIRES = (BEDROCK, OPENAI)


def short_of_patience(seconds: float) -> dict[str, Any]:
    """The settings of a provider that waits for so long, thoughts or not."""
    return {"timeout": seconds, "thinking": ThinkingPolicy(timeout=seconds)}
