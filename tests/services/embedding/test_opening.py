"""The table of embedding providers."""

import pytest

from services.embedding import open_embedder
from services.errors import SetupError
from services.settings import Settings


def test_the_default_is_the_embedded_model() -> None:
    """Its id and dimension are what an index records; opening it loads nothing."""
    embedder = open_embedder(Settings())
    assert (embedder.model, embedder.dimension) == ("all-MiniLM-L6-v2-int8", 384)


def test_an_unknown_provider_is_an_error_that_lists_the_known_ones() -> None:
    """The person who set it learns what to write instead."""
    with pytest.raises(SetupError, match="Use one of: bedrock, local, multilingual, openai"):
        open_embedder(Settings(embedding="llama"))
