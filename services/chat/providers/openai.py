"""Answers from any endpoint that speaks OpenAI's Chat Completions: OpenAI, Ollama, vLLM and more.

The official client sends and reads; `openai_errors` translates what it raises. Asks one model
once: the caller decides about another try.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from ...errors import SetupError
from ...progress import Report, no_report
from ..continuation import Continuation
from ..prompt import render_prompt
from ..provider import Piece, Prompt, Text, Usage
from ..stop_reasons import end_answer
from . import read_pacing
from .chat_completions import STOP_REASONS, as_object, read_choice, read_usage
from .openai_errors import translate_error

if TYPE_CHECKING:
    from openai import AsyncOpenAI

logger = logging.getLogger(__name__)

OWN_URL = "https://api.openai.com/v1"

# Seconds to shake hands (the loop may be busy with others), and to wait for the usage of an
# answer that is whole.
CONNECT_TIMEOUT = 5.0
USAGE_PATIENCE = 2.0

# A chunk that was waited for longer, in seconds, came with a read of its own; one that was read
# along with another takes a fifth of it.
FRESH_READ_SECONDS = 0.0005

Chunks = AsyncGenerator[object, None]


@dataclass(slots=True, kw_only=True)
class OpenAIProvider:
    """A model at an endpoint.

    `base_url` None is OpenAI's own; `api_key` may be None where the endpoint asks for none.
    `timeout` is the longest silence of the model in seconds. `temperature` None is the model's
    own. `instructions` follow ours.
    """

    model: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    timeout: float = 60.0
    temperature: float | None = None
    instructions: str = ""
    _client: "AsyncOpenAI | None" = field(default=None, init=False, repr=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False, repr=False)
    _starting: anyio.Lock = field(default_factory=anyio.Lock, init=False, repr=False)
    _takes_stream_options: bool = field(default=True, init=False, repr=False)

    async def stream(
        self,
        prompt: Prompt,
        *,
        report: Report = no_report,  # noqa: ARG002 - the pipeline has said that it is being written
    ) -> AsyncGenerator[Piece, None]:
        """Ask the model, and yield its text as it comes.

        Raises `ChatError` with the code of the failure. Closing the generator closes the
        connection.
        """
        continuation = Continuation(prompt.so_far, by_instruction=True)
        reason = ""
        refused = False
        usage: Usage | None = None
        try:
            client = await self._get_client()
            async with aclosing(self._read_chunks(client, prompt)) as chunks:
                while True:
                    chunk = await _wait_for_chunk(
                        chunks, USAGE_PATIENCE if reason else self.timeout
                    )
                    if chunk is None:
                        break
                    usage = read_usage(chunk) or usage
                    said, refusal, end = read_choice(chunk)
                    reason = end or reason
                    refused = refused or refusal
                    if text := continuation.feed(said):
                        yield Text(text)
        except Exception as error:
            if not reason:
                raise translate_error(error) from error
            # Only the usage can follow the end of the answer.
            if not isinstance(error, TimeoutError):
                logger.warning(
                    "The model's stream failed after its answer was whole.", exc_info=True
                )
        if text := continuation.finish():
            yield Text(text)
        if usage is not None:
            yield usage
        for piece in end_answer("content_filter" if refused else reason, STOP_REASONS):
            yield piece

    async def close(self) -> None:
        """Close the connections that are kept for the next question."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def _read_chunks(self, client: "AsyncOpenAI", prompt: Prompt) -> Chunks:
        async with self._starting:
            # One turn of the loop for each: sixty requests built in one turn would hold it up.
            await asyncio.sleep(0)
        stream = await self._open_stream(client, prompt)
        loop = asyncio.get_running_loop()
        try:
            with read_pacing.count_stream():
                began = loop.time()
                async for chunk in stream:
                    waited = loop.time() - began
                    yield chunk
                    # One chunk for each turn of the loop: the other streams are due as well.
                    await asyncio.sleep(
                        read_pacing.get_read_pause() if waited > FRESH_READ_SECONDS else 0
                    )
                    began = loop.time()
        finally:
            with anyio.CancelScope(shield=True):
                await stream.close()

    async def _open_stream(self, client: "AsyncOpenAI", prompt: Prompt) -> Any:
        request = self._build_request(prompt)
        if not self._takes_stream_options:
            return await _post(client, request)
        try:
            return await _post(client, {**request, "stream_options": {"include_usage": True}})
        except Exception as error:
            # An endpoint that does not know the option refuses it before it does anything.
            if getattr(error, "status_code", 0) not in (400, 422) or "stream_options" not in str(
                error
            ):
                raise
            self._takes_stream_options = False
            return await _post(client, request)

    def _build_request(self, prompt: Prompt) -> dict[str, Any]:
        words = render_prompt(prompt, instructions=self.instructions)
        messages = [{"role": "system", "content": words.system}]
        messages += [{"role": message.role, "content": message.text} for message in words.messages]
        # OpenAI's newer models refuse the old name; most other endpoints know no other.
        limit = "max_tokens" if self.base_url else "max_completion_tokens"
        request: dict[str, Any] = {
            "model": self.model,
            "messages": messages,
            "stream": True,
            limit: prompt.max_tokens,
        }
        if self.temperature is not None:
            request["temperature"] = self.temperature
        return request

    async def _get_client(self) -> "AsyncOpenAI":
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            # Its connections belong to one loop. Importing it takes a good part of a second.
            made = await anyio.to_thread.run_sync(self._make_client)
            if self._client is None or self._loop is not loop:
                self._client, self._loop = made, loop
        return self._client

    def _make_client(self) -> "AsyncOpenAI":
        try:
            from openai import AsyncOpenAI, Timeout
        except ImportError as error:
            raise SetupError(
                "RIVERRUN_CHAT=openai needs its client. Install it with: pip install openai"
            ) from error
        return AsyncOpenAI(
            # Always given: else the client reads its variable, even an empty one, as an address.
            base_url=self.base_url or OWN_URL,
            api_key=self.api_key or "none",
            # Tries are counted in one place, and that is not here.
            max_retries=0,
            timeout=Timeout(self.timeout, connect=CONNECT_TIMEOUT),
        )


async def _post(client: "AsyncOpenAI", request: dict[str, Any]) -> Any:
    """Post `request`, and return the stream of chunks, each the JSON as it came.

    Not `chat.completions.create`: it makes four pydantic models of every token, 0.25 ms of the
    loop's time, and sixty streams at once then stand in each other's way.
    """
    from openai import AsyncStream

    return await client.post(
        "/chat/completions",
        cast_to=object,
        body=request,
        stream=True,
        stream_cls=AsyncStream[object],
    )


async def _wait_for_chunk(chunks: Chunks, patience: float) -> dict[str, Any] | None:
    """Return the next chunk; None at the end. Raises `TimeoutError` after `patience` seconds."""
    async with asyncio.timeout(patience):
        with suppress(StopAsyncIteration):
            return as_object(await anext(chunks))
    return None
