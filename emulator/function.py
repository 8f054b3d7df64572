"""A deployed function: its sandboxes, and the invocations waiting for one.

By default one process takes `concurrency` invocations at once. On demand, the classic cloud:
one invocation per sandbox, cold starts, and SIGSTOP between invocations. Knows nothing of
HTTP or of how a response leaves.
"""

import asyncio
import contextlib
import os
import sys
import time
import uuid
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from emulator.cloudformation import ACCOUNT, REGION
from emulator.faults import Fault, Faults
from emulator.invocation import Invocation, Response, exit_error, failure, new_trace_id
from emulator.sandbox import Log, Sandbox
from emulator.template import FunctionSpec

INIT_LIMIT = 10.0
TERM_SECONDS = 1.0
MANAGED_INIT_LIMIT = 900.0
ACCOUNT_CONCURRENCY = 1000
_GRACE = 0.2


class ThrottledError(Exception):
    """Every place is taken; `reason` is the platform's word for it."""

    def __init__(self, reason: str) -> None:
        super().__init__("Rate Exceeded.")
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How functions are run. Without `concurrency` every invocation has its own sandbox.

    `term_seconds` is what a Web Function's environment has between SIGTERM and SIGKILL.
    """

    concurrency: int | None = 256
    python: str = sys.executable
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    init_limit: float = INIT_LIMIT
    term_seconds: float = TERM_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a front hands over. `payload` is JSON; the rest are headers of `/next`."""

    payload: bytes
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    client_context: str = ""
    tenant_id: str = ""
    trace_id: str = field(default_factory=new_trace_id)


@dataclass(frozen=True, slots=True)
class Answer:
    """A function's response on its way, the sandbox it comes from, and its time limit."""

    request_id: str
    response: Response
    sandbox: Sandbox
    timer: asyncio.TimerHandle


