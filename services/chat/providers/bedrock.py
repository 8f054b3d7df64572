"""Answers from a model on Amazon Bedrock, through ConverseStream.

boto3 reads the stream in a thread of its own; `bedrock_errors` translates what it raises, and
`bedrock_request` says what is asked. Asks one model once: the caller decides about another try.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

from ... import aws
from ...progress import Report, no_report
from ...threads import iterate_in_thread
from ..provider import Piece, Prompt
from ..stop_reasons import end_answer
from . import read_pacing
from .answer_reader import AnswerReader
from .bedrock_errors import read_client_error, translate_error
from .bedrock_request import BedrockRequest, Guardrail
from .bedrock_stream import BedrockMessage, StreamEvent, read_events
from .request_changes import MAX_CHANGES, RequestChanges
from .thoughts import ThinkingPolicy

logger = logging.getLogger(__name__)

# Streams at once in one process, each with a thread and a connection; another one waits.
MAX_STREAMS = 256

# How long a message that is whole waits for its usage, in seconds.
METADATA_PATIENCE = 2.0


@dataclass(slots=True, kw_only=True)
class BedrockProvider:
    """A model, by its id, inference profile or ARN.

    `timeout` is the longest silence of the model in seconds, but for its `thinking`. `temperature`
    None is the model's own. `cache` marks what every question repeats for the model's prompt cache,
    and says how long it is kept ("5m", "1h"; "" is no cache). `has_native_citations` lets the
    model cite the passages itself. `instructions` follow ours. `client` makes or finds the boto3
    client, in a thread.
    """

    model: str
    timeout: float = aws.READ_TIMEOUT
    temperature: float | None = None
    guardrail: Guardrail | None = None
    cache: str = ""
    instructions: str = ""
    has_native_citations: bool = False
    thinking: ThinkingPolicy = field(default_factory=ThinkingPolicy)
    client: Callable[..., Any] = aws.client
    _changes: RequestChanges = field(default_factory=RequestChanges, init=False, repr=False)
    _is_thinker: bool = field(default=False, init=False, repr=False)
    _is_unopened: bool = field(default=False, init=False, repr=False)
    _can_count: bool = field(default=True, init=False, repr=False)

    async def stream(
        self, prompt: Prompt, *, report: Report = no_report
    ) -> AsyncGenerator[Piece, None]:
        """Ask the model, and yield its text as it comes.

        Raises `ChatError` with the code of the failure, and `SetupError` when region or credentials
        are at fault. Closing the generator closes the connection at once.
        """
        asked = self._make_request(prompt)
        reader = AnswerReader(
            prompt,
            report,
            by_instruction=not asked.has_prefill,
            is_thinker=asked.is_thinker,
            is_unopened=self._is_unopened,
            max_tokens=prompt.max_tokens if asked.is_thinker else None,
        )
        message = BedrockMessage(prompt)
        try:
            try:
                async for item in self._read_message(asked, message, reader):
                    yield item
            except Exception as error:
                if not message.reason:
                    raise translate_error(error) from error
                logger.warning(
                    "The model's stream failed after its answer was whole.", exc_info=True
                )
            reason = "max_tokens" if reader.is_cut else message.reason
            for piece in reader.finish(is_whole=reason not in ("max_tokens", "")):
                yield piece
            self._is_thinker = self._is_thinker or reader.has_thoughts
            self._is_unopened = self._is_unopened or reader.is_unopened
            if message.usage is not None:
                yield message.usage
            for piece in end_answer(reason, has_text=reader.has_text):
                yield piece
        finally:
            reader.close()

    async def count_tokens(self, prompt: Prompt) -> int | None:
        """Return how many tokens `prompt` is, as the service counts; None where it does not."""
        if not self._can_count:
            return None
        request = self._make_request(prompt).build_count()
        call = aws.CancellableCall()
        try:
            counted = await asyncio.get_running_loop().run_in_executor(
                _get_threads(), partial(self._count, request, call)
            )
        except asyncio.CancelledError:
            call.cancel()
            raise
        except Exception as error:
            self._can_count = False
            logger.warning(
                "%s counts no tokens; they are estimated from now on.", self.model, exc_info=error
            )
            return None
        return counted

    async def _read_message(
        self, asked: BedrockRequest, message: "BedrockMessage", reader: AnswerReader
    ) -> AsyncGenerator[Piece, None]:
        call = aws.CancellableCall(read_pacing.get_read_pause)
        threads = _get_threads()
        async with aclosing(
            iterate_in_thread(partial(self._read_call, asked, call), threads, call.cancel)
        ) as events:
            while not reader.is_cut:
                is_thinking = reader.is_thinking or (asked.is_thinker and not reader.has_text)
                patience = self.thinking.timeout if is_thinking else self.timeout
                event = await _wait_for_event(events, message.reason, patience)
                if not event:
                    return
                text, thought = message.read(event)
                for piece in reader.read(text, thought):
                    yield piece

    def _make_request(self, prompt: Prompt) -> BedrockRequest:
        return BedrockRequest(
            self.model,
            prompt,
            self.thinking,
            temperature=self.temperature,
            guardrail=self.guardrail,
            cache=self.cache,
            instructions=self.instructions,
            has_native_citations=self.has_native_citations,
            is_thinker=self._is_thinker,
        )

    def _get_client(self, *, is_thinker: bool) -> Any:
        timeout = max(self.timeout, self.thinking.timeout) if is_thinker else self.timeout
        return self.client(
            "bedrock-runtime", read_timeout=timeout, tries=1, connections=MAX_STREAMS
        )

    def _read_call(
        self, asked: BedrockRequest, call: aws.CancellableCall
    ) -> Generator[StreamEvent, None, None]:
        with call, read_pacing.count_stream():
            client = self._get_client(is_thinker=asked.is_thinker)
            stream = self._open_stream(client, asked)
            try:
                yield from read_events(stream)
            finally:
                stream.close()

    def _open_stream(self, client: Any, asked: BedrockRequest) -> Any:
        """Send the request, changed as long as the model says what it does not take."""
        from botocore.exceptions import ClientError

        for number in range(MAX_CHANGES + 1):
            request = self._changes.apply(asked.build())
            try:
                return client.converse_stream(**request)["stream"]
            except ClientError as refused:
                error = read_client_error(refused)
                change = self._changes.learn(request, error) if number < MAX_CHANGES else ""
                if not change:
                    raise
                logger.warning(
                    "%s refused a parameter and is asked with %s from now on: %s.",
                    self.model,
                    change,
                    error,
                )
        raise AssertionError  # the last round returns or raises

    def _count(self, request: dict[str, Any], call: aws.CancellableCall) -> int:
        with call:
            client = self._get_client(is_thinker=False)
            return int(client.count_tokens(**request)["inputTokens"])


@cache
def _get_threads() -> ThreadPoolExecutor:
    # Asyncio's own threads are six on two cores: the seventh stream would wait.
    return ThreadPoolExecutor(MAX_STREAMS, thread_name_prefix="riverrun-bedrock")


async def _wait_for_event(
    events: AsyncGenerator[StreamEvent, None], reason: str, patience: float
) -> StreamEvent:
    """Return the next event; an empty one at the end, or when the usage does not come.

    Raises `TimeoutError` after `patience` seconds of a message that has not ended.
    """
    if not reason:
        async with asyncio.timeout(patience + READ_MARGIN):
            return await anext(events, {})
    with suppress(TimeoutError):
        async with asyncio.timeout(METADATA_PATIENCE):
            return await anext(events, {})
    return {}


# The socket's own timeout is the first to notice; this is for a thread that waits elsewhere.
READ_MARGIN = 5.0
