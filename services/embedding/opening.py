"""Open the embedding provider that the settings name."""

from collections.abc import Callable

from ..errors import SetupError
from ..settings import Settings
from .provider import Embedder


def _local(settings: Settings) -> Embedder:
    from .local import LocalEmbedder

    return LocalEmbedder(settings.embedding_file)


def _bedrock(settings: Settings) -> Embedder:
    from .bedrock import open_bedrock

    return open_bedrock(settings.embedding_model, settings.embedding_dimension)


def _multilingual(_settings: Settings) -> Embedder:
    from .multilingual import MultilingualEmbedder

    return MultilingualEmbedder()


def _openai(settings: Settings) -> Embedder:
    from .openai import open_openai

    return open_openai(
        settings.embedding_model,
        settings.embedding_dimension,
        base_url=settings.openai_base_url,
        api_key=settings.openai_api_key,
    )


# Each opener imports its own module: a cold start pays only for the provider it uses.
PROVIDERS: dict[str, Callable[[Settings], Embedder]] = {
    "bedrock": _bedrock,
    "local": _local,
    "multilingual": _multilingual,
    "openai": _openai,
}


def open_embedder(settings: Settings) -> Embedder:
    """Return the provider `settings.embedding` names. Cheap: a model is loaded on first use.

    Raises `SetupError` for an unknown name or model, and when a model file is not there.
    """
    try:
        provider = PROVIDERS[settings.embedding]
    except KeyError:
        known = ", ".join(sorted(PROVIDERS))
        raise SetupError(
            f"RIVERRUN_EMBEDDING={settings.embedding!r} is not known. Use one of: {known}."
        ) from None
    return provider(settings)
