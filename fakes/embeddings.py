"""Embedding models that need nothing: a text is the sum of its words' own directions.

Deterministic, and near where words are shared, so that searching with them finds what a person
would expect it to. Requests are checked as the services check them.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fakes.steps import Refusal

STEM = 5
"""Letters that tell a word: "museum" and "museums" point one way."""

FAINT = 0.15
"""What a short word counts: most of them are everywhere."""

OPENAI_DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072}


def vector(text: str, dimension: int, kind: str = "") -> list[float]:
    """A vector of length one. `kind` tilts it a little, as a model with input types does."""
    total = 1e-3 * _direction("", dimension)
    for word in re.findall(r"\w+", text.lower()):
        total = total + (1.0 if len(word) > 3 else FAINT) * _direction(word[:STEM], dimension)
    total /= np.linalg.norm(total)
    total += 0.05 * _direction(f"kind {kind}", dimension)
    return [float(number) for number in total / np.linalg.norm(total)]


@lru_cache(maxsize=50_000)
def _direction(word: str, dimension: int) -> NDArray[np.float64]:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
    found = np.random.default_rng(seed).standard_normal(dimension)
    unit: NDArray[np.float64] = found / np.linalg.norm(found)
    return unit


def answer_invoke_model(model: str, body: Mapping[str, Any]) -> Refusal:
    """What InvokeModel answers, by the model's family."""
    for name, answer in (
        ("titan-embed", _titan),
        ("cohere.embed", _cohere),
        ("nova-2-multimodal-embeddings", _nova),
    ):
        if name in model:
            try:
                return Refusal(200, answer(model, body))
            except (AssertionError, KeyError, TypeError) as error:
                return _invalid(f"Malformed input request: {error!r}")
    return _invalid("The provided model identifier is invalid.")


def answer_embeddings(body: Mapping[str, Any]) -> Refusal:
    """What /v1/embeddings answers, in an order of its own."""
    texts: Sequence[str] = body["input"]
    if not texts or len(texts) > 2048 or not all(texts) or body["encoding_format"] != "float":
        return Refusal(400, {"error": {"message": "invalid input", "type": "invalid_request"}})
    own = OPENAI_DIMENSIONS.get(body["model"], 768)
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": vector(text, body.get("dimensions", own)),
        }
        for index, text in enumerate(texts)
    ]
    tokens = sum(len(text) // 4 + 1 for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return Refusal(
        200, {"object": "list", "model": body["model"], "data": data[::-1], "usage": usage}
    )


def _titan(model: str, body: Mapping[str, Any]) -> dict[str, Any]:
    text = body["inputText"]
    assert 0 < len(text) <= 50_000, "inputText"
    if "v2" in model:
        assert set(body) <= {"inputText", "dimensions", "normalize"}, sorted(body)
        dimension = body.get("dimensions", 1024)
        assert dimension in (256, 512, 1024), dimension
    else:
        assert set(body) == {"inputText"}, sorted(body)
        dimension = 1536
    found = vector(text, dimension)
    return {
        "embedding": found,
        "embeddingsByType": {"float": found},
        "inputTextTokenCount": len(text) // 4 + 1,
    }


def _cohere(model: str, body: Mapping[str, Any]) -> dict[str, Any]:
    texts, kind = body["texts"], body["input_type"]
    assert 0 < len(texts) <= 96, "texts"
    assert all(texts), "an empty text"
    assert kind in ("search_document", "search_query"), kind
    head = {"id": "0", "texts": texts}
    if "v4" in model:
        assert body["truncate"] in ("NONE", "LEFT", "RIGHT"), body["truncate"]
        assert body["embedding_types"] == ["float"]
        dimension = body["output_dimension"]
        assert dimension in (256, 512, 1024, 1536), dimension
        found = [vector(text, dimension, kind) for text in texts]
        return {**head, "response_type": "embeddings_by_type", "embeddings": {"float": found}}
    assert body["truncate"] in ("NONE", "START", "END"), body["truncate"]
    assert all(len(text) <= 2048 for text in texts), "expected maxLength: 2048"
    assert set(body) == {"texts", "input_type", "truncate"}, sorted(body)
    found = [vector(text, 1024, kind) for text in texts]
    return {**head, "response_type": "embeddings_floats", "embeddings": found}


def _nova(_model: str, body: Mapping[str, Any]) -> dict[str, Any]:
    assert body["schemaVersion"] == "nova-multimodal-embed-v1"
    assert body["taskType"] == "SINGLE_EMBEDDING"
    asked = body["singleEmbeddingParams"]
    assert asked["embeddingPurpose"] in ("GENERIC_INDEX", "GENERIC_RETRIEVAL", "TEXT_RETRIEVAL")
    assert asked["embeddingDimension"] in (256, 384, 1024, 3072)
    text = asked["text"]
    assert text["truncationMode"] in ("START", "END", "NONE")
    assert 0 < len(text["value"]) <= 8192
    found = vector(text["value"], asked["embeddingDimension"], asked["embeddingPurpose"])
    return {"embeddings": [{"embeddingType": "TEXT", "embedding": found}]}


def _invalid(message: str) -> Refusal:
    return Refusal(400, {"message": message}, {"x-amzn-ErrorType": "ValidationException"})
