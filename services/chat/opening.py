"""Open the provider that the settings name.

A provider is one module and one line of `PROVIDERS`; nothing here knows how one answers.
"""

from collections.abc import Callable

from services.chat.provider import ChatProvider
from services.errors import SetupError
from services.settings import Settings


def _extractive(_settings: Settings) -> ChatProvider:
    from services.chat.extractive import Extractive

    return Extractive()


def _scripted(settings: Settings) -> ChatProvider:
    from services.chat.script_file import read_script
    from services.chat.scripted import Scripted

    if settings.script is None:
        raise SetupError("RIVERRUN_CHAT=scripted needs RIVERRUN_SCRIPT, the path of a JSON script.")
    return Scripted(read_script(settings.script))


# Each opener imports its own module: a cold start pays only for the provider it uses.
PROVIDERS: dict[str, Callable[[Settings], ChatProvider]] = {
    "extractive": _extractive,
    "scripted": _scripted,
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
