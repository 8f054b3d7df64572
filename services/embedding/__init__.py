"""Embedding: texts in, unit vectors out."""

from .opening import open_embedder
from .provider import Embedder, EmbeddingError, Kind

__all__ = ["Embedder", "EmbeddingError", "Kind", "open_embedder"]
