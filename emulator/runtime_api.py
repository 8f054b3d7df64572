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

from emulator.http1 import Reply, Request
from emulator.invocation import (
    FunctionError,
    Invocation,
    failure,
)
from emulator.polls import Polls
from emulator.runtime_answers import (
    EXTENSION_ID,
    INVOCATION_ID,
    REFUSALS,
    accept,
    deliver,
    read_error_report,
    send_refusal,
)
from emulator.runtime_posts import Posts
from emulator.server import Server, listen

_POST = re.compile(r"/2018-06-01/runtime/invocation/([^/]+)/(response|error)")
_OTHER_METHODS = (  # asked with another method they are 405, as AWS's own router says
    "/2018-06-01/runtime/invocation/next",
    "/2018-06-01/runtime/init/error",
    "/2018-06-01/ping",
)
_TEXT = (("Content-Type", "text/plain; charset=utf-8"),)
_MAY_POLL = ("Running", "Ready", "RuntimeResponseSentState", "Started", "Restoring")
_REMEMBERED = 1000
_LAST_WORDS = 1.0


Refusal = Callable[[str], int | None]


class RuntimeApi:
    """The server a runtime finds at AWS_LAMBDA_RUNTIME_API.

    `ready` is set at the first `/next`, `init_error` by `/runtime/init/error`; `posts` reads what
    the runtime posts. `on_idle` is called when an invocation is over: classic,
    at the `/next` that follows it. `refusal` may spoil a request to "next", "response" or
    "error" with a status, 0 for a reset.
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
        self.in_flight: list[Invocation] = []
        self.address = ""
        self._concurrency = concurrency
        self._snap_start = snap_start
        self._restored = asyncio.Event()
        self._on_idle = on_idle
        self._refusal = refusal
        self.posts = Posts(
            concurrent=concurrency is not None, on_sent=self._mark_sent, settle=settle
        )
        self._state = "Started"
        self._polls = Polls()
        self._expired: deque[str] = deque(maxlen=_REMEMBERED)
        self._server: Server | None = None

    async def start(self) -> None:
        """Listen on a free port of the loopback interface."""
        self._server = await listen(self._handle, refuses_pages=True)
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
        for invocation in self.in_flight:
            if not invocation.response.done():  # a stream meets its own end
                invocation.fail(error)
        self.in_flight.clear()
        self._polls.close(error)

    async def _handle(self, request: Request, reply: Reply) -> None:
        posted = _POST.fullmatch(request.path) if request.method == "POST" else None
        if posted:
            await self._take_post(request, reply, posted[1], posted[2])
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
                await reply.wait_closed()
            case _, path if path in _OTHER_METHODS or _POST.fullmatch(path):
                await reply.send(405, [])
            case _:
                await reply.send(404, _TEXT, b"404 page not found\n")

    # --- next -----------------------------------------------------------------------------

    async def _next(self, reply: Reply) -> None:
        if await self._refuse_by_fault("next", reply):
            return
        if self._concurrency is None:
            if self.state in _MAY_POLL:
                self._become_ready()
            else:
                await self._refuse_state(reply, "Ready")
                return
            if self.in_flight:  # Running: the same event again
                await self._deliver(self.in_flight[0], reply)
                return
        elif self.polls >= self._concurrency:
            message = f"More than {self._concurrency} idle polls"
            await send_refusal(reply, 403, "Runtime.TooManyIdleRuntimes", message)
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
            # The process may just have died: then the queue is closed, and fails the invocation.
            if self._concurrency is not None and invocation in self.in_flight:
                self.in_flight.remove(invocation)
                self._polls.submit(invocation)
            raise

    # --- response and error -----------------------------------------------------------------

    async def _take_post(self, request: Request, reply: Reply, name: str, verb: str) -> None:
        invocation = await self._find(request, reply, name)
        if invocation is None or await self._refuse_by_fault(verb, reply, invocation):
            return
        wanted = "InvocationResponse" if verb == "response" else "InvocationErrorResponse"
        if invocation.state != "Running":
            await self._refuse_state(reply, wanted, invocation.state)
            return
        invocation.state = wanted
        if verb == "response":
            await self.posts.take_response(request, reply, invocation)
        else:
            await self.posts.take_error(request, reply, invocation)

    async def _find(self, request: Request, reply: Reply, name: str) -> Invocation | None:
        nonce = request.header(INVOCATION_ID)
        candidates = [i for i in self.in_flight if i.id == name]
        for invocation in candidates:
            if nonce in ("", invocation.nonce):
                return invocation
        if candidates or name in self._expired:
            await send_refusal(reply, 410, "InvokeTimeout", "Invoke timeout")
        else:
            await send_refusal(reply, 400, "InvalidRequestID", "Invalid request ID")
        return None

    def _mark_sent(self, invocation: Invocation) -> None:
        invocation.state = "RuntimeResponseSentState"
        if self._concurrency is not None and invocation in self.in_flight:
            self.in_flight.remove(invocation)
            self._on_idle()

    # --- init and restore ---------------------------------------------------------------------

    async def _init_error(self, request: Request, reply: Reply) -> None:
        if self.state != "Started" or self.ready.is_set():
            await self._refuse_state(reply, "InitError")
            return
        self._state = "InitError"
        self.init_error = await read_error_report(request)
        await accept(reply)

    async def _restore_next(self, reply: Reply) -> None:
        if self._state != "Started":
            await self._refuse_state(reply, "RestoreReady")
            return
        self._state = "RestoreReady"
        self.ready.set()  # the snapshot would be taken here
        await self._restored.wait()
        self._state = "Restoring"
        await reply.send(200, [])

    async def _restore_error(self, request: Request, reply: Reply) -> None:
        if self._state != "Restoring":
            await self._refuse_state(reply, "RestoreError")
            return
        self._state = "RestoreError"
        self._fail_all(await read_error_report(request))
        await accept(reply)

    # --- refusals -----------------------------------------------------------------------------

    async def _refuse_by_fault(
        self, verb: str, reply: Reply, invocation: Invocation | None = None
    ) -> bool:
        refusal = self._refusal(verb)
        if refusal is None:
            return False
        if invocation is not None:
            invocation.fail(failure("Runtime.Unknown", f"The emulator refused /{verb}."))
            self._mark_sent(invocation)
        if refusal == 0:
            await reply.cut(reset=True)
        else:
            await send_refusal(reply, refusal, *REFUSALS.get(refusal, REFUSALS[500]))
        return True

    async def _refuse_state(self, reply: Reply, wanted: str, state: str = "") -> None:
        message = (
            f"State transition from {state or self.state} to {wanted} failed for runtime. "
            "Error: State transition is not allowed"
        )
        await send_refusal(reply, 403, "InvalidStateTransition", message)
