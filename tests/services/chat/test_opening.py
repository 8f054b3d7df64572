"""`open_chat` picks the provider the settings name."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.chat import open_chat
from services.chat.budget import BudgetedProvider
from services.chat.opening import PROVIDERS
from services.chat.prices import FREE
from services.chat.providers.bedrock import BedrockProvider
from services.chat.providers.bedrock_request import Guardrail
from services.chat.retry import RetryingProvider
from services.errors import SetupError
from services.settings import CHAT_PROVIDERS, Settings
from tests.services.chat.providers.small_gguf import small_gguf


def test_every_provider_the_settings_know_can_be_opened(tmp_path: Path) -> None:
    """Settings and providers list the same names, and each answers to its own."""
    script = tmp_path / "script.json"
    script.write_text(json.dumps([{"when": "*", "steps": []}]))
    assert set(CHAT_PROVIDERS) <= set(PROVIDERS)
    for name in set(PROVIDERS) - {"local"}:
        provider = open_chat(
            Settings(chat=name, script=script, openai_api_key="k", chat_models=("m",))
        )
        assert provider.model == ("m" if name in ("bedrock", "openai") else name)


def test_an_unknown_provider_is_refused_with_the_known_ones() -> None:
    """The error lists what could have been written."""
    with pytest.raises(SetupError, match=r"'oracle'.*extractive, scripted"):
        open_chat(replace(Settings(), chat="oracle"))


def test_scripted_without_a_script_says_which_variable_is_missing() -> None:
    """The message names RIVERRUN_SCRIPT."""
    with pytest.raises(SetupError, match="RIVERRUN_SCRIPT"):
        open_chat(Settings(chat="scripted"))


def test_the_models_of_the_settings_are_tried_in_their_order() -> None:
    """Each with its price and its own budget."""
    settings = Settings(chat="bedrock", chat_models=("amazon.nova-pro-v1:0", "x"), budget_tokens=9)
    provider = open_chat(settings)
    assert isinstance(provider, RetryingProvider)
    assert [model.model for model in provider.models] == ["amazon.nova-pro-v1:0", "x"]
    first = provider.models[0]
    assert isinstance(first, BudgetedProvider)
    assert first.price is not None
    assert first.budget.tokens == 9


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"chat": "openai"}, "OPENAI_API_KEY"),
        ({"chat": "openai", "openai_api_key": "sk-1\nsk-2"}, "OPENAI_API_KEY holds"),
        ({"chat": "openai", "openai_api_key": "sk-é"}, "OPENAI_API_KEY holds"),
        ({"chat": "openai", "openai_base_url": "localhost:11434/v1"}, "begins with http"),
        ({"chat": "openai", "openai_base_url": "http://"}, "is no address"),
        ({"chat": "openai", "openai_base_url": "http://a:99999/v1"}, "is no address"),
        ({"chat": "openai", "openai_base_url": "http://[::1/v1"}, "is no address"),
        ({"chat": "openai", "openai_base_url": "https://a b/v1"}, "is no address"),
        ({"chat": "bedrock", "guardrail": "abc"}, "RIVERRUN_GUARDRAIL"),
        ({"chat": "bedrock", "guardrail": "arn:aws:bedrock:x:1:guardrail/abc"}, "abc:DRAFT|abc123"),
        ({"chat": "bedrock", "chat_models": ("x",), "budget_usd": 1.0}, "price of x"),
        ({"chat": "bedrock", "prices": Path("none.json")}, "RIVERRUN_PRICES"),
        ({"chat": "bedrock", "chat_instructions": Path("none.txt")}, "RIVERRUN_CHAT_INSTRUCTIONS"),
    ],
)
def test_an_installation_at_fault_says_what_to_set(wrong: dict[str, Any], says: str) -> None:
    """At start, before any question and any cost."""
    with pytest.raises(SetupError, match=says):
        open_chat(Settings(**wrong))


def test_a_guardrail_may_be_an_arn() -> None:
    """Which has colons of its own."""
    arn = "arn:aws:bedrock:eu-west-1:1:guardrail/abc"
    provider = open_chat(Settings(chat="bedrock", guardrail=f"{arn}:7"))
    assert isinstance(provider, RetryingProvider)
    model = provider.models[0]
    assert isinstance(model, BudgetedProvider)
    assert isinstance(model.provider, BedrockProvider)
    assert model.provider.guardrail == Guardrail(arn, "7")


def test_the_local_model_is_named_after_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs nothing, also where a budget in dollars is set; its runtime is not imported."""
    (tmp_path / "xllamacpp.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    gguf = small_gguf(tmp_path / "tiny.gguf")
    provider = open_chat(Settings(chat="local", chat_gguf=gguf, budget_usd=0.01))
    assert provider.model == "tiny"
    assert isinstance(provider, BudgetedProvider)
    assert provider.price == FREE


def test_the_local_model_without_its_runtime_says_what_to_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One command."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(SetupError, match="make setup-llm"):
        open_chat(Settings(chat="local"))


@pytest.mark.parametrize("chat", ["bedrock", "openai"])
def test_opening_a_model_imports_no_client(chat: str) -> None:
    """boto3 and openai cost half a second each: they come with the first question."""
    code = (
        "import sys, functions.chat, functions.runs, functions.health\n"
        "from services.chat import open_chat\n"
        "from services.settings import Settings\n"
        f"open_chat(Settings(chat={chat!r}, openai_api_key='k'))\n"
        "print(sorted({'boto3', 'botocore', 'openai', 'httpx2', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert done.stdout.strip() == "[]"


def test_importing_chat_imports_no_engine() -> None:
    """A cold start pays for numpy or a model only when something uses it."""
    code = "import sys, services.chat.providers.extractive; print('numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert done.stdout.strip() == "False"


def test_settings_of_thinking_citations_and_the_cache_reach_the_model() -> None:
    """And an hour of cache has a price of its own."""
    settings = Settings(
        chat="bedrock",
        chat_models=("eu.anthropic.claude-sonnet-4-5-20250929-v1:0",),
        chat_effort="low",
        chat_thinking_tokens=2000,
        chat_thinking_timeout=99.0,
        chat_citations="native",
        chat_cache="1h",
    )
    provider = open_chat(settings)
    assert isinstance(provider, RetryingProvider)
    budgeted = provider.models[0]
    assert isinstance(budgeted, BudgetedProvider)
    assert budgeted.price is not None
    assert budgeted.price.stored == 6.6
    model = budgeted.provider
    assert isinstance(model, BedrockProvider)
    assert (model.thinking.effort, model.thinking.tokens, model.thinking.timeout) == (
        "low", 2000, 99.0,
    )  # fmt: skip
    assert (model.cache, model.has_native_citations) == ("1h", True)
