"""Answers from a model on Amazon Bedrock, through ConverseStream.

boto3 reads the stream in a thread of its own; `bedrock_errors` translates what it raises. Asks
one model once: the caller decides about another try.
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from ... import aws
from ...json_input import parse_json
from ...progress import Report, no_report
from ...threads import iterate_in_thread
from ..continuation import Continuation
from ..prompt import Message, render_prompt
from ..provider import Piece, Prompt, Text, Usage
from ..stop_reasons import StopReasonTable, end_answer
from . import read_pacing
from .bedrock_errors import StreamFaultError, translate_error

logger = logging.getLogger(__name__)

# Streams at once in one process, each with a thread and a connection; another one waits.
MAX_STREAMS = 256

# How long a message that is whole waits for its usage, in seconds.
METADATA_PATIENCE = 2.0

STOP_REASONS: StopReasonTable = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "content_filtered": "content_filtered",
    "guardrail_intervened": "content_filtered",
    # No tool was offered: a message that waits for one will never be whole.
    "tool_use": "provider_error",
    "malformed_model_output": "provider_error",
    "malformed_tool_use": "provider_error",
    "model_context_window_exceeded": "context_too_long",
}
"""The end of a message, by ``stopReason``."""

# The models that continue a message of their own. Later ones refuse it (400), others differ.
_PREFILLED = re.compile(r"\banthropic\.claude-(?:3|(?:opus|sonnet|haiku)-4-(?:[0-5]\b|2025))")


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A guardrail that checks every message."""

    identifier: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BedrockProvider:
    """A model, by its id, inference profile or ARN.

    `timeout` is the longest silence of the model in seconds. `temperature` None is the model's
    own. `cache` marks what every question repeats for the model's prompt cache. `instructions`
    follow ours. `client` makes or finds the boto3 client, in a thread.
    """

    model: str
    timeout: float = aws.READ_TIMEOUT
    temperature: float | None = None
    guardrail: Guardrail | None = None
    cache: bool = False
    instructions: str = ""
    client: Callable[..., Any] = aws.client

    async def stream(
        self,
        prompt: Prompt,
        *,
        report: Report = no_report,  # noqa: ARG002 - the pipeline has said that it is being written
    ) -> AsyncGenerator[Piece, None]:
        """Ask the model, and yield its text as it comes.

        Raises `ChatError` with the code of the failure, and `SetupError` when region or credentials
        are at fault. Closing the generator closes the connection at once.
        """
        prefill = bool(_PREFILLED.search(self.model))
        request = self._build_request(prompt, prefill)
        continuation = Continuation(prompt.so_far, by_instruction=not prefill)
        call = aws.CancellableCall(read_pacing.get_read_pause)
        reason = ""
        said = False
        usage: Usage | None = None
        try:
            async with aclosing(
                iterate_in_thread(
                    partial(self._read_call, request, call), _get_threads(), call.cancel
                )
            ) as events:
                while (
                    event := await _wait_for_event(events, METADATA_PATIENCE if reason else None)
                ) != {}:
                    if text := continuation.feed(_get_text(event)):
                        said = True
                        yield Text(text)
                    reason = event.get("messageStop", {}).get("stopReason", reason)
                    if "metadata" in event:
                        usage = _parse_usage(event["metadata"].get("usage", {}))
        except Exception as error:
            if not reason:
                raise translate_error(error) from error
            logger.warning("The model's stream failed after its answer was whole.", exc_info=True)
        if text := continuation.finish():
            said = True
            yield Text(text)
        if usage is not None:
            yield usage
        if reason == "model_context_window_exceeded" and said:
            # The window was full before the answer was whole: the text is cut, not wrong.
            reason = "max_tokens"
        for piece in end_answer(reason, STOP_REASONS):
            yield piece

    def _build_request(self, prompt: Prompt, prefill: bool) -> dict[str, Any]:
        words = render_prompt(prompt, instructions=self.instructions, prefill=prefill)
        messages = [_make_message(message) for message in words.messages]
        system: list[dict[str, Any]] = [{"text": words.system}]
        if self.cache:
            # The next question of this conversation begins with the same messages.
            system.append(_CACHE_POINT)
            if prompt.history:
                messages[2 * len(prompt.history) - 1]["content"].append(_CACHE_POINT)
        limits: dict[str, Any] = {"maxTokens": prompt.max_tokens}
        if self.temperature is not None:
            limits["temperature"] = self.temperature
        request = {
            "modelId": self.model,
            "system": system,
            "messages": messages,
            "inferenceConfig": limits,
        }
        if self.guardrail is not None:
            request["guardrailConfig"] = {
                "guardrailIdentifier": self.guardrail.identifier,
                "guardrailVersion": self.guardrail.version,
            }
        return request

    def _read_call(
        self, request: dict[str, Any], call: aws.CancellableCall
    ) -> Generator[dict[str, Any], None, None]:
        with call, read_pacing.count_stream():
            client = self.client(
                "bedrock-runtime", read_timeout=self.timeout, tries=1, connections=MAX_STREAMS
            )
            stream = client.converse_stream(**request)["stream"]
            try:
                yield from _read_events(stream)
            finally:
                stream.close()


def _read_events(stream: Any) -> Generator[dict[str, Any], None, None]:
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
                name = headers.get(":exception-type") or headers.get(":error-code", "")
                raise StreamFaultError(str(name), message.payload)
            yield {headers[":event-type"]: parse_json(message.payload)}


_CACHE_POINT = {"cachePoint": {"type": "default"}}


@cache
def _get_threads() -> ThreadPoolExecutor:
    # Asyncio's own threads are six on two cores: the seventh stream would wait.
    return ThreadPoolExecutor(MAX_STREAMS, thread_name_prefix="riverrun-bedrock")


async def _wait_for_event(
    events: AsyncGenerator[dict[str, Any], None], patience: float | None
) -> Any:
    """Return the next event; an empty one at the end, or when `patience` seconds are over."""
    with suppress(TimeoutError):
        async with asyncio.timeout(patience):
            return await anext(events, {})
    return {}


def _make_message(message: Message) -> dict[str, Any]:
    return {"role": message.role, "content": [{"text": message.text}]}


def _get_text(event: dict[str, Any]) -> str:
    # What is not text (reasoning, tools, later inventions) is not for a reader.
    text: str = event.get("contentBlockDelta", {}).get("delta", {}).get("text") or ""
    return text


def _parse_usage(count_stream: dict[str, Any]) -> Usage:
    cached = count_stream.get("cacheReadInputTokens") or 0
    stored = count_stream.get("cacheWriteInputTokens") or 0
    return Usage(
        # Bedrock counts cached tokens apart; our `input_tokens` include them.
        input_tokens=(count_stream.get("inputTokens") or 0) + cached + stored,
        output_tokens=count_stream.get("outputTokens") or 0,
        cost_usd=None,
        cached_tokens=cached,
        stored_tokens=stored,
    )
