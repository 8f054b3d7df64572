"""What goes back: a streaming answer that always closes its generator, and JSON errors."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import anyio
from pydantic_core import from_json, to_json
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from ...errors import RiverrunError
from ...runs import Entry
from ..deadlines import CLOSE_SECONDS
from ..encoders import Dialect, RunInfo, find_dialect, frames
from ..event_json import payload
from ..run.log_writer import Entries
from ..run.transcript import make_error_event

logger = logging.getLogger("riverrun.http")

_FINAL = b'{"type":"final","result":'

STATUS_OF_CODE: Mapping[str, int] = {
    "invalid_json": 400,
    "invalid_request": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "idempotency_conflict": 409,
    "expired": 410,
    "payload_too_large": 413,
    "uri_too_long": 414,
    "unsupported_media": 415,
    "validation_error": 422,
    "context_too_long": 422,
    "rate_limited": 429,
    "budget_exceeded": 429,
    "provider_error": 502,
    "provider_truncated": 502,
    "content_filtered": 502,
    "provider_throttled": 503,
    "overloaded": 503,
    "cancelled": 503,
    "interrupted": 503,
    "provider_timeout": 504,
    "deadline": 504,
}
"""Code of the contract -> HTTP status before the first byte. Anything else is a 500."""


class StreamingAnswer(StreamingResponse):
    """A response whose body is a generator of bytes, closed on every end.

    Starlette leaves the generator to the garbage collector when the reader goes away; here its
    `finally` has run by the time the response is over.
    """

    def __init__(
        self,
        body: AsyncGenerator[bytes, None],
        entries: Entries,
        dialect: Dialect,
        run_id: str,
        afterwards: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(
            body,
            headers={
                "Content-Type": _with_charset(dialect.content_type),
                "Cache-Control": "no-cache, no-transform",
                "Connection": "keep-alive",
                "X-Accel-Buffering": "no",
                "X-Run-Id": run_id,
                "Vary": "Accept, Origin",
                **dialect.headers,
            },
        )
        self._body = body
        self._entries = entries
        self._afterwards = afterwards

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the body to the reader, and close it whatever happens."""
        try:
            await super().__call__(scope, receive, send)
        except ClientDisconnect:
            pass  # a reader that leaves is no error; what follows is in the `finally` below
        finally:
            with anyio.move_on_after(CLOSE_SECONDS, shield=True):
                await self._body.aclose()
                # A body that was never begun closes nothing: the entries are closed by name.
                await self._entries.aclose()
            if self._afterwards is not None and "aws.context" in scope:
                # A function is frozen once it has answered, and a run that goes on with it.
                await self._afterwards()


class JSONAnswer(Response):
    """A JSON document that no cache may keep."""

    media_type = "application/json"

    def __init__(
        self, content: Any, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(
            content if isinstance(content, bytes) else to_json(content, inf_nan_mode="null"),
            status,
            {"Cache-Control": "no-store", "Vary": "Accept, Origin", **(headers or {})},
        )


def stream_response(
    entries: Entries,
    dialect: str,
    run_info: RunInfo,
    *,
    after: int = 0,
    afterwards: Callable[[], Awaitable[None]] | None = None,
) -> StreamingAnswer:
    """Return `entries` as a response in `dialect`, what follows entry `after`.

    `afterwards` is awaited where the process does not outlive the response.
    """
    spoken = find_dialect(dialect)
    body = frames(entries, spoken, run_info, after=after)
    return StreamingAnswer(body, entries, spoken, run_info.run_id, afterwards)


def terminal_response(entry: Entry, run_info: RunInfo, dialect: str = "native") -> Response:
    """Return the end of a run in JSON mode: the bare `ChatResponse`, or the error with its status.

    Made of the entry's own bytes, so that JSON mode says what the stream says.
    """
    spoken = find_dialect(dialect)
    headers = {"X-Run-Id": run_info.run_id}
    if entry.kind == "final":
        if spoken.describe_answer is not None:
            result = from_json(entry.payload)["result"]
            return JSONAnswer(spoken.describe_answer(run_info, result), headers=headers)
        return JSONAnswer(entry.payload.removeprefix(_FINAL).removesuffix(b"}"), headers=headers)
    failure = from_json(entry.payload)
    code = failure["code"]
    headers |= _make_retry_headers(code, failure.get("retryAfterMs"))
    return _refusal(entry.payload, STATUS_OF_CODE.get(code, 500), headers, dialect)


def error_response(
    error: RiverrunError,
    *,
    dialect: str = "native",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the error object of the contract with its HTTP status: phase one.

    The clients of another `dialect` get it in the shape that they read. What is not the asker's
    business (`SetupError`, code `internal`) goes to the logger instead.
    """
    if error.code == "internal":
        logger.error("A request failed: %s", error, exc_info=error.__cause__)
    failure = replace(make_error_event(error), details=getattr(error, "details", None))
    status = STATUS_OF_CODE.get(error.code, 500)
    advice = _make_retry_headers(error.code, error.retry_after_ms)
    answer = _refusal(payload(failure), status, {**advice, **(headers or {})}, dialect)
    # For the code that counts refusals; a response has no place of its own for it.
    answer.refusal = (error.code, getattr(error, "scope", ""))  # type: ignore[attr-defined]
    return answer


def _refusal(failure: bytes, status: int, headers: Mapping[str, str], dialect: str) -> Response:
    describe = find_dialect(dialect).describe_refusal
    if describe is None:
        return JSONAnswer(failure, status, headers)
    refusal = describe(from_json(failure))
    if isinstance(refusal, str):
        return PlainTextResponse(refusal, status, {"Cache-Control": "no-store", **headers})
    return JSONAnswer(refusal, status, headers)


def _make_retry_headers(code: str, retry_after_ms: int | None) -> Mapping[str, str]:
    status = STATUS_OF_CODE.get(code, 500)
    if status in (429, 503):
        return {"Retry-After": str(-(-(retry_after_ms or 1000) // 1000))}
    if status == 401:
        return {"WWW-Authenticate": "Bearer"}
    return {}


def _with_charset(content_type: str) -> str:
    """`content_type`; text says UTF-8, or `requests` reads an event stream as latin-1."""
    return f"{content_type}; charset=utf-8" if content_type.startswith("text/") else content_type
