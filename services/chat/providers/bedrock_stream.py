"""Read the events of ConverseStream: text, thoughts, citations, the end and the usage."""

from collections.abc import Generator
from typing import Any

from ...json_input import parse_json
from ..provider import ModelUsage, Prompt
from .bedrock_errors import read_stream_error
from .chat_completions import as_count, merge_usage
from .event_stream import MAX_STREAM, OversizeError

StreamEvent = dict[str, Any]


class BedrockMessage:
    """What the events of one message say together: its end, its usage, its citations."""

    def __init__(self, prompt: Prompt) -> None:
        self.reason = ""
        self.usage: ModelUsage | None = None
        self._sources = [passage.uri or passage.id for passage in prompt.passages]
        self._cited: list[int] = []
        self._last = ""

    def read(self, event: StreamEvent) -> tuple[str, str]:
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


def read_events(stream: Any) -> Generator[StreamEvent, None, None]:
    """Yield the events of a stream: ``{":event-type": payload}``.

    boto3's own reader loses the name of an exception that is not spelled as it expects, and with
    it whether another try may succeed. Its frame parser, which checks checksums, does not.
    """
    from botocore.eventstream import EventStreamBuffer

    buffer = EventStreamBuffer()
    size = 0
    for chunk in stream._raw_stream.stream():  # noqa: SLF001 - see above
        size += len(chunk)
        if size > MAX_STREAM:
            raise OversizeError(f"the body is longer than {MAX_STREAM} bytes")
        buffer.add_data(chunk)
        for message in buffer:
            headers = message.headers
            if headers.get(":message-type") != "event":
                raise read_stream_error(headers, message.payload)
            yield {headers[":event-type"]: parse_json(message.payload)}


def _parse_usage(counted: dict[str, Any]) -> ModelUsage | None:
    cached = as_count(counted.get("cacheReadInputTokens"))
    stored = as_count(counted.get("cacheWriteInputTokens"))
    tokens_in = as_count(counted.get("inputTokens")) + cached + stored
    tokens_out = as_count(counted.get("outputTokens"))
    if not tokens_in and not tokens_out:
        return None
    return ModelUsage(
        # Bedrock counts cached tokens apart; our `input_tokens` include them.
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        cost_usd=None,
        cached_tokens=cached,
        stored_tokens=stored,
    )
