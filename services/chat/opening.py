"""Open the provider that the settings name.

A provider is one module and one line of `PROVIDERS`; nothing here knows how one answers.
"""

import importlib.util
import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import SetupError
from ..settings import Settings
from .provider import ChatProvider

if TYPE_CHECKING:
    from .providers.thoughts import ThinkingPolicy

# Where the settings name none. Models come and go: docs/models.md says to check them.
BEDROCK_MODEL = "global.amazon.nova-2-lite-v1:0"
OPENAI_MODEL = "gpt-5.6-luna"


def _open_extractive(settings: Settings) -> ChatProvider:
    from .providers.extractive import ExtractiveProvider

    return ExtractiveProvider(settings.chat_pace)


def _open_scripted(settings: Settings) -> ChatProvider:
    from .providers.script_file import read_script
    from .providers.scripted import ScriptedProvider

    if settings.script is None:
        raise SetupError("RIVERRUN_CHAT=scripted needs RIVERRUN_SCRIPT, the path of a JSON script.")
    return ScriptedProvider(read_script(settings.script))


def _open_bedrock(settings: Settings) -> ChatProvider:
    from .providers.bedrock import BedrockProvider
    from .providers.bedrock_request import Guardrail

    guardrail = None
    if settings.guardrail:
        identifier, _, version = settings.guardrail.rpartition(":")
        if not identifier or not (version.isdecimal() or version == "DRAFT"):
            raise SetupError(
                f"RIVERRUN_GUARDRAIL={settings.guardrail!r} is no guardrail. It is the id or ARN, "
                "a colon, and the version: abc123:1 or abc123:DRAFT."
            )
        guardrail = Guardrail(identifier, version)
    return _open_models(
        settings,
        lambda model: BedrockProvider(
            model=model,
            timeout=settings.chat_timeout,
            temperature=settings.chat_temperature,
            guardrail=guardrail,
            cache=settings.chat_cache,
            instructions=_read_instructions(settings),
            has_native_citations=settings.chat_citations == "native",
            thinking=_make_thinking(settings),
        ),
        BEDROCK_MODEL,
        at="https://bedrock-runtime.us-east-1.amazonaws.com/",
    )


def _open_openai(settings: Settings) -> ChatProvider:
    from .providers.openai import OpenAIProvider

    if importlib.util.find_spec("httpx2") is None:
        raise SetupError(
            "RIVERRUN_CHAT=openai needs httpx2. Install it with: pip install openai, which brings "
            "it; for Lambda, make the package with PROFILE=openai or embedded."
        )
    if settings.openai_base_url is None and settings.openai_api_key is None:
        raise SetupError(
            "RIVERRUN_CHAT=openai needs OPENAI_API_KEY, or OPENAI_BASE_URL of an endpoint that "
            "asks for no key, like http://localhost:11434/v1."
        )
    _check_endpoint(settings)
    return _open_models(
        settings,
        lambda model: OpenAIProvider(
            model=model,
            base_url=settings.openai_base_url,
            api_key=settings.openai_api_key,
            timeout=settings.chat_timeout,
            temperature=settings.chat_temperature,
            instructions=_read_instructions(settings),
            thinking=_make_thinking(settings),
        ),
        OPENAI_MODEL,
        at=settings.openai_base_url or "https://api.openai.com/v1",
    )


def _open_local(settings: Settings) -> ChatProvider:
    from .budget import Budget, BudgetedProvider
    from .prices import FREE
    from .providers.gguf import read_model
    from .providers.local import LocalProvider
    from .providers.weights import INSTALL, MODEL, find_chat_weights

    if importlib.util.find_spec("xllamacpp") is None:
        raise SetupError(
            "RIVERRUN_CHAT=local needs the runtime of the local model, an optional extra. "
            f"Install it with: {INSTALL}"
        )
    weights = find_chat_weights(settings.chat_gguf)
    read_model(weights)
    local = LocalProvider(
        model=weights.stem if settings.chat_gguf else MODEL,
        weights=weights,
        # The other half is for the event loop and other processes.
        threads=max(1, _count_cores() // 2),
        timeout=settings.chat_timeout,
        temperature=settings.chat_temperature or 0.0,
        instructions=_read_instructions(settings),
    )
    return BudgetedProvider(
        local, FREE, Budget(usd=settings.budget_usd, tokens=settings.budget_tokens)
    )


def _count_cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _open_models(
    settings: Settings, provider: Callable[[str], ChatProvider], default: str, *, at: str
) -> ChatProvider:
    """Open the models of `settings` at the address `at`, each with its budget, in their order."""
    from .budget import Budget, BudgetedProvider
    from .prices import read_prices
    from .retry import RetryingProvider

    prices = read_prices(settings.prices, at=at)
    budget = Budget(usd=settings.budget_usd, tokens=settings.budget_tokens)
    models = []
    for name in settings.chat_models or (default,):
        price = prices.find(name)
        if price is not None and settings.chat_cache == "1h":
            price = replace(price, stored=price.stored_hour)
        if price is None and budget.usd is not None:
            raise SetupError(
                f"RIVERRUN_BUDGET_USD needs a price of {name}: add a line for it to the file that "
                "RIVERRUN_PRICES names, or set RIVERRUN_BUDGET_TOKENS instead."
            )
        models.append(BudgetedProvider(provider(name), price, budget))
    return RetryingProvider(models, restart=settings.chat_after_text == "restart")


def _make_thinking(settings: Settings) -> "ThinkingPolicy":
    from .providers.thoughts import ThinkingPolicy

    return ThinkingPolicy(
        effort=settings.chat_effort,
        tokens=settings.chat_thinking_tokens,
        timeout=settings.chat_thinking_timeout,
    )


def _check_endpoint(settings: Settings) -> None:
    """Refuse an address or a key that no request could be sent with."""
    from urllib.parse import urlsplit

    url, key = settings.openai_base_url, settings.openai_api_key
    if url is not None:
        try:
            parts = urlsplit(url)
            is_usable = parts.scheme in ("http", "https") and bool(parts.hostname)
            is_usable = is_usable and (parts.port or 1) > 0 and url.isascii() and url.isprintable()
        except ValueError:
            is_usable = False
        if not is_usable or " " in url:
            raise SetupError(
                f"OPENAI_BASE_URL={url!r} is no address. It begins with http:// or https://, like "
                "http://localhost:11434/v1."
            )
    if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
        raise SetupError(
            "OPENAI_API_KEY holds white space, a line break or a character that no key has. Copy "
            "the key again, alone."
        )


def _read_instructions(settings: Settings) -> str:
    if settings.chat_instructions is None:
        return ""
    try:
        return settings.chat_instructions.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(
            f"RIVERRUN_CHAT_INSTRUCTIONS: {settings.chat_instructions} cannot be read as text."
        ) from error


# Each opener imports its own module: a cold start pays only for the provider it uses.
PROVIDERS: dict[str, Callable[[Settings], ChatProvider]] = {
    "extractive": _open_extractive,
    "scripted": _open_scripted,
    "bedrock": _open_bedrock,
    "openai": _open_openai,
    "local": _open_local,
}


def open_chat(settings: Settings) -> ChatProvider:
    """Open the chat provider of `settings`.

    Raises `SetupError` when it is not a known one or cannot be opened as set up.
    """
    opener = PROVIDERS.get(settings.chat)
    if opener is None:
        raise SetupError(
            f"RIVERRUN_CHAT={settings.chat!r} is not known. Use one of: {', '.join(PROVIDERS)}."
        )
    return opener(settings)
