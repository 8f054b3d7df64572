"""How each family of embedding models on Bedrock is asked, and where its answer is.

Requests and answers as the Bedrock user guide has them (InvokeModel, "Titan Text Embeddings",
"Cohere Embed v3" and "v4", "Nova Multimodal Embeddings"). It sends nothing.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import SetupError
from .provider import Kind

DEFAULT_MODEL = "amazon.titan-embed-text-v2:0"


@dataclass(frozen=True, slots=True)
class Family:
    """Models that are asked alike.

    `dimensions` are what a vector may be long, the usual one first. `batch` texts go into one
    request, each of at most `longest` characters: what is longer is cut at its end.
    """

    name: re.Pattern[str]
    dimensions: tuple[int, ...]
    batch: int
    longest: int
    body: Callable[[Sequence[str], Kind, int], dict[str, Any]]
    vectors: Callable[[Mapping[str, Any]], Any]


def _titan(texts: Sequence[str], _kind: Kind, dimension: int) -> dict[str, Any]:
    return {"inputText": texts[0], "dimensions": dimension, "normalize": True}


def _titan_v1(texts: Sequence[str], _kind: Kind, _dimension: int) -> dict[str, Any]:
    return {"inputText": texts[0]}


def _cohere(texts: Sequence[str], kind: Kind, _dimension: int) -> dict[str, Any]:
    return {"texts": list(texts), "input_type": _INPUT_TYPES[kind], "truncate": "END"}


def _cohere_v4(texts: Sequence[str], kind: Kind, dimension: int) -> dict[str, Any]:
    return {
        "texts": list(texts),
        "input_type": _INPUT_TYPES[kind],
        "embedding_types": ["float"],
        "output_dimension": dimension,
        "truncate": "RIGHT",
    }


def _nova(texts: Sequence[str], kind: Kind, dimension: int) -> dict[str, Any]:
    return {
        "schemaVersion": "nova-multimodal-embed-v1",
        "taskType": "SINGLE_EMBEDDING",
        "singleEmbeddingParams": {
            "embeddingPurpose": _PURPOSES[kind],
            "embeddingDimension": dimension,
            "text": {"truncationMode": "END", "value": texts[0]},
        },
    }


_INPUT_TYPES: Mapping[Kind, str] = {"passage": "search_document", "question": "search_query"}
_PURPOSES: Mapping[Kind, str] = {"passage": "GENERIC_INDEX", "question": "TEXT_RETRIEVAL"}

FAMILIES = (
    Family(
        re.compile(r"amazon\.titan-embed-text-v2"),
        (1024, 512, 256),
        batch=1,
        longest=50_000,
        body=_titan,
        vectors=lambda answer: [answer["embedding"]],
    ),
    Family(
        re.compile(r"amazon\.titan-embed-(?:text-v1|g1-text)"),
        (1536,),
        batch=1,
        longest=50_000,
        body=_titan_v1,
        vectors=lambda answer: [answer["embedding"]],
    ),
    Family(
        re.compile(r"cohere\.embed-(?:english|multilingual)-v3"),
        (1024,),
        batch=96,
        longest=2048,
        body=_cohere,
        vectors=lambda answer: answer["embeddings"],
    ),
    Family(
        re.compile(r"cohere\.embed-v4"),
        (1536, 1024, 512, 256),
        batch=96,
        longest=50_000,
        body=_cohere_v4,
        vectors=lambda answer: answer["embeddings"]["float"],
    ),
    Family(
        re.compile(r"amazon\.nova-2-multimodal-embeddings-v1"),
        (1024, 3072, 384, 256),
        batch=1,
        longest=8_000,
        body=_nova,
        vectors=lambda answer: [one["embedding"] for one in answer["embeddings"]],
    ),
)


def family_of(model: str) -> Family:
    """Return the family of a model id, inference profile or ARN. Raises `SetupError`."""
    for family in FAMILIES:
        if family.name.search(model):
            return family
    raise SetupError(
        f"RIVERRUN_EMBEDDING_MODEL={model!r} is no embedding model on Bedrock that is known here."
        " Use Titan Text Embeddings, Cohere Embed v3 or v4, or Nova Multimodal Embeddings."
    )


def canonical(model: str) -> str:
    """Return the model's own id, whatever Region or profile it is called through.

    ``us.cohere.embed-v4:0`` and the ARN of its profile give the vectors of ``cohere.embed-v4:0``.
    """
    found = re.search(r"(?:amazon|cohere)\.[\w.:-]+$", model)
    return found[0] if found else model
