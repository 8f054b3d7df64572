"""The Lambda Runtime API of one sandbox: invocations out, responses in.

One class, two temperaments. Classic: one invocation at a time, with the state machine of
AWS's own server. Concurrent (`concurrency` polls at once, each response by its request id):
what managed instances do. Knows nothing of processes, queues, or who invoked.
"""

import asyncio
import contextlib
import re
import uuid
from collections import deque
from collections.abc import Awaitable, Callable

from emulator.chunked import MalformedBodyError
from emulator.http1 import Reply, Request, TooLargeError, TruncatedBodyError
from emulator.invocation import (
    ERROR_BODY,
    ERROR_TYPE,
    PAYLOAD_LIMIT,
    FunctionError,
    Invocation,
    Response,
    failure,
    whole,
)
from emulator.polls import Polls
from emulator.runtime_answers import (
    EXTENSION_ID,
    INVOCATION_ID,
    REFUSALS,
    RESPONSE_MODE,
    TOO_LARGE,
    accept,
    deliver,
    refuse,
    reported,
    too_large,
)
from emulator.server import Server, listen

_POST = re.compile(r"/2018-06-01/runtime/invocation/([^/]+)/(response|error)")
_OTHER_METHODS = (  # asked with another method they are 405, as AWS's own router says
    "/2018-06-01/runtime/invocation/next",
    "/2018-06-01/runtime/init/error",
    "/2018-06-01/ping",
)
_TEXT = (("Content-Type", "text/plain; charset=utf-8"),)
_REMEMBERED = 1000
_LAST_WORDS = 1.0

TRUNCATED = failure("Runtime.TruncatedResponse", "The response ended without its last chunk.")

Refusal = Callable[[str], int | None]


