"""Answers from any endpoint that speaks OpenAI's Chat Completions: OpenAI, Ollama, vLLM and more.

The official client sends and reads; what it raises is put in our words by
`openai_errors`. Tries one model once: whoever calls decides about another try.
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
from ..prompt import worded
from ..provider import Piece, Prompt, Text, Usage
from ..stop_reasons import ending
from . import read_pacing
from .chat_completions import ENDS, object_of, said_in, usage_in
from .openai_errors import told

if TYPE_CHECKING:
    from openai import AsyncOpenAI

log = logging.getLogger(__name__)

OWN_URL = "https://api.openai.com/v1"

# Seconds to shake hands (the loop may be busy with others), and to wait for the usage of an
# answer that is whole.
CONNECT_TIMEOUT = 5.0
USAGE_PATIENCE = 2.0

# A chunk that was waited for longer, in seconds, came with a read of its own; one that was read
# along with another takes a fifth of it.
READ = 0.0005

Chunks = AsyncGenerator[object, None]


@dataclass(slots=True, kw_only=True)
class OpenAI:
    """A model at an endpoint.

    `base_url` None is OpenAI's own; `api_key` may be None where the endpoint asks for none.
    `timeout` is the longest silence of the model in seconds. `temperature` None is the model's
    own. `instructions` go behind ours.
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
    _counts: bool = field(default=True, init=False, repr=False)

    async def stream(
        self,
        prompt: Prompt,
        *,
        report: Report = no_report,  # noqa: ARG002 - the pipeline has said that it is being written
    ) -> AsyncGenerator[Piece, None]:
        """Ask the model, and yield its text as it comes.

        Raises `ChatError` with the code of what went wrong. Leaving closes the connection.
        """
        joined = Continuation(prompt.so_far, asked=True)
        reason = ""
        refused = False
        usage: Usage | None = None
        try:
            client = await self._connected()
            async with aclosing(self._chunks(client, prompt)) as chunks:
                while True:
                    chunk = await _next(chunks, USAGE_PATIENCE if reason else self.timeout)
                    if chunk is None:
                        break
                    usage = usage_in(chunk) or usage
                    said, refusal, end = said_in(chunk)
                    reason = end or reason
                    refused = refused or refusal
                    if text := joined.feed(said):
                        yield Text(text)
        except Exception as error:
            if not reason:
                raise told(error) from error
            # What came after the end of the answer was its usage at most.
            if not isinstance(error, TimeoutError):
                log.warning("The model's stream failed after its answer was whole.", exc_info=True)
        if text := joined.end():
            yield Text(text)
        if usage is not None:
            yield usage
        for piece in ending("content_filter" if refused else reason, ENDS):
            yield piece

    async def close(self) -> None:
        """Let go of the connections that are kept for the next question."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def _chunks(self, client: "AsyncOpenAI", prompt: Prompt) -> Chunks:
        async with self._starting:
            # A turn of the loop for each: to build sixty requests in one would hold it up.
            await asyncio.sleep(0)
        stream = await self._begun(client, prompt)
        loop = asyncio.get_running_loop()
        try:
            with read_pacing.counted():
                began = loop.time()
                async for chunk in stream:
                    waited = loop.time() - began
                    yield chunk
                    # Of a read that holds many, one a turn: the other streams are due as well.
                    await asyncio.sleep(read_pacing.gather() if waited > READ else 0)
                    began = loop.time()
        finally:
            with anyio.CancelScope(shield=True):
                await stream.close()

    async def _begun(self, client: "AsyncOpenAI", prompt: Prompt) -> Any:
        request = self._request(prompt)
        if not self._counts:
            return await _posted(client, request)
        try:
            return await _posted(client, {**request, "stream_options": {"include_usage": True}})
        except Exception as error:
            # An endpoint that does not know the option says so before it does anything.
            if getattr(error, "status_code", 0) not in (400, 422) or "stream_options" not in str(
                error
            ):
                raise
            self._counts = False
            return await _posted(client, request)

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        words = worded(prompt, instructions=self.instructions)
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

    async def _connected(self) -> "AsyncOpenAI":
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            # Its connections belong to one loop. Importing it takes a good part of a second.
            made = await anyio.to_thread.run_sync(self._connect)
            if self._client is None or self._loop is not loop:
                self._client, self._loop = made, loop
        return self._client

    def _connect(self) -> "AsyncOpenAI":
        try:
            from openai import AsyncOpenAI, Timeout
        except ImportError as error:
            raise SetupError(
                "RIVERRUN_CHAT=openai needs its client. Install it with: pip install openai"
            ) from error
        return AsyncOpenAI(
            # Said, or the client looks into its variable, and takes an empty one for an address.
            base_url=self.base_url or OWN_URL,
            api_key=self.api_key or "none",
            # Tries are counted in one place, and that is not here.
            max_retries=0,
            timeout=Timeout(self.timeout, connect=CONNECT_TIMEOUT),
        )


async def _posted(client: "AsyncOpenAI", request: dict[str, Any]) -> Any:
    """The stream of chunks, each the JSON that came.

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


async def _next(chunks: Chunks, patience: float) -> dict[str, Any] | None:
    """The next chunk; None at the end. Raises `TimeoutError` when patience runs out."""
    async with asyncio.timeout(patience):
        with suppress(StopAsyncIteration):
            return object_of(await anext(chunks))
    return None
