"""Embedding: texts in, unit vectors out."""

from services.embedding.provider import Embedder, open_embedder

__all__ = ["Embedder", "open_embedder"]
