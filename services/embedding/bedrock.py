"""Vectors from a model on Amazon Bedrock, through InvokeModel.

boto3 calls in threads of its own, a few at a time; what it raises is put in our words here. How
a model is asked is the business of `bedrock_models`.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from .. import aws
from ..aws_errors import classify, code_of
from ..errors import RiverrunError, SetupError
from ..json_input import parse_json
from .bedrock_models import DEFAULT_MODEL, Family, canonical, family_of
from .provider import EmbeddingError, Kind
from .rows import LATER, SEARCHING_FAILED, invalid_answer, split_batches, unit_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CALLS = 8
"""Calls at once in one process: an ingest is quick, and a question never waits for long."""

READ_TIMEOUT = 20.0  # seconds

# A person waits for a question; an ingest has time to wait until a quota lets it go on.
TRIES: dict[Kind, int] = {"question": 3, "passage": 8}


def open_bedrock(model: str | None, dimension: int | None) -> "BedrockEmbedder":
    """Return the embedder for `model`, an id, inference profile or ARN; None is Titan v2.

    Raises `SetupError` for a model that is not known here and a dimension it does not have.
    """
    model = model or DEFAULT_MODEL
    family = family_of(model)
    dimension = dimension or family.dimensions[0]
    if dimension not in family.dimensions:
        known = ", ".join(map(str, family.dimensions))
        raise SetupError(
            f"RIVERRUN_EMBEDDING_DIMENSION={dimension} is not one of {canonical(model)}: {known}."
        )
    return BedrockEmbedder(model, family, dimension)


class BedrockEmbedder:
    """A model on Bedrock. `client` makes or finds the boto3 client, in a thread."""

    def __init__(
        self,
        model: str,
        family: Family,
        dimension: int,
        *,
        client: Callable[..., Any] = aws.client,
    ) -> None:
        self.model = canonical(model)
        self.dimension = dimension
        self._called = model
        self._family = family
        self._client = client
        self._threads = ThreadPoolExecutor(CALLS, thread_name_prefix="riverrun-embedding")

    async def embed(self, texts: Sequence[str], kind: Kind = "passage") -> "NDArray[np.float32]":
        """Return unit rows of shape ``(len(texts), dimension)``, float32.

        Raises `EmbeddingError` when the service fails, `SetupError` when Region, credentials,
        model or permission are at fault. Leaving cuts the calls under way.
        """
        calls = [
            asyncio.ensure_future(self._request(part, kind))
            for part in split_batches(texts, self._family.batch)
        ]
        try:
            parts = await asyncio.gather(*calls)
        finally:
            for call in calls:
                call.cancel()
        import numpy as np

        return np.concatenate([np.empty((0, self.dimension), np.float32), *parts])

    async def close(self) -> None:
        """Let the threads go. Work in hand is finished, work in line is dropped."""
        self._threads.shutdown(cancel_futures=True)

    async def _request(self, texts: Sequence[str], kind: Kind) -> "NDArray[np.float32]":
        call = aws.CancellableCall()
        answer = asyncio.get_running_loop().run_in_executor(
            self._threads, self._call, texts, kind, call
        )
        try:
            return await answer
        except asyncio.CancelledError:
            call.cancel()
            raise

    def _call(
        self, texts: Sequence[str], kind: Kind, call: aws.CancellableCall
    ) -> "NDArray[np.float32]":
        # No model takes an empty text; a point tells as little.
        cut = [text[: self._family.longest] if text.strip() else "." for text in texts]
        body = json.dumps(self._family.body(cut, kind, self.dimension))
        try:
            client = self._client("bedrock-runtime", read_timeout=READ_TIMEOUT, tries=TRIES[kind])
            with call:
                answer = client.invoke_model(
                    modelId=self._called,
                    body=body,
                    contentType="application/json",
                    accept="application/json",
                )
                raw = answer["body"].read()
        except Exception as error:
            raise _translate_error(error, self.model) from error
        try:
            vectors = self._family.vectors(parse_json(raw))
        except (ValueError, KeyError, TypeError) as error:
            raise invalid_answer("another format than its model's") from error
        return unit_rows(vectors, len(texts), self.dimension)


def _translate_error(error: Exception, model: str) -> RiverrunError:
    """Put what boto3 raised into our words."""
    from botocore.exceptions import (
        ConnectTimeoutError,
        NoCredentialsError,
        ReadTimeoutError,
    )

    if isinstance(error, RiverrunError):
        return error
    if isinstance(error, NoCredentialsError):
        return SetupError(
            "RIVERRUN_EMBEDDING=bedrock needs AWS credentials. Set AWS_PROFILE, or the keys of an"
            " account."
        )
    code = code_of(error)
    refusal = classify(code)
    if refusal in ("missing", "credentials") or code == "ValidationException":
        return SetupError(
            f"Bedrock refuses to embed with {model} ({code}). Ask for access to the model in this"
            " Region, allow bedrock:InvokeModel on it, and check AWS_DEFAULT_REGION."
        )
    if refusal == "throttled":
        return EmbeddingError(
            "The embedding service is busy.", code="provider_throttled", hint=LATER
        )
    if code == "ModelTimeoutException" or isinstance(error, ReadTimeoutError | ConnectTimeoutError):
        return EmbeddingError(
            "The embedding service does not answer.", code="provider_timeout", hint=LATER
        )
    return EmbeddingError(SEARCHING_FAILED, code="provider_error", hint=LATER)
