"""The ASGI host: one HTTP exchange between an application and what carries its answer.

It knows the ASGI specification and the user-visible error phases; it knows neither sockets nor
the Runtime API. Carriers are in `answer`.

What an application may rely on beyond ASGI 3.0 (spec_version 2.4):

- ``receive`` gives the whole body at once, then waits, and says ``http.disconnect`` when the
  answer is complete or the caller is known to have gone. Lambda hardly ever knows.
- ``send`` raises `ConnectionResetError` once the caller has gone, as the specification asks.
- A response that breaks after its start ends with Lambda's error trailers. No HTTP client
  sees those, so a ``text/event-stream`` between two events also gets one last event, the
  error object of the wire contract.
- A silent ``text/event-stream`` gets a comment every 15 seconds, between events only.
"""

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any, Literal

from . import wire
from .answer import Answer, StreamedAnswer
from .content_coding import Decoder, remove_coding
from .head import BODILESS, Head, MisuseError, read_head

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]

HEARTBEAT = 15.0  # seconds; half of the shortest idle limit in front of a function
_COMMENT = b":\n"  # one line feed: a blank line would dispatch an event in some clients


class Exchange:
    """One request and its response, as the `receive` and `send` an application is called with.

    When the application has returned, the exchange is complete, `is_gone`, or waits for `fail`.
    """

    __slots__ = (
        "_add",
        "_answer",
        "_begun",
        "_bodiless",
        "_body",
        "_bytes_due",
        "_decoder",
        "_ended",
        "_event_stream",
        "_heartbeat",
        "_held",
        "_plain",
        "_request_sent",
        "is_gone",
        "scope",
        "state",
    )

    def __init__(self, scope: Scope, body: bytes, answer: Answer) -> None:
        self.scope = scope
        self.state: Literal["waiting", "started", "complete"] = "waiting"
        self.is_gone = False
        self._answer = answer
        self._add = answer.add
        self._body = body
        self._request_sent = False
        self._ended: asyncio.Event | None = None
        self._begun = False
        self._plain = False  # the body needs nothing but sending
        self._held = (False, False)
        self._bodiless = False
        self._event_stream = False
        self._bytes_due: int | None = None  # of a declared Content-Length, in bytes
        self._decoder: Decoder | None = None
        self._heartbeat: asyncio.TimerHandle | None = None

    async def receive(self) -> Message:
        """The request, once; then the end of the exchange, when it comes."""
        if not self._request_sent and not self._is_over:
            self._request_sent = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        if not self._is_over:
            self._ended = self._ended or asyncio.Event()
            await self._ended.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take one message of the response.

        Raises `MisuseError` for one that ASGI does not allow now, and `ConnectionResetError`
        when the caller has gone.
        """
        if self._plain and message["type"] == "http.response.body" and message.get("more_body"):
            frame = message.get("body")
            if type(frame) is bytes and frame:
                if self._add(frame):
                    await self._answer.drain()
                    self._check_reader()
                return
        self._check_reader()
        kind = message["type"]
        if self.state == "waiting":
            if kind != "http.response.start":
                raise MisuseError(f"Expected ASGI message 'http.response.start', not '{kind}'.")
            self._start(message)
        elif self.state == "complete":
            raise MisuseError(f"ASGI message '{kind}' came after the response was complete.")
        elif kind != "http.response.body":
            raise MisuseError(f"Expected ASGI message 'http.response.body', not '{kind}'.")
        else:
            await self._send_body(message)

    def disconnect(self) -> None:
        """The caller has gone, as far as anyone can tell."""
        if self.state != "complete":
            self.is_gone = True
            self._plain = False
            self._end_exchange()

    def hold(self) -> None:
        """Refuse what the application sends, as if the caller had gone, until `release`."""
        self._held = (self.is_gone, self._plain)
        self.is_gone, self._plain = True, False

    def release(self) -> None:
        """As before `hold`."""
        self.is_gone, self._plain = self._held

    def fail(self, status: int, failure: wire.Failure) -> None:
        """The application will not complete its response: say so in the phase it is in.

        Before the start that is a plain response with `status` (500, 503, 504); after it, a
        last event where an event stream can still take one, and `failure` in the trailers.
        """
        if self.is_gone or self.state == "complete":
            return
        if self.state == "waiting" or not self._answer.is_committed:
            self._answer.start(Head(status, (("content-type", "text/plain; charset=utf-8"),)))
            self._bodiless = self.scope["method"] == "HEAD"
            self._begin(empty=self._bodiless)
            self._complete(b"" if self._bodiless else encode_phrase(status), failure)
            return
        if not self._begun:
            self._begin(empty=False)
        last = b""
        if self._event_stream and not self._bodiless and self._answer.is_between_events():
            last = b"data: " + json.dumps(_LAST_EVENTS[status]).encode() + b"\n\n"
        self._complete(last, failure)

    @property
    def _is_over(self) -> bool:
        return self.is_gone or self.state == "complete"

    def _check_reader(self) -> None:
        if self.is_gone:
            raise ConnectionResetError("The caller has gone; this response has no reader.")

    def _start(self, message: Message) -> None:
        head = read_head(message)
        self._bodiless = self.scope["method"] == "HEAD" or head.status in BODILESS
        coding = head.first("content-encoding")
        length = head.declared_length
        if coding is not None and isinstance(self._answer, StreamedAnswer):
            head, self._decoder = remove_coding(head, coding.lower().strip())
        self._answer.start(head)
        self.state = "started"
        content_type = head.first("content-type") or ""
        if content_type.lower().startswith("text/event-stream"):
            self._event_stream = True
            self._answer.follow_events()
        if self._bodiless or length == 0:
            self._begin(empty=True)
        else:
            self._bytes_due = length
            # The prelude leaves now, unless this very turn shows that there is no body.
            asyncio.get_running_loop().call_soon(self._begin_late)

    def _begin_late(self) -> None:
        if not self._begun and not self.is_gone:
            self._begin(empty=False)

    def _begin(self, *, empty: bool, first: bytes = b"") -> bool:
        self._begun = True
        is_full = self._answer.begin(empty=empty, first=first)
        self._plain = (
            not self._bodiless and self._bytes_due is None and self._decoder is None and not empty
        )
        if self._event_stream and not empty:
            self._heartbeat = asyncio.get_running_loop().call_later(HEARTBEAT, self._send_heartbeat)
        return is_full

    async def _send_body(self, message: Message) -> None:
        frame = message.get("body", b"")
        more = bool(message.get("more_body", False))
        if type(frame) is not bytes:
            if not isinstance(frame, (bytes, bytearray, memoryview)):
                raise MisuseError("The body of a response must be bytes.")
            frame = bytes(frame)
        self._count(len(frame), more=more)
        if not self._begun:
            if frame and more and self._decoder is None:
                if self._begin(empty=False, first=frame):
                    await self._answer.drain()
                    self._check_reader()
                return
            self._begin(empty=not frame and not more)
        if self._bodiless:
            frame = b""
        elif self._decoder is not None:
            frame = self._decoder.decode(frame, more=more)
        if not more:
            self._complete(frame)
        elif frame and self._add(frame):
            await self._answer.drain()
            self._check_reader()

    def _count(self, size: int, *, more: bool) -> None:
        """Hold the application to its Content-Length: a short body must not look whole."""
        if self._bytes_due is None or self._bodiless:
            return
        self._bytes_due -= size
        if self._bytes_due < 0:
            raise MisuseError("The response is longer than its Content-Length.")
        if self._bytes_due > 0 and not more:
            raise MisuseError("The response is shorter than its Content-Length.")

    def _complete(self, frame: bytes, failure: wire.Failure | None = None) -> None:
        self._answer.end(frame, failure)
        self.state = "complete"
        self._plain = False
        self._end_exchange()

    def _end_exchange(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            self._heartbeat = None
        if self._ended is not None:
            self._ended.set()

    def _send_heartbeat(self) -> None:
        loop = asyncio.get_running_loop()
        due = self._answer.last_sent_at + HEARTBEAT
        if due <= loop.time():
            if self._answer.is_between_events():
                self._add(_COMMENT)
            due = loop.time() + HEARTBEAT
        self._heartbeat = loop.call_at(due, self._send_heartbeat)


def _error_event(code: str, text: str) -> dict[str, Any]:
    return {"type": "error", "error": text, "code": code, "retryable": True}


_LAST_EVENTS = {
    500: _error_event("internal", "The answer broke off because of an error on our side."),
    503: _error_event("interrupted", "The server stopped before the answer was complete."),
    504: _error_event("deadline", "Time ran out before the answer was complete."),
}


def encode_phrase(status: int) -> bytes:
    """The reason phrase of a status, as the body that says it."""
    from http import HTTPStatus

    return HTTPStatus(status).phrase.encode()
