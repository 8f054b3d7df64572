"""Vectors from any endpoint that speaks OpenAI's embeddings: OpenAI, Ollama, vLLM and more.

The official client sends and reads; what it raises is put in our words here.
"""

import asyncio
import logging
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import RiverrunError, SetupError
from .provider import EmbeddingError, Kind
from .rows import LATER, SEARCHING_FAILED, invalid_answer, split_batches, unit_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from openai import APIStatusError, AsyncOpenAI

DEFAULT_MODEL = "text-embedding-3-small"

BATCH = 64
"""Texts in one request; OpenAI takes 2,048 of 300,000 tokens together, others fewer."""

CALLS = 4
"""Calls at once."""

OWN_URL = "https://api.openai.com/v1"

logger = logging.getLogger(__name__)

# Characters. A text is cut no further: a model that refuses that too is at fault otherwise.
SHORTEST = 200

_TOO_LONG = re.compile(
    r"(?:maximum|max) (?:context|input|sequence)|context (?:length|window|size)|too (?:long|large)"
    r"|too many tokens|exceeds? the (?:model|maximum|context|available)|less than \d+ tokens"
    r"|must have less than|maximum allowed (?:number|length)|input length",
    re.IGNORECASE,
)

CONNECT_TIMEOUT, READ_TIMEOUT = 2.0, 20.0  # seconds

# A person waits for a question; an ingest has time to wait until a quota lets it go on.
RETRIES: dict[Kind, int] = {"question": 2, "passage": 7}

DIMENSIONS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
    "all-minilm": 384,
    "bge-m3": 1024,
    "mxbai-embed-large": 1024,
    "nomic-embed-text": 768,
}
"""What is known of models; for others RIVERRUN_EMBEDDING_DIMENSION says it."""

_SHORTENS = re.compile(r"text-embedding-3-")

# Models that were trained with a word in front that says what follows. The API has no field for
# it, and no endpoint adds it.
_IN_FRONT: tuple[tuple[re.Pattern[str], dict[Kind, str]], ...] = (
    (
        re.compile(r"nomic-embed-text"),
        {"passage": "search_document: ", "question": "search_query: "},
    ),
    (
        re.compile(r"(?:^|[/-])e5-(?:small|base|large)"),
        {"passage": "passage: ", "question": "query: "},
    ),
)


def open_openai(
    model: str | None, dimension: int | None, *, base_url: str | None, api_key: str | None
) -> "OpenAIEmbedder":
    """Return the embedder for `model`; None is OpenAI's small one.

    Raises `SetupError` when the model's dimension is neither known nor said, or cannot be chosen,
    and when OpenAI's own endpoint is meant and there is no key.
    """
    model = model or DEFAULT_MODEL
    # Ollama's names have a tag behind them.
    own = DIMENSIONS.get(model.partition(":")[0])
    if own is None and dimension is None:
        raise SetupError(
            f"How long the vectors of {model!r} are is not known here."
            " Say it with RIVERRUN_EMBEDDING_DIMENSION."
        )
    if own is not None and dimension not in (None, own) and not _can_shorten(model, dimension, own):
        raise SetupError(
            f"RIVERRUN_EMBEDDING_DIMENSION={dimension}: the vectors of {model} have {own} numbers."
        )
    if base_url is None and api_key is None:
        raise SetupError(
            "RIVERRUN_EMBEDDING=openai needs OPENAI_API_KEY, or OPENAI_BASE_URL of an endpoint that"
            " asks for none."
        )
    return OpenAIEmbedder(model, dimension or own or 0, base_url=base_url, api_key=api_key)