class RuntimeApi:
    """The server a runtime finds at AWS_LAMBDA_RUNTIME_API.

    `ready` is set at the first `/next`, `init_error` by `/runtime/init/error`, `wedged` by a
    response mode that does not exist. `on_idle` is called when an invocation is over: classic,
    at the `/next` that follows it. `refusal` may spoil a request to "next", "response" or
    "error" with a status, 0 for a reset. `settle` waits a moment for the process's death, which
    explains more than a missing last chunk.
    """

    def __init__(
        self,
        concurrency: int | None = None,
        *,
        snap_start: bool = False,
        on_idle: Callable[[], None] = lambda: None,
        refusal: Refusal = lambda _: None,
        settle: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.ready = asyncio.Event()
        self.init_error: FunctionError | None = None
        self.has_extension = False
        self.wedged = False
        self.exit_error: FunctionError | None = None
        self.in_flight: list[Invocation] = []
        self.address = ""
        self._concurrency = concurrency
        self._snap_start = snap_start
        self._restored = asyncio.Event()
        self._on_idle = on_idle
        self._refusal = refusal
        self._settle = settle
        self._state = "Started"
        self._polls = Polls()
        self._expired: deque[str] = deque(maxlen=_REMEMBERED)
        self._server: Server | None = None

    async def start(self) -> None:
        """Listen on a free port of the loopback interface."""
        self._server = await listen(self._handle)
        self.address = f"127.0.0.1:{self._server.port}"

    async def close(self) -> None:
        """Drop every connection of the runtime."""
        if self._server:
            await self._server.close()

    @property
    def state(self) -> str:
        """The classic state machine's state, by the name the Runtime API uses for it."""
        if self._concurrency is None and self.in_flight:
            return self.in_flight[0].state
        return self._state

    @property
    def polls(self) -> int:
        """How many `/next` requests are waiting."""
        return self._polls.idle

    @property
    def busy(self) -> bool:
        """Whether an invocation is under way or waiting for a poll."""
        return bool(self.in_flight or self._polls.waiting)

    def submit(self, invocation: Invocation) -> None:
        """Queue an invocation for the next free poll."""
        self._restored.set()
        self._polls.submit(invocation)

    def expire(self, invocation: Invocation) -> None:
        """Forget an invocation that timed out; what is posted for it later gets 410."""
        self._expired.append(invocation.id)
        with contextlib.suppress(ValueError):
            self._polls.waiting.remove(invocation)
        with contextlib.suppress(ValueError):
            self.in_flight.remove(invocation)

    async def bury(self, error: FunctionError) -> None:
        """The process is gone: what it sent still counts, what it owes fails with `error`."""
        if self._server:
            await self._server.quiet(_LAST_WORDS)
        self._fail_all(error)

    def _fail_all(self, error: FunctionError) -> None:
        for invocation in [*self.in_flight, *self._polls.waiting]:
            if not invocation.response.done():  # a stream meets its own end
                invocation.fail(error)
        self.in_flight.clear()
        self._polls.waiting.clear()

    async def _handle(self, request: Request, reply: Reply) -> None:
        posted = _POST.fullmatch(request.path) if request.method == "POST" else None
        if posted:
            await self._posted(request, reply, posted[1], posted[2])
            return
        match request.method, request.path:
            case "GET", "/2018-06-01/runtime/invocation/next":
                await self._next(reply)
            case "POST", "/2018-06-01/runtime/init/error":
                await self._init_error(request, reply)
            case "GET", "/2018-06-01/runtime/restore/next" if self._snap_start:
                await self._restore_next(reply)
            case "POST", "/2018-06-01/runtime/restore/error" if self._snap_start:
                await self._restore_error(request, reply)
            case "GET", "/2018-06-01/ping":
                await reply.send(200, _TEXT, b"pong")
            case "POST", "/2020-01-01/extension/register":
                self.has_extension = True
                head = [(EXTENSION_ID, str(uuid.uuid4())), ("Content-Type", "application/json")]
                await reply.send(200, head, b"{}")
            case "GET", "/2020-01-01/extension/event/next":
                await reply.hung_up()
            case _, path if path in _OTHER_METHODS or _POST.fullmatch(path):
                await reply.send(405, [])
            case _:
                await reply.send(404, _TEXT, b"404 page not found\n")

    # --- next -----------------------------------------------------------------------------

    async def _next(self, reply: Reply) -> None:
        if await self._refused("next", reply):
            return
        if self._concurrency is None:
            if self.state in (
                "Running",
                "Ready",
                "RuntimeResponseSentState",
                "Started",
                "Restoring",
            ):
                self._become_ready()
            else:
                await self._wrong_state(reply, "Ready")
                return
            if self.in_flight:  # Running: the same event again
                await self._deliver(self.in_flight[0], reply)
                return
        elif self.polls >= self._concurrency:
            message = f"More than {self._concurrency} idle polls"
            await refuse(reply, 403, "Runtime.TooManyIdleRuntimes", message)
            return
        self.ready.set()
        invocation = await self._polls.take(reply)
        if invocation is not None:
            await self._deliver(invocation, reply)

    def _become_ready(self) -> None:
        over = self.state == "RuntimeResponseSentState"
        if over:
            self.in_flight.clear()
        if not self.in_flight:
            self._state = "Ready"
            self.ready.set()
        if over and not self._polls.waiting:
            self._on_idle()

    async def _deliver(self, invocation: Invocation, reply: Reply) -> None:
        if invocation not in self.in_flight:
            self.in_flight.append(invocation)
        try:
            await deliver(reply, invocation, concurrent=self._concurrency is not None)
        except ConnectionError:
            # Classic runtimes get the same event at their next poll; here another poll takes it.
            if self._concurrency is not None:
                self.in_flight.remove(invocation)
                self._polls.submit(invocation)
            raise

    # --- response and error -----------------------------------------------------------------

    async def _posted(self, request: Request, reply: Reply, name: str, verb: str) -> None:
        invocation = await self._found(request, reply, name)
        if invocation is None or await self._refused(verb, reply, invocation):
            return
        wanted = "InvocationResponse" if verb == "response" else "InvocationErrorResponse"
        if invocation.state != "Running":
            await self._wrong_state(reply, wanted, invocation.state)
            return
        invocation.state = wanted
        if verb == "response":
            await self._response(request, reply, invocation)
        else:
            await self._error(request, reply, invocation)

    async def _found(self, request: Request, reply: Reply, name: str) -> Invocation | None:
        nonce = request.header(INVOCATION_ID)
        candidates = [i for i in self.in_flight if i.id == name]
        for invocation in candidates:
            if nonce in ("", invocation.nonce):
                return invocation
        if candidates or name in self._expired:
            await refuse(reply, 410, "InvokeTimeout", "Invoke timeout")
        else:
            await refuse(reply, 400, "InvalidRequestID", "Invalid request ID")
        return None

    async def _response(self, request: Request, reply: Reply, invocation: Invocation) -> None:
        mode = request.header(RESPONSE_MODE)
        if mode not in ("", "streaming"):
            invocation.fail(
                failure("Runtime.InvalidResponseModeHeader", f"{RESPONSE_MODE}: {mode}")
            )
            if self._concurrency is None:
                self.wedged = True  # its state allows nothing now; only a reset helps
            else:
                self._sent(invocation)
            await refuse(
                reply, 400, "InvalidFunctionResponseMode", "Invalid function response mode"
            )
            return
        if mode:
            await self._streamed(request, reply, invocation)
        else:
            await self._buffered(request, reply, invocation)

    async def _buffered(self, request: Request, reply: Reply, invocation: Invocation) -> None:
        try:
            content = await request.body.read_all(PAYLOAD_LIMIT)
        except TooLargeError:
            invocation.fail(too_large())
            self._sent(invocation)
            await refuse(reply, 413, "RequestEntityTooLarge", TOO_LARGE)
            return
        except (TruncatedBodyError, MalformedBodyError):
            await self._truncated(reply, invocation, None)
            return
        invocation.answer(whole(content, request.header("content-type")))
        self._sent(invocation)
        await accept(reply)

    async def _streamed(self, request: Request, reply: Reply, invocation: Invocation) -> None:
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
            await self._truncated(reply, invocation, response)
        else:
            self._sent(invocation)
            await accept(reply)

    async def _truncated(
        self, reply: Reply, invocation: Invocation, response: Response | None
    ) -> None:
        if response is None:
            if self._settle:
                await self._settle()
            invocation.fail(self.exit_error or TRUNCATED)
        self._sent(invocation)
        with contextlib.suppress(ConnectionError):
            await refuse(reply, 400, "TruncatedHTTPRequest", "HTTP request detected as truncated")

    async def _error(self, request: Request, reply: Reply, invocation: Invocation) -> None:
        error = await reported(request)
        invocation.fail(error)
        self._sent(invocation)
        await accept(reply)

    def _sent(self, invocation: Invocation) -> None:
        invocation.state = "RuntimeResponseSentState"
        if self._concurrency is not None and invocation in self.in_flight:
            self.in_flight.remove(invocation)
            self._on_idle()

    # --- init and restore ---------------------------------------------------------------------

    async def _init_error(self, request: Request, reply: Reply) -> None:
        if self.state != "Started" or self.ready.is_set():
            await self._wrong_state(reply, "InitError")
            return
        self._state = "InitError"
        self.init_error = await reported(request)
        await accept(reply)

    async def _restore_next(self, reply: Reply) -> None:
        if self._state != "Started":
            await self._wrong_state(reply, "RestoreReady")
            return
        self._state = "RestoreReady"
        self.ready.set()  # the snapshot would be taken here
        await self._restored.wait()
        self._state = "Restoring"
        await reply.send(200, [])

    async def _restore_error(self, request: Request, reply: Reply) -> None:
        if self._state != "Restoring":
            await self._wrong_state(reply, "RestoreError")
            return
        self._state = "RestoreError"
        self._fail_all(await reported(request))
        await accept(reply)

    # --- refusals -----------------------------------------------------------------------------

    async def _refused(self, verb: str, reply: Reply, invocation: Invocation | None = None) -> bool:
        refusal = self._refusal(verb)
        if refusal is None:
            return False
        if invocation is not None:
            invocation.fail(failure("Runtime.Unknown", f"The emulator refused /{verb}."))
            self._sent(invocation)
        if refusal == 0:
            await reply.cut(reset=True)
        else:
            await refuse(reply, refusal, *REFUSALS.get(refusal, REFUSALS[500]))
        return True

    async def _wrong_state(self, reply: Reply, wanted: str, state: str = "") -> None:
        message = (
            f"State transition from {state or self.state} to {wanted} failed for runtime. "
            "Error: State transition is not allowed"
        )
        await refuse(reply, 403, "InvalidStateTransition", message)
