"""Open the provider that the settings name.

A provider is one module and one line of `PROVIDERS`; nothing here knows how one answers.
"""

import importlib.util
import os
from collections.abc import Callable

from ..errors import SetupError
from ..settings import Settings
from .provider import ChatProvider

# Where the installation names none. Models come and go: docs/models.md says to check them.
BEDROCK_MODEL = "global.amazon.nova-2-lite-v1:0"
OPENAI_MODEL = "gpt-4.1-mini"


def _extractive(_settings: Settings) -> ChatProvider:
    from .providers.extractive import Extractive

    return Extractive()


def _scripted(settings: Settings) -> ChatProvider:
    from .providers.script_file import read_script
    from .providers.scripted import Scripted

    if settings.script is None:
        raise SetupError("RIVERRUN_CHAT=scripted needs RIVERRUN_SCRIPT, the path of a JSON script.")
    return Scripted(read_script(settings.script))


def _bedrock(settings: Settings) -> ChatProvider:
    from .providers.bedrock import Bedrock, Guardrail

    guardrail = None
    if settings.guardrail:
        identifier, _, version = settings.guardrail.rpartition(":")
        if not identifier or not (version.isdecimal() or version == "DRAFT"):
            raise SetupError(
                f"RIVERRUN_GUARDRAIL={settings.guardrail!r} is no guardrail. It is the id or ARN, "
                "a colon, and the version: abc123:1 or abc123:DRAFT."
            )
        guardrail = Guardrail(identifier, version)
    return _served(
        settings,
        lambda model: Bedrock(
            model=model,
            timeout=settings.chat_timeout,
            temperature=settings.chat_temperature,
            guardrail=guardrail,
            cache=settings.chat_cache,
            instructions=_instructions(settings),
        ),
        BEDROCK_MODEL,
    )


def _openai(settings: Settings) -> ChatProvider:
    from .providers.openai import OpenAI

    if importlib.util.find_spec("openai") is None:
        raise SetupError(
            "RIVERRUN_CHAT=openai needs the client. Install it with: pip install openai; for "
            "Lambda, make the package with PROFILE=openai or embedded."
        )
    if settings.openai_base_url is None and settings.openai_api_key is None:
        raise SetupError(
            "RIVERRUN_CHAT=openai needs OPENAI_API_KEY, or OPENAI_BASE_URL of an endpoint that "
            "asks for no key, like http://localhost:11434/v1."
        )
    return _served(
        settings,
        lambda model: OpenAI(
            model=model,
            base_url=settings.openai_base_url,
            api_key=settings.openai_api_key,
            timeout=settings.chat_timeout,
            temperature=settings.chat_temperature,
            instructions=_instructions(settings),
        ),
        OPENAI_MODEL,
    )


def _local(settings: Settings) -> ChatProvider:
    from .budget import Budget, Metered
    from .prices import FREE
    from .providers.gguf import read_model
    from .providers.local import Local
    from .providers.weights import INSTALL, MODEL, find_weights

    if importlib.util.find_spec("xllamacpp") is None:
        raise SetupError(
            "RIVERRUN_CHAT=local needs the runtime of the local model, an optional extra. "
            f"Install it with: {INSTALL}"
        )
    weights = find_weights(settings.chat_gguf)
    read_model(weights)
    local = Local(
        model=weights.stem if settings.chat_gguf else MODEL,
        weights=weights,
        # The other half is the event loop's and everybody else's.
        threads=max(1, _cores() // 2),
        timeout=settings.chat_timeout,
        temperature=settings.chat_temperature or 0.0,
        instructions=_instructions(settings),
    )
    return Metered(local, FREE, Budget(usd=settings.budget_usd, tokens=settings.budget_tokens))


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _served(
    settings: Settings, provider: Callable[[str], ChatProvider], default: str
) -> ChatProvider:
    """The models of `settings`, each with its bill, tried in their order."""
    from .budget import Budget, Metered
    from .prices import read_prices
    from .retry import Retrying

    prices = read_prices(settings.prices)
    budget = Budget(usd=settings.budget_usd, tokens=settings.budget_tokens)
    models = []
    for name in settings.chat_models or (default,):
        price = prices.of(name)
        if price is None and budget.usd is not None:
            raise SetupError(
                f"RIVERRUN_BUDGET_USD needs a price of {name}: add a line for it to the file that "
                "RIVERRUN_PRICES names, or set RIVERRUN_BUDGET_TOKENS instead."
            )
        models.append(Metered(provider(name), price, budget))
    return Retrying(models, restart=settings.chat_after_text == "restart")


def _instructions(settings: Settings) -> str:
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
    "extractive": _extractive,
    "scripted": _scripted,
    "bedrock": _bedrock,
    "openai": _openai,
    "local": _local,
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