class OpenAIEmbedder:
    """A model at an endpoint; `base_url` None is OpenAI's own."""

    def __init__(
        self,
        model: str,
        dimension: int,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
    ) -> None:
        self.model = model
        self.dimension = dimension
        self._base_url = base_url
        self._api_key = api_key
        self._client: AsyncOpenAI | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._slots = asyncio.Semaphore(CALLS)
        self._longest = sys.maxsize

    async def embed(self, texts: Sequence[str], kind: Kind = "passage") -> "NDArray[np.float32]":
        """Return unit rows of shape ``(len(texts), dimension)``, float32.

        Raises `EmbeddingError` when the endpoint fails, `SetupError` when key, address or model
        are at fault. Leaving closes the connections under way.
        """
        client = await self._ensure_client()
        calls = [
            asyncio.ensure_future(self._request(client, part, kind))
            for part in split_batches(texts, BATCH)
        ]
        try:
            parts = await asyncio.gather(*calls)
        finally:
            for call in calls:
                call.cancel()
        import numpy as np

        return np.concatenate([np.empty((0, self.dimension), np.float32), *parts])

    async def close(self) -> None:
        """Let the connections go."""
        if self._client is not None and self._loop is asyncio.get_running_loop():
            await self._client.close()
        self._client = None

    async def _request(
        self, client: "AsyncOpenAI", texts: Sequence[str], kind: Kind
    ) -> "NDArray[np.float32]":
        """Embed `texts`, cut as far as the model makes it necessary.

        Some models read 512 tokens. How many characters these are depends on the text: the limit is
        halved as often as the endpoint refuses, and remembered.
        """
        while True:
            cut = [text[: self._longest] for text in texts]
            try:
                return await self._request_once(client, cut, kind)
            except EmbeddingError as error:
                longest = max(map(len, cut), default=0)
                if error.code != "context_too_long" or longest <= SHORTEST:
                    raise
                self._longest = min(self._longest, max(SHORTEST, longest // 2))
                logger.warning(
                    "%s reads no longer texts: they are cut at %d characters from now on.",
                    self.model,
                    self._longest,
                )

    async def _request_once(
        self, client: "AsyncOpenAI", texts: Sequence[str], kind: Kind
    ) -> "NDArray[np.float32]":
        front = next((words[kind] for name, words in _IN_FRONT if name.search(self.model)), "")
        request: dict[str, Any] = {
            "model": self.model,
            # An endpoint may refuse an empty text; a point tells as little.
            "input": [front + (text if text.strip() else ".") for text in texts],
            # The client would ask for base64, which not every endpoint has.
            "encoding_format": "float",
        }
        if _SHORTENS.match(self.model) and self.dimension != DIMENSIONS.get(self.model):
            request["dimensions"] = self.dimension
        create: Any = client.with_options(max_retries=RETRIES[kind]).embeddings.create
        try:
            async with self._slots:
                answer = await create(**request)
        except Exception as error:
            raise _translate_error(error, self.model) from error
        try:
            ordered = sorted(answer.data, key=lambda one: one.index)
            vectors = [one.embedding for one in ordered]
        except (AttributeError, TypeError) as error:
            raise invalid_answer("no list of embeddings") from error
        return unit_rows(vectors, len(texts), self.dimension)

    async def _ensure_client(self) -> "AsyncOpenAI":
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            # Its connections belong to one loop. Importing it takes a good part of a second.
            made = await asyncio.to_thread(self._connect)
            if self._client is None or self._loop is not loop:
                self._client, self._loop = made, loop
                self._slots = asyncio.Semaphore(CALLS)
        return self._client

    def _connect(self) -> "AsyncOpenAI":
        try:
            from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Timeout
        except ImportError as error:
            raise SetupError(
                "RIVERRUN_EMBEDDING=openai needs its client. Install it with: pip install openai"
            ) from error
        return AsyncOpenAI(
            # Said, or the client looks into its variable, and takes an empty one for an address.
            base_url=self._base_url or OWN_URL,
            api_key=self._api_key or "none",
            timeout=Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT),
            # A redirect would take the texts to an address that was never set.
            http_client=DefaultAsyncHttpxClient(follow_redirects=False),
        )


def _can_shorten(model: str, dimension: int | None, own: int) -> bool:
    return bool(_SHORTENS.match(model)) and dimension is not None and dimension < own


def _translate_error(error: Exception, model: str) -> RiverrunError:
    """Put what the client raised into our words."""
    import openai

    if isinstance(error, RiverrunError):
        return error
    if isinstance(error, openai.APITimeoutError | TimeoutError):
        return EmbeddingError(
            "The embedding service does not answer.", code="provider_timeout", hint=LATER
        )
    if isinstance(error, openai.APIStatusError) and error.status_code < 500:
        return _translate_refusal(error, model)
    return EmbeddingError(SEARCHING_FAILED, code="provider_error", hint=LATER)


def _translate_refusal(error: "APIStatusError", model: str) -> RiverrunError:
    if error.status_code in (401, 403):
        return SetupError("The embedding service refuses the key. Set OPENAI_API_KEY to one of it.")
    if error.status_code == 429:
        return EmbeddingError(
            "The embedding service is busy.", code="provider_throttled", hint=LATER
        )
    if _TOO_LONG.search(str(error)):
        return EmbeddingError(
            "The question or passage is too long for the embedding model.",
            code="context_too_long",
            retryable=False,
            hint="Shorten the question, or ingest with shorter chunks.",
        )
    return SetupError(
        f"The embedding service refuses to embed with {model} ({error.status_code}). Check"
        " OPENAI_BASE_URL, RIVERRUN_EMBEDDING_MODEL and RIVERRUN_EMBEDDING_DIMENSION."
    )
