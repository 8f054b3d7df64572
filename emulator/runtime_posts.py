"""What a runtime posts for an invocation: a whole response, a stream or an error.

`RuntimeApi` decides whether a post is allowed; here it is read. Knows nothing of states.
"""

import contextlib
from collections.abc import Awaitable, Callable

from emulator.body import TooLargeError, TruncatedBodyError
from emulator.chunked import MalformedBodyError
from emulator.http1 import Reply, Request
from emulator.invocation import (
    ERROR_BODY,
    ERROR_TYPE,
    PAYLOAD_LIMIT,
    FunctionError,
    Invocation,
    Response,
    failure,
    whole_response,
)
from emulator.runtime_answers import (
    RESPONSE_MODE,
    TOO_LARGE,
    accept,
    read_error_report,
    send_refusal,
    too_large,
)

TRUNCATED = failure("Runtime.TruncatedResponse", "The response ended without its last chunk.")


class Posts:
    """Reads the posts of one sandbox.

    `wedged` is set by a response mode that does not exist, `exit_error` by the process's death:
    it explains more than a missing last chunk, so `settle` waits a moment for it. `on_sent` is
    called when an invocation's post is complete.
    """

    def __init__(
        self,
        *,
        concurrent: bool,
        on_sent: Callable[[Invocation], None],
        settle: Callable[[], Awaitable[None]] | None,
    ) -> None:
        self.wedged = False
        self.exit_error: FunctionError | None = None
        self._concurrent = concurrent
        self._on_sent = on_sent
        self._settle = settle

    async def take_response(self, request: Request, reply: Reply, invocation: Invocation) -> None:
        """Take a response, whole or streamed, and answer the runtime."""
        mode = request.header(RESPONSE_MODE)
        if mode not in ("", "streaming"):
            invocation.fail(
                failure("Runtime.InvalidResponseModeHeader", f"{RESPONSE_MODE}: {mode}")
            )
            if not self._concurrent:
                self.wedged = True  # its state allows nothing now; only a reset helps
            else:
                self._on_sent(invocation)
            await send_refusal(
                reply, 400, "InvalidFunctionResponseMode", "Invalid function response mode"
            )
            return
        if mode:
            await self._take_stream(request, reply, invocation)
        else:
            await self._take_whole(request, reply, invocation)

    async def _take_whole(self, request: Request, reply: Reply, invocation: Invocation) -> None:
        try:
            content = await request.body.read_all(PAYLOAD_LIMIT)
        except TooLargeError:
            invocation.fail(too_large())
            self._on_sent(invocation)
            await send_refusal(reply, 413, "RequestEntityTooLarge", TOO_LARGE)
            return
        except (TruncatedBodyError, MalformedBodyError):
            await self._refuse_truncated(reply, invocation, None)
            return
        invocation.answer(whole_response(content, request.header("content-type")))
        self._on_sent(invocation)
        await accept(reply)

    async def _take_stream(self, request: Request, reply: Reply, invocation: Invocation) -> None:
        # "Trailer must be declared up front or trailers are dropped."
        declared = {name.strip().lower() for name in request.header("trailer").split(",")}
        body = request.body
        cut_off = False

        async def read() -> bytes:
            nonlocal cut_off
            try:
                return await body.read()
            except (TruncatedBodyError, MalformedBodyError):
                cut_off = True
                if self._settle and not response.broken:
                    await self._settle()
                response.break_off(self.exit_error or TRUNCATED)
                return b""

        def trailers() -> dict[str, str]:
            kept = {ERROR_TYPE.lower(), ERROR_BODY.lower()} & declared
            return {name: body.trailers[name] for name in kept if name in body.trailers}

        response = Response(
            read,
            content_type=request.header("content-type") or "application/octet-stream",
            streaming=True,
            trailers=trailers,
            abort=lambda: None if cut_off else reply.abort(),
        )
        invocation.answer(response)
        await response.ended.wait()
        if response.broken:
            await self._refuse_truncated(reply, invocation, response)
        else:
            self._on_sent(invocation)
            await accept(reply)

    async def _refuse_truncated(
        self, reply: Reply, invocation: Invocation, response: Response | None
    ) -> None:
        if response is None:
            if self._settle:
                await self._settle()
            invocation.fail(self.exit_error or TRUNCATED)
        self._on_sent(invocation)
        with contextlib.suppress(ConnectionError):
            await send_refusal(
                reply, 400, "TruncatedHTTPRequest", "HTTP request detected as truncated"
            )

    async def take_error(self, request: Request, reply: Reply, invocation: Invocation) -> None:
        """Take an error report, and answer the runtime."""
        error = await read_error_report(request)
        invocation.fail(error)
        self._on_sent(invocation)
        await accept(reply)
