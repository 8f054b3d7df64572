"""Embedding: texts in, unit vectors out."""

from .opening import open_embedder
from .provider import Embedder, EmbeddingError, Kind, OpenableAhead

__all__ = ["Embedder", "EmbeddingError", "Kind", "OpenableAhead", "open_embedder"]
