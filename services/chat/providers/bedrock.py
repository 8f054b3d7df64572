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
from ...json_input import parse_json
from ...progress import Report, no_report
from ...threads import iterate_in_thread
from ..provider import Piece, Prompt, Usage
from ..stop_reasons import end_answer
from . import read_pacing
from .answer_reader import AnswerReader
from .bedrock_errors import read_client_error, read_stream_error, translate_error
from .bedrock_request import BedrockRequest, Guardrail
from .chat_completions import merge_usage
from .request_changes import MAX_CHANGES, RequestChanges
from .thinking import Thinking

logger = logging.getLogger(__name__)

# Streams at once in one process, each with a thread and a connection; another one waits.
MAX_STREAMS = 256

# How long a message that is whole waits for its usage, in seconds.
METADATA_PATIENCE = 2.0

Event = dict[str, Any]


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
    thinking: Thinking = field(default_factory=Thinking)
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
        message = _Message(prompt)
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
        self, asked: BedrockRequest, message: "_Message", reader: AnswerReader
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
    ) -> Generator[Event, None, None]:
        with call, read_pacing.count_stream():
            client = self._get_client(is_thinker=asked.is_thinker)
            stream = self._open_stream(client, asked)
            try:
                yield from _read_events(stream)
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


class _Message:
    """What the events of one message say together: its end, its usage, its citations."""

    def __init__(self, prompt: Prompt) -> None:
        self.reason = ""
        self.usage: Usage | None = None
        self._sources = [passage.uri or passage.id for passage in prompt.passages]
        self._cited: list[int] = []
        self._last = ""

    def read(self, event: Event) -> tuple[str, str]:
        """Return text and thought of `event`; keep the rest."""
        delta = event.get("contentBlockDelta", {}).get("delta", {})
        text: str = delta.get("text") or ""
        if text:
            self._last = text[-1]
            return text, ""
        if (reasoning := delta.get("reasoningContent")) is not None:
            # Some thoughts come encrypted: that the model thinks is to be seen all the same.
            return "", reasoning.get("text") or ("…" if "redactedContent" in reasoning else "")
        if "citation" in delta:
            self._note_citation(delta["citation"])
        elif "contentBlockStop" in event:
            return self._write_citations(), ""
        elif "messageStop" in event:
            self.reason = event["messageStop"].get("stopReason") or self.reason
        elif "metadata" in event:
            self.usage = merge_usage(self.usage, _parse_usage(event["metadata"].get("usage") or {}))
        return "", ""

    def _note_citation(self, citation: dict[str, Any]) -> None:
        place = citation.get("location", {}).get("searchResultLocation", {})
        index = place.get("searchResultIndex")
        if not isinstance(index, int) or not 0 <= index < len(self._sources):
            source = citation.get("source")
            index = self._sources.index(source) if source in self._sources else None
        if index is not None and index + 1 not in self._cited:
            self._cited.append(index + 1)

    def _write_citations(self) -> str:
        marks = "".join(f"[{number}]" for number in self._cited)
        self._cited = []
        return marks if not marks or self._last.isspace() else f" {marks}"


def _read_events(stream: Any) -> Generator[Event, None, None]:
    """Yield the events of a stream: ``{":event-type": payload}``.

    boto3's own reader loses the name of an exception that is not spelled as it expects, and with
    it whether another try may succeed. Its frame parser, which checks checksums, does not.
    """
    from botocore.eventstream import EventStreamBuffer

    buffer = EventStreamBuffer()
    for chunk in stream._raw_stream.stream():  # noqa: SLF001 - see above
        buffer.add_data(chunk)
        for message in buffer:
            headers = message.headers
            if headers.get(":message-type") != "event":
                raise read_stream_error(headers, message.payload)
            yield {headers[":event-type"]: parse_json(message.payload)}


@cache
def _get_threads() -> ThreadPoolExecutor:
    # Asyncio's own threads are six on two cores: the seventh stream would wait.
    return ThreadPoolExecutor(MAX_STREAMS, thread_name_prefix="riverrun-bedrock")


async def _wait_for_event(
    events: AsyncGenerator[Event, None], reason: str, patience: float
) -> Event:
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


def _parse_usage(counted: dict[str, Any]) -> Usage | None:
    cached = counted.get("cacheReadInputTokens") or 0
    stored = counted.get("cacheWriteInputTokens") or 0
    tokens_in = (counted.get("inputTokens") or 0) + cached + stored
    tokens_out = counted.get("outputTokens") or 0
    if not tokens_in and not tokens_out:
        return None
    return Usage(
        # Bedrock counts cached tokens apart; our `input_tokens` include them.
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        cost_usd=None,
        cached_tokens=cached,
        stored_tokens=stored,
    )
