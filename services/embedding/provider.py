"""What an embedding provider is, and the table that picks one.

A provider turns texts into vectors and knows nothing of documents, indexes or runs.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from services.errors import SetupError
from services.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Embedder(Protocol):
    """Texts in, unit vectors out.

    `model` is the stable id an index records: vectors of two ids must never be compared.
    `dimension` is the length of a vector.
    """

    model: str
    dimension: int

    async def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """Return an array of shape ``(len(texts), dimension)``, float32, rows of length one.

        Raises `SetupError` when the model is missing or is not the model it claims to be.
        """
        ...


def _local(settings: Settings) -> Embedder:
    from services.embedding.local import LocalEmbedder

    return LocalEmbedder(settings.model_path)


PROVIDERS: dict[str, Callable[[Settings], Embedder]] = {"local": _local}


def open_embedder(settings: Settings) -> Embedder:
    """Return the provider `settings.embedding` names. Cheap: a model is loaded on first use.

    Raises `SetupError` for an unknown name, and when the model file is not there.
    """
    try:
        provider = PROVIDERS[settings.embedding]
    except KeyError:
        known = ", ".join(sorted(PROVIDERS))
        raise SetupError(
            f"RIVERRUN_EMBEDDING={settings.embedding!r} is not known. Use one of: {known}."
        ) from None
    return provider(settings)