class Function:
    """One function. `start` and `close` are its lifetime; `invoke` is its use."""

    def __init__(self, spec: FunctionSpec, options: Options, faults: Faults, log: Log) -> None:
        self.spec = spec
        self.busy = 0
        self.sandboxes: list[Sandbox] = []
        self.arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{spec.name}"
        self._options = options
        self._faults = faults
        self._log = log
        self._closed = False
        self._warm: list[Sandbox] = []
        self._starting = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: dict[Sandbox, asyncio.TimerHandle] = {}

    @property
    def concurrency(self) -> int | None:
        """The invocations of one process at once; None where each has a process."""
        # The stock runtime would fork one process per place; it is run on demand instead.
        return self._options.concurrency if self.spec.wrapper else None

    async def start(self) -> None:
        """In concurrency mode, start the process now rather than at the first invocation."""
        if self.concurrency is not None:
            await self._shared()

    async def close(self) -> None:
        """End every process of this function, and start no more."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(sandbox.stop() for sandbox in self.sandboxes))
        self.sandboxes.clear()

    async def reload(self) -> None:
        """Take the new code and `spec`: new invocations meet a new process, running ones end."""
        self.retire()
        await self.start()

    def retire(self) -> None:
        """End every process as soon as what it is answering is answered."""
        for sandbox in list(self.sandboxes):
            sandbox.stale = True
            self._retire(sandbox)

    @asynccontextmanager
    async def invoke(self, call: Call, faults: tuple[Fault, ...] = ()) -> AsyncIterator[Answer]:
        """Invoke, and have the response to read. Leaving the context reads the rest of it.

        Raises `ThrottledError`.
        """
        limit = self.spec.reserved  # counts sandboxes; one process for many invocations is one
        if self.concurrency is None and limit is not None and self._occupied() >= limit:
            raise ThrottledError("ReservedFunctionConcurrentInvocationLimitExceeded")
        if self.busy >= (self.concurrency or ACCOUNT_CONCURRENCY):
            raise ThrottledError("ConcurrentInvocationLimitExceeded")
        self.busy += 1
        try:
            answer = await self._begin(call)
            if any(fault.kind == "duplicate" for fault in faults):
                self._spawn(self._duplicate(call))
            try:
                yield answer
            finally:
                await self._finish(answer)
        finally:
            self.busy -= 1

    def _occupied(self) -> int:
        """How many sandboxes are taken: also one that has answered and not asked for more."""
        taken = sum(sandbox.alive for sandbox in self.sandboxes) - len(self._warm)
        return max(self.busy, taken)

    def detach(self, call: Call) -> None:
        """Invoke without a caller, as an asynchronous invocation does."""

        async def run() -> None:
            with contextlib.suppress(ThrottledError):
                async with self.invoke(call):
                    pass

        self._spawn(run())

    def freeze(self) -> None:
        """Freeze every sandbox until `thaw`."""
        for sandbox in self.sandboxes:
            sandbox.freeze()

    def thaw(self) -> None:
        """Thaw every sandbox."""
        for sandbox in self.sandboxes:
            sandbox.thaw()

    def kill(self) -> None:
        """Kill every sandbox; the next invocation starts a new one."""
        for sandbox in self.sandboxes:
            sandbox.kill()

    async def _begin(self, call: Call) -> Answer:
        sandbox = await self._sandbox()
        invocation = Invocation(
            payload=call.payload,
            deadline=time.time() + self.spec.timeout,
            arn=self.arn,
            id=call.request_id,
            trace_id=call.trace_id,
            client_context=call.client_context,
            tenant_id=call.tenant_id,
        )
        error = sandbox.api.init_error
        if error is not None or not sandbox.alive:
            invocation.fail(error or exit_error(sandbox.exited.result()))
        else:
            sandbox.api.submit(invocation)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self.spec.timeout, self._expire, sandbox, invocation)
        if self.concurrency is None:
            self._timers[sandbox] = timer
        answer = Answer(invocation.id, await invocation.response, sandbox, timer)
        if sandbox.api.posts.wedged:
            sandbox.kill()
        return answer

    async def _finish(self, answer: Answer) -> None:
        """Read what the caller left unread: a client that leaves does not stop the function."""
        await answer.response.drain()
        if answer.sandbox not in self._timers:
            answer.timer.cancel()  # on demand, the time runs until the next `/next`

    async def _duplicate(self, call: Call) -> None:
        """Deliver the same request once more and drop its response."""
        await self._finish(await self._begin(call))

    def _expire(self, sandbox: Sandbox, invocation: Invocation) -> None:
        seconds = f"{self.spec.timeout:.2f} seconds"
        self._log(self.spec.public, f"{invocation.id} Task timed out after {seconds}")
        message = f"RequestId: {invocation.id} Error: Task timed out after {seconds}"
        invocation.fail(failure("Sandbox.Timedout", message))
        sandbox.api.expire(invocation)
        if self.concurrency is None:
            sandbox.kill()

    async def _sandbox(self) -> Sandbox:
        if self.concurrency is not None:
            return await self._shared()
        while self._warm:
            sandbox = self._warm.pop()
            if sandbox.alive:
                sandbox.thaw()
                return sandbox
        sandbox = await self._launch()
        if not await sandbox.wait_initialised(self._options.init_limit):
            # "Init phase limit is 10 s": the platform starts again, inside the invocation.
            self._log(self.spec.public, "INIT_REPORT Phase: init Status: timeout")
            sandbox.kill()
            sandbox = await self._launch()
            if not await sandbox.wait_initialised(self.spec.timeout):
                sandbox.kill()
                await sandbox.exited
        return sandbox

    async def _shared(self) -> Sandbox:
        async with self._starting:
            for sandbox in self.sandboxes:
                if sandbox.alive and not sandbox.stale and sandbox.api.init_error is None:
                    return sandbox
            sandbox = await self._launch()
            if not await sandbox.wait_initialised(MANAGED_INIT_LIMIT):
                sandbox.kill()
            return sandbox

    async def _launch(self) -> Sandbox:
        if self._closed:
            raise ConnectionAbortedError("the cloud is closing")
        sandbox = Sandbox(
            self.spec,
            concurrency=self.concurrency,
            python=self._options.python,
            environ=self._options.environ,
            log=self._log,
            on_idle=self._idle,
            refusal=lambda verb: self._faults.refusal(self.spec.name, verb),
        )
        self.sandboxes.append(sandbox)
        await sandbox.start()
        self._spawn(self._bury(sandbox))
        return sandbox

    async def _bury(self, sandbox: Sandbox) -> None:
        await asyncio.wait((sandbox.exited,))
        if timer := self._timers.pop(sandbox, None):
            timer.cancel()
        await sandbox.stop()
        if sandbox in self.sandboxes:
            self.sandboxes.remove(sandbox)

    def _idle(self, sandbox: Sandbox) -> None:
        """The runtime asks for its next invocation: the last one is over."""
        if self.concurrency is None:
            if timer := self._timers.pop(sandbox, None):
                timer.cancel()
            if not sandbox.stale:
                self._warm.append(sandbox)
            sandbox.freeze()
        if sandbox.stale:
            self._retire(sandbox)

    def _retire(self, sandbox: Sandbox) -> None:
        """Kill an old sandbox once nothing is under way in it."""
        if sandbox in self._warm:
            self._warm.remove(sandbox)
        if not sandbox.api.busy:
            # A moment's grace: the runtime is just being told that its response was taken.
            asyncio.get_running_loop().call_later(_GRACE, sandbox.kill)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
