"""One invocation and what the function says to it.

A response is pulled: the front that carries it out reads the runtime's own socket, so a slow
client slows the function and nothing grows. Knows nothing of HTTP or processes.
"""

import asyncio
import base64
import binascii
import json
import os
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

PAYLOAD_LIMIT = 6 * 1024 * 1024 + 100
STREAM_LIMIT = 200 * 1024 * 1024

# What the trailers of a streamed response are called.
ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
ERROR_BODY = "Lambda-Runtime-Function-Error-Body"

_KNOWN_ERROR = re.compile(r"(Runtime|Function)\.[A-Z][a-zA-Z]+")


@dataclass(frozen=True, slots=True)
class FunctionError:
    """Why an invocation failed: a type such as `Runtime.ExitError`, and a JSON document."""

    type: str
    body: bytes


class BrokenResponseError(Exception):
    """The response ended before its end."""

    def __init__(self, error: FunctionError) -> None:
        super().__init__(error.type)
        self.error = error


def failure(error_type: str, message: str) -> FunctionError:
    """An error of the platform's own."""
    document = {"errorType": error_type, "errorMessage": message}
    return FunctionError(error_type, json.dumps(document).encode())


def exit_error(status: int) -> FunctionError:
    """The error of an invocation whose process had ended before it."""
    return failure("Runtime.ExitError", f"Runtime exited with error: exit status {status}")


def normalize_error_type(text: str) -> str:
    """The error type as the platform keeps it: `Runtime.X`, `Function.X`, or unknown."""
    if _KNOWN_ERROR.fullmatch(text):
        return text
    return "Function.Unknown" if text.startswith("Function.") else "Runtime.Unknown"


class Response:
    """What a function answers: read it to its end, then look at `error`.

    `error` before the first byte is a failed invocation; after the last byte it is what the
    trailers said. `broken` is set when the end never came.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[bytes]],
        *,
        content_type: str,
        streaming: bool,
        trailers: Callable[[], Mapping[str, str]] = dict,
        abort: Callable[[], None] = lambda: None,
    ) -> None:
        self.content_type = content_type
        self.streaming = streaming
        self.error: FunctionError | None = None
        self.broken: FunctionError | None = None
        self.ended = asyncio.Event()
        self._read = read
        self._trailers = trailers
        self._abort = abort
        self._size = 0

    async def read(self) -> bytes:
        """The bytes that have come; b"" at the end. Safe to cancel.

        Raises `BrokenResponseError` when the function died, was killed, or left its body
        unfinished.
        """
        if self.ended.is_set():
            if self.broken:
                raise BrokenResponseError(self.broken)
            return b""
        data = await self._read()
        if self.broken:
            raise BrokenResponseError(self.broken)
        self._size += len(data)
        if self._size > STREAM_LIMIT:
            self.break_off(
                failure("Function.ResponseSizeTooLarge", "Response payload size exceeded 200 MB.")
            )
            raise BrokenResponseError(self.broken or failure("Runtime.Unknown", ""))
        if not data:
            self.error = self.error or _trailer_error(self._trailers())
            self.ended.set()
        return data

    async def read_all(self, limit: int) -> bytes:
        """The whole response. Over `limit` bytes it breaks off, as a buffered caller's does."""
        pieces: list[bytes] = []
        size = 0
        while data := await self.read():
            size += len(data)
            if size > limit:
                error = failure(
                    "Function.ResponseSizeTooLarge",
                    f"Response payload size exceeded maximum allowed payload size ({limit} bytes).",
                )
                self.break_off(error)
                raise BrokenResponseError(error)
            pieces.append(data)
        return b"".join(pieces)

    async def drain(self) -> None:
        """Read and drop the rest: a client that left does not stop the function."""
        try:
            while await self.read():
                pass
        except BrokenResponseError:
            pass

    def break_off(self, error: FunctionError) -> None:
        """End the response here, for its reader and for the runtime that sends it."""
        if not self.ended.is_set():
            self.broken = error
            self.ended.set()
            self._abort()


def whole_response(content: bytes, content_type: str) -> Response:
    """A response that has come in one piece."""
    rest = [content, b""]

    async def read() -> bytes:
        return rest.pop(0) if len(rest) > 1 else b""

    return Response(read, content_type=content_type, streaming=False)


def failed_response(error: FunctionError) -> Response:
    """The response of an invocation that failed before its first byte."""
    response = whole_response(b"", "application/json")
    response.error = error
    response.ended.set()
    return response


def new_trace_id() -> str:
    """A new X-Ray trace header, sampled."""
    root = f"1-{int(time.time()):08x}-{os.urandom(12).hex()}"
    return f"Root={root};Parent={os.urandom(8).hex()};Sampled=1"


@dataclass(eq=False, slots=True)
class Invocation:
    """One call on its way through a sandbox.

    `state` follows the Runtime API: Running, InvocationResponse, InvocationErrorResponse,
    RuntimeResponseSentState. `deadline` is in epoch seconds.
    """

    payload: bytes
    deadline: float
    arn: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    nonce: str = field(default_factory=lambda: uuid.uuid4().hex)
    content_type: str = "application/json"
    trace_id: str = field(default_factory=new_trace_id)
    client_context: str = ""
    tenant_id: str = ""
    state: str = "Running"
    started: float = field(default_factory=time.monotonic)
    response: "asyncio.Future[Response]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def answer(self, response: Response) -> None:
        """Hand the response to the caller; only the first one counts."""
        if not self.response.done():
            self.response.set_result(response)

    def fail(self, error: FunctionError) -> None:
        """Fail before the first byte, or break the response off after it."""
        if not self.response.done():
            self.response.set_result(failed_response(error))
        elif not self.response.cancelled():
            self.response.result().break_off(error)

    @property
    def is_over(self) -> bool:
        """Whether the caller has all it will get."""
        return self.response.done() and (
            self.response.cancelled() or self.response.result().ended.is_set()
        )


def _trailer_error(trailers: Mapping[str, str]) -> FunctionError | None:
    error_type = trailers.get(ERROR_TYPE.lower(), "")
    if not error_type:
        return None
    encoded = trailers.get(ERROR_BODY.lower(), "")
    try:
        body = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        body = encoded.encode("latin-1")
    return FunctionError(normalize_error_type(error_type), body)
