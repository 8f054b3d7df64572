"""Answers from any endpoint that speaks OpenAI's Chat Completions: OpenAI, Ollama, vLLM and more.

httpx2 sends and receives. What comes is read by `completion_stream`, errors are translated by
`openai_errors`, and parameters that an endpoint refuses are changed by `request_changes`. Asks one
model once: the caller decides about another try.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import anyio
import anyio.to_thread

from ...errors import SetupError
from ...progress import Report, no_report
from ..prompt import render_prompt
from ..provider import Piece, Prompt
from ..provider_errors import is_question_too_long
from ..service_error import ServiceError
from ..stop_reasons import end_answer
from . import read_pacing
from .answer_reader import AnswerReader
from .completion_stream import CompletionPart, CompletionStream
from .error_bodies import MAX_BODY, read_error_body
from .openai_errors import translate_error
from .request_changes import MAX_CHANGES, RequestChanges
from .thoughts import ThinkingPolicy

if TYPE_CHECKING:
    import httpx2

logger = logging.getLogger(__name__)

OWN_URL = "https://api.openai.com/v1"

# Seconds to shake hands (the loop may be busy with others).
CONNECT_TIMEOUT = 5.0

# How many pieces of one read are handed on in one turn of the event loop.
PARTS_A_TURN = 8

Items = AsyncGenerator[CompletionPart, None]


@dataclass(slots=True, kw_only=True)
class OpenAIProvider:
    """A model at an endpoint.

    `base_url` None is OpenAI's own; a query in it (Azure's ``?api-version=``) goes with every
    request. `api_key` may be None where the endpoint asks for none. `timeout` is the longest
    silence of the model in seconds, but for its `thinking`. `temperature` None is the model's own.
    `instructions` follow ours.
    """

    model: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    timeout: float = 60.0
    temperature: float | None = None
    instructions: str = ""
    thinking: ThinkingPolicy = field(default_factory=ThinkingPolicy)
    _client: "httpx2.AsyncClient | None" = field(default=None, init=False, repr=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False, repr=False)
    _starting: anyio.Lock = field(default_factory=anyio.Lock, init=False, repr=False)
    _changes: RequestChanges = field(default_factory=RequestChanges, init=False, repr=False)
    _is_thinker: bool = field(default=False, init=False, repr=False)
    _is_unopened: bool = field(default=False, init=False, repr=False)

    async def stream(
        self, prompt: Prompt, *, report: Report = no_report
    ) -> AsyncGenerator[Piece, None]:
        """Ask the model, and yield its text as it comes.

        Raises `ChatError` with the code of the failure. Closing the generator closes the
        connection.
        """
        is_thinker = self._is_thinker or self.thinking.is_expected(self.model)
        reader = AnswerReader(
            prompt,
            report,
            by_instruction=True,
            is_thinker=is_thinker,
            is_unopened=self._is_unopened,
            max_tokens=prompt.max_tokens if is_thinker else None,
        )
        stream = CompletionStream(
            self.timeout, self.thinking.timeout, is_thinker=is_thinker and not prompt.so_far
        )
        try:
            try:
                async with aclosing(self._read(prompt, stream, is_thinker=is_thinker)) as items:
                    async for item in items:
                        for piece in reader.read(item.text, item.thought):
                            yield piece
                        if reader.is_cut:
                            break
                        stream.is_thinking = reader.is_thinking
                reason = "length" if reader.is_cut else stream.find_end(has_text=reader.has_text)
            except Exception as error:
                if not stream.is_whole:
                    raise translate_error(error) from error
                if not isinstance(error, TimeoutError):
                    logger.warning(
                        "The model's stream failed after its answer was whole.", exc_info=error
                    )
                reason = stream.find_end(has_text=reader.has_text)
            for piece in reader.finish(is_whole=stream.is_good(reason)):
                yield piece
            self._is_thinker = self._is_thinker or reader.has_thoughts
            self._is_unopened = self._is_unopened or reader.is_unopened
            if stream.usage is not None and not reader.is_cut:
                yield stream.usage
            for piece in end_answer(reason, has_text=reader.has_text):
                yield piece
        finally:
            reader.close()

    async def close(self) -> None:
        """Close the connections that are kept for the next question."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    async def _read(self, prompt: Prompt, stream: CompletionStream, *, is_thinker: bool) -> Items:
        client = await self._get_client()
        async with self._starting:
            # One turn of the loop for each: sixty requests built in one turn would hold it up.
            await asyncio.sleep(0)
        with read_pacing.count_stream():
            response = await self._open_response(client, prompt, stream, is_thinker=is_thinker)
            given = 0
            try:
                # httpx hands out the connection that an answer is read from.
                connection = response.extensions["network_stream"]
                with read_pacing.pace_reads(connection, lambda: stream.patience):
                    async with aclosing(response.aiter_bytes()) as chunks:
                        async for chunk in chunks:
                            for item in stream.feed(chunk):
                                yield item
                                given += 1
                                # What came together goes on together; then others are due too.
                                if given % PARTS_A_TURN == 0:
                                    await asyncio.sleep(0)
                for item in stream.finish():
                    yield item
            finally:
                with anyio.CancelScope(shield=True):
                    await response.aclose()

    async def _open_response(
        self,
        client: "httpx2.AsyncClient",
        prompt: Prompt,
        stream: CompletionStream,
        *,
        is_thinker: bool,
    ) -> "httpx2.Response":
        """Send the request, changed as long as the endpoint says what it does not take."""
        for number in range(MAX_CHANGES + 1):
            request = self._changes.apply(self._build_request(prompt, is_thinker=is_thinker))
            async with asyncio.timeout(stream.patience):
                response = await client.send(
                    client.build_request("POST", self._find_url(), content=json.dumps(request)),
                    stream=True,
                )
                if response.status_code < 300:
                    return response
                error = await _read_error(response)
            if is_thinker and is_question_too_long(error.text):
                # The window of a small model holds the question, but not all it might think too.
                logger.warning("%s is asked without room for thoughts: %s.", self.model, error)
                is_thinker = False
                continue
            change = self._changes.learn(request, error) if number < MAX_CHANGES else ""
            if not change:
                raise error
            logger.warning(
                "%s refused a parameter and is asked with %s from now on: %s.",
                self.model,
                change,
                error,
            )
        raise AssertionError  # the last round returns or raises

    def _build_request(self, prompt: Prompt, *, is_thinker: bool) -> dict[str, Any]:
        words = render_prompt(prompt, instructions=self.instructions)
        messages = [{"role": "system", "content": words.system}]
        messages += [{"role": message.role, "content": message.text} for message in words.messages]
        # OpenAI's newer models refuse the old name; most other endpoints know no other.
        is_own = self.base_url is None or (urlsplit(self.base_url).hostname or "").endswith(
            ("api.openai.com", ".azure.com")
        )
        request: dict[str, Any] = {
            "model": self.model,
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        request["max_completion_tokens" if is_own else "max_tokens"] = (
            prompt.limit_output(self.thinking.tokens) if is_thinker else prompt.max_tokens
        )
        if self.temperature is not None:
            request["temperature"] = self.temperature
        if (effort := self.thinking.choose_effort(self.model, prompt)) is not None:
            request["reasoning_effort"] = effort
        return request

    def _find_url(self) -> str:
        parts = urlsplit(self.base_url or OWN_URL)
        path = parts.path.rstrip("/")
        if not path.endswith("/chat/completions"):
            path += "/chat/completions"
        return urlunsplit(parts._replace(path=path, fragment=""))

    async def _get_client(self) -> "httpx2.AsyncClient":
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            # Its connections belong to one loop. Importing it takes a tenth of a second.
            made = await anyio.to_thread.run_sync(self._make_client)
            if self._client is None or self._loop is not loop:
                self._client, self._loop = made, loop
        return self._client

    def _make_client(self) -> "httpx2.AsyncClient":
        try:
            import httpx2
        except ImportError as error:
            raise SetupError(
                "RIVERRUN_CHAT=openai needs httpx2. Install it with: pip install openai"
            ) from error
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
            if ".azure.com" in (self.base_url or ""):
                headers["api-key"] = self.api_key
        return httpx2.AsyncClient(
            headers=headers,
            # A redirect would take the prompt to an address that was never set.
            follow_redirects=False,
            # Silence is measured where the stream is read: a comment is no word of an answer.
            timeout=httpx2.Timeout(None, connect=CONNECT_TIMEOUT),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=100),
        )


async def _read_error(response: "httpx2.Response") -> ServiceError:
    body = b""
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) >= MAX_BODY:
                break
    finally:
        with anyio.CancelScope(shield=True):
            await response.aclose()
    return read_error_body(response.status_code, response.headers, body)
