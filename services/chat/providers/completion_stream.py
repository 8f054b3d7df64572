"""Read the body of a Chat Completions answer, whatever a compatible endpoint makes of it.

Server-sent events, JSON line by line, one whole completion, an error with status 200 or a page of
HTML: what the body is shows in its first byte, not in its Content-Type. Knows no HTTP.
"""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from ...json_input import parse_json
from ..provider import ModelUsage
from ..service_error import ServiceError, clean_for_log
from .chat_completions import CompletionChunk, merge_usage, read_chunk, read_plain_text
from .error_bodies import MAX_BODY, find_error, read_error_body
from .event_stream import MAX_LINE, EventStreamDecoder, OversizeError

# Seconds to wait for the usage after the end of an answer; longer where text came with that end,
# which some services say in every chunk; and for the end of the body after ``[DONE]``.
USAGE_PATIENCE = 2.0
DOUBTFUL_PATIENCE = 10.0
DONE_PATIENCE = 0.2


# Ends of lines that may end a document and do not, before it is only read as a whole.
MAX_MISSES = 5_000


class CompletionPart(NamedTuple):
    """A piece of what the model said or thought."""

    text: str
    thought: str


class BrokenStreamError(Exception):
    """The body is no answer, or breaks off within one of its parts."""


class CompletionStream:
    """`feed` every chunk of a body, then `finish`; the end and the usage are told by then.

    `timeout` is the longest silence in seconds, `thinking_timeout` the longest time without a word
    of the answer where the service shows that it is at work.
    """

    def __init__(self, timeout: float, thinking_timeout: float, *, is_thinker: bool) -> None:
        self.usage: ModelUsage | None = None
        self.is_thinking = is_thinker
        self._timeout = timeout
        self._thinking_timeout = max(timeout, thinking_timeout)
        self._decoder = EventStreamDecoder()
        self._kind = ""
        self._body = b""
        self._misses = 0
        self._reason = ""
        self._is_done = False
        self._is_doubtful = False
        self._has_text_after_end = False
        self._remark = ""
        self._is_alive = False
        self._last_word = time.monotonic()

    @property
    def patience(self) -> float:
        """How long to wait for the next bytes, in seconds."""
        if self._is_done:
            return DONE_PATIENCE
        if self._reason and not self._has_text_after_end:
            return DOUBTFUL_PATIENCE if self._is_doubtful else USAGE_PATIENCE
        if not self.is_thinking and not self._is_alive:
            return self._timeout
        return max(0.001, self._last_word + self._thinking_timeout - time.monotonic())

    @property
    def is_whole(self) -> bool:
        """Whether the answer has ended, also if its connection broke after that."""
        return self._is_done or bool(self._reason and not self._has_text_after_end)

    def find_end(self, *, has_text: bool) -> str:
        """Return the stop reason of the body that has ended; "" where it broke off.

        Raises `ServiceError` where the body was text that explains why there is no answer.
        """
        if self._reason:
            return self._reason
        if self._is_done and has_text:
            return "stop"
        if self._remark:
            raise ServiceError(text=self._remark)
        return ""

    @staticmethod
    def is_good(reason: str) -> bool:
        """Return whether the model ended by itself."""
        return reason.lower() not in ("length", "max_tokens", "")

    def feed(self, chunk: bytes) -> Iterator[CompletionPart]:
        """Yield what `chunk` completes. Raises `ServiceError` for the error that it may be."""
        if not self._kind and not self._detect(chunk):
            return
        if self._kind == "events":
            chunk, self._body = self._body + chunk, b""
            events = self._decoder.feed(chunk)
            if not events:
                self._is_alive = True  # a comment: the service is at work
            for name, data in events:
                yield from self._read_event(name, data)
        else:
            self._body += chunk
            if len(self._body) > MAX_LINE:
                raise OversizeError(f"the body is longer than {MAX_LINE} bytes")
            # Nothing ends with a chunk that ends no line: it is not looked at once more for each.
            if self._kind == "json" and b"\n" in chunk and self._misses < MAX_MISSES:
                yield from self._read_lines()

    def finish(self) -> Iterator[CompletionPart]:
        """Yield what the end of the body completes."""
        if self._kind == "events":
            for name, data in self._decoder.finish():
                try:
                    yield from self._read_event(name, data)
                except BrokenStreamError:
                    return  # half a chunk is none
        elif self._kind == "json" and self._body.strip():
            yield from self._read_rest()
        elif self._body.strip():
            raise read_error_body(0, {}, self._body[:MAX_BODY])

    def _detect(self, chunk: bytes) -> bool:
        """Find out what the body is by its first byte; False while there is none."""
        start = (self._body + chunk).removeprefix(b"\xef\xbb\xbf").lstrip()
        if not start or start in (b"\xef", b"\xef\xbb"):
            self._body += chunk
            return False
        self._kind = {b"{": "json", b"[": "json", b"<": "page"}.get(start[:1], "events")
        if self._kind == "json":
            self._body = self._body.removeprefix(b"\xef\xbb\xbf")
        return True

    def _read_event(self, name: bytes, data: bytes) -> Iterator[CompletionPart]:
        if self._is_done:
            return
        data = data.strip()
        if data in (b"[DONE]", b'"[DONE]"', b"DONE"):
            self._is_done = True
        elif data[:1] == b"{":
            for value in _parse(data):
                yield from self._read_value(value, is_error=name == b"error")
        elif data and name == b"error":
            raise read_error_body(0, {}, data)
        else:
            self._is_alive = True
            if data[:1] not in (b"", b":", b"["):
                self._remark = data[:MAX_BODY].decode("utf-8", "replace")

    def _read_lines(self) -> Iterator[CompletionPart]:
        """Read JSON that comes line by line; what is not whole yet stays."""
        lines = self._body.split(b"\n")
        pending = lines.pop()
        held: list[bytes] = []
        for line in lines:
            held.append(line)
            if line.rstrip()[-1:] not in (b"}", b"]"):
                continue
            try:
                value = parse_json(b"\n".join(held))
            except ValueError:
                self._misses += 1
                if self._misses >= MAX_MISSES:
                    break
                continue
            held = []
            for item in _as_list(value):
                yield from self._read_value(item)
        if self._misses < MAX_MISSES:
            self._body = b"\n".join([*held, pending])

    def _read_rest(self) -> Iterator[CompletionPart]:
        try:
            value = parse_json(self._body)
        except ValueError as error:
            if self._reason:
                return
            raise BrokenStreamError(clean_for_log(self._body.decode("utf-8", "replace"))) from error
        for item in _as_list(value):
            # A whole document is an answer to its end.
            yield from self._read_value(item)
        if not self._reason:
            self._is_done = True

    def _read_value(self, value: Any, *, is_error: bool = False) -> Iterator[CompletionPart]:
        if not isinstance(value, dict):
            return
        if not is_error and not self._reason and (text := read_plain_text(value)):
            self._note_word()
            yield CompletionPart(text, "")
            return
        error = find_error(value)
        if error is None and is_error:
            error = find_error({"error": value})
        if error is not None:
            if self.is_whole:
                return
            raise error
        chunk = read_chunk(value)
        self.usage = merge_usage(self.usage, chunk.usage)
        self._note_end(chunk)
        if chunk.is_refusal:
            self._reason = "refusal"
        if chunk.text or chunk.thought:
            self._note_word()
            yield CompletionPart(chunk.text, chunk.thought)

    def _note_word(self) -> None:
        self._last_word = time.monotonic()
        self._is_alive = False

    def _note_end(self, chunk: CompletionChunk) -> None:
        if self._reason == "refusal":
            return
        if chunk.text and self._reason:
            self._has_text_after_end = True
        if chunk.finish_reason:
            self._reason = chunk.finish_reason
            self._is_doubtful = bool(chunk.text)


def _parse(data: bytes) -> list[Any]:
    try:
        return [parse_json(data.decode("utf-8", "surrogatepass"))]
    except ValueError:
        pass
    try:
        # Services that forget the empty line between two events.
        return [
            parse_json(line) for line in data.split(b"\n") if line.strip() and line != b"[DONE]"
        ]
    except ValueError as error:
        raise BrokenStreamError(clean_for_log(data.decode("utf-8", "replace"))) from error


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
