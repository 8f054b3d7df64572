"""Embedding: texts in, unit vectors out."""

from .provider import Embedder, EmbeddingError, Kind, open_embedder

__all__ = ["Embedder", "EmbeddingError", "Kind", "open_embedder"]
