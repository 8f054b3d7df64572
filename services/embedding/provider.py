"""What an embedding provider is.

A provider turns texts into vectors and knows nothing of documents, indexes or runs.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from ..errors import RiverrunError

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


@runtime_checkable
class OpenableAhead(Protocol):
    """An embedder that has something to open, and can before the first text."""

    def open_ahead(self) -> None:
        """Begin to open the model in a thread; what fails is told by the first text."""
        ...
