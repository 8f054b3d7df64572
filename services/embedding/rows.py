"""What a remote provider answered, made into rows that can be compared; or refused.

A provider is a stranger: a row too few, of another length or of no direction would spoil an
index for ever, so nothing of it is taken on trust.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .provider import EmbeddingError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SEARCHING_FAILED = "The documents could not be searched: the embedding service failed."
LATER = "Ask again in a moment. If it keeps failing, the log of the service says why."


def unit_rows(vectors: Any, count: int, dimension: int) -> "NDArray[np.float32]":
    """Return `vectors`, a list of lists of numbers, as unit rows of shape ``(count, dimension)``.

    Raises `EmbeddingError` when they are anything else.
    """
    import numpy as np

    try:
        rows = np.array(vectors, np.float64)
    except (TypeError, ValueError) as error:
        raise invalid_answer("no numbers") from error
    if rows.shape != (count, dimension):
        raise invalid_answer(f"the shape {rows.shape} instead of {(count, dimension)}")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.all(np.isfinite(lengths)) or not np.all(lengths > 0):
        raise invalid_answer("a vector without a direction")
    unit: NDArray[np.float32] = (rows / lengths).astype(np.float32)
    return unit


def invalid_answer(what: str) -> EmbeddingError:
    """Return the error for an answer that is not what was asked for; `what` is for the log."""
    error = EmbeddingError(SEARCHING_FAILED, code="provider_error", retryable=False, hint=LATER)
    error.__cause__ = ValueError(f"the embedding service answered with {what}")
    return error


def split_batches(texts: Sequence[str], size: int) -> list[Sequence[str]]:
    """Cut `texts` into runs of at most `size`."""
    return [texts[start : start + size] for start in range(0, len(texts), size)]
