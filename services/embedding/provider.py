"""What an embedding provider is, and the table that picks one.

A provider turns texts into vectors and knows nothing of documents, indexes or runs.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from ..errors import RiverrunError, SetupError
from ..settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


Kind = Literal["passage", "question"]
"""What a text is: several models put the two at different places of one space."""


class EmbeddingError(RiverrunError):
    """The provider gave no vectors. The cause is chained, for the log."""

    code = "retrieval_failed"
    retryable = True


class Embedder(Protocol):
    """Texts in, unit vectors out.

    `model` is the stable id an index records: vectors of two ids must never be compared.
    `dimension` is the length of a vector.
    """

    model: str
    dimension: int

    async def embed(self, texts: Sequence[str], kind: Kind = "passage") -> "NDArray[np.float32]":
        """Return an array of shape ``(len(texts), dimension)``, float32, rows of length one.

        Raises `EmbeddingError` when the provider fails, and `SetupError` when the model is
        missing, may not be used, or is not the model it claims to be.
        """
        ...

    async def close(self) -> None:
        """Let threads and connections go; nothing is embedded afterwards."""
        ...


def _local(settings: Settings) -> Embedder:
    from .local import LocalEmbedder

    return LocalEmbedder(settings.model_path)


def _bedrock(settings: Settings) -> Embedder:
    from .bedrock import open_bedrock

    return open_bedrock(settings.embedding_model, settings.embedding_dimension)


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
