"""The loop: ask for an invocation, answer it, end its scope, ask again.

One `Runtime` per process. In classic mode it has one poller; on Managed Instances as many as
Lambda allows, each a task, all in this process. What one invocation's answer takes is in
`invocation_handler`; here is only who runs when, and what stops it.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial

from .client import RuntimeApiConnection
from .delivery import RuntimeConfig
from .forced_ending import ForcedEnding
from .invocation import Invocation, current
from .invocation_handler import InvocationHandler
from .invocation_scope import InvocationScope, track
from .outcome import Outcome
from .reply import ProtocolError
from .task_ledger import WAIT_SECONDS, TaskLedger
from .watchdog import Watchdog

logger = logging.getLogger(__name__)

CANCEL_GRACE = 0.15  # seconds a cancelled application has for its last words
SHUTDOWN_NOTICE = 0.2  # seconds of Lambda's 0.3, for responses that end in their own words
DEADLINE_RESERVE = 0.5  # seconds before the deadline that no background task is waited for
TRACE_VARIABLE = "_X_AMZN_TRACE_ID"


class Runtime:
    """Answers invocations until `stop`, or until the Runtime API is gone."""

    def __init__(self, config: RuntimeConfig) -> None:
        self._config = config
        self._concurrency = config.environment.concurrency
        self._ledger = TaskLedger()
        self._watchdog: Watchdog | None = None
        self._pollers: set[asyncio.Task[None]] = set()
        self._running: dict[asyncio.Task[None], asyncio.Future[Outcome]] = {}
        self._stopping = False

    async def run(self) -> None:
        """Poll and answer. Returns after `stop`; raises `RuntimeAPIError` when it cannot go on."""
        self._watchdog = Watchdog(self._config.clock)
        with track(), closing(self._watchdog):
            for number in range(self._concurrency or 1):
                task = asyncio.create_task(self._poll(), name=f"poller-{number}")
                self._pollers.add(task)
            try:
                await asyncio.wait(self._pollers, return_when=asyncio.FIRST_EXCEPTION)
                for task in self._pollers:
                    if task.done() and not task.cancelled():
                        task.result()
            finally:
                for task in self._pollers:
                    task.cancel()
                await asyncio.gather(*self._pollers, return_exceptions=True)

    def stop(self) -> None:
        """End soon: idle pollers at once, running applications after their last words."""
        again, self._stopping = self._stopping, True
        if not self._running:
            for poller in self._pollers:
                poller.cancel()
        elif self._config.application.on_shutdown is None or again:
            self._cancel_running()
        else:
            asyncio.get_running_loop().call_later(SHUTDOWN_NOTICE, self._cancel_running)
            try:
                self._config.application.on_shutdown()
            except Exception:
                logger.exception("The application's shutdown hook failed.")

    def _cancel_running(self) -> None:
        """Cancel what runs; what swallows that is left behind after its grace."""
        loop = asyncio.get_running_loop()
        for task, ended in self._running.items():
            task.cancel()
            outcome = Outcome(stopped_by="shutdown")
            loop.call_later(CANCEL_GRACE, _set_outcome, ended, outcome)

    async def _poll(self) -> None:
        environment = self._config.environment
        one_at_a_time = self._concurrency is None
        api_connection = RuntimeApiConnection(
            self._config.api,
            retry_on_500=not one_at_a_time,
            # Many pollers would keep many idle connections, and their streams overlap anyway.
            preconnect=one_at_a_time
            and environment.invoke_mode == "response_stream"
            and not environment.keep_alive,
            clock=self._config.clock,
        )
        try:
            while not self._stopping:
                await self._handle(await api_connection.next(), api_connection)
        finally:
            api_connection.close()

    async def _handle(self, invocation: Invocation, api_connection: RuntimeApiConnection) -> None:
        """Answer one invocation and end its scope."""
        token = current.set(invocation)
        self._set_trace(invocation)
        strict = self._config.application.strict_cleanup
        invocation_scope = InvocationScope(self._ledger, strict=strict)
        try:
            await InvocationHandler(
                self._config, invocation, api_connection, self._supervise, invocation_scope
            ).answer()
        except (OSError, ProtocolError) as error:
            logger.warning("The answer could not be delivered: %s", error)
        finally:
            await invocation_scope.close(self._seconds_for_tasks(invocation))
            current.reset(token)

    async def _supervise(
        self,
        run: Callable[[], Awaitable[object]],
        seconds: float,
        invocation_scope: InvocationScope,
        forced_ending: ForcedEnding | None = None,
    ) -> Outcome:
        """Run the application's code as a task of its own, for `seconds` at most.

        `forced_ending` is for the watchdog, in case that code blocks the loop.
        """
        if seconds <= 0:
            return Outcome(stopped_by="deadline")
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Outcome] = loop.create_future()
        task = loop.create_task(_capture_outcome(run, ended), context=invocation_scope.context)
        task.set_name("application")
        task.add_done_callback(partial(_set_cancelled, ended))
        timer = loop.call_later(
            max(seconds, 0), _set_outcome, ended, Outcome(stopped_by="deadline")
        )
        self._running[task] = ended
        watchdog = self._watchdog
        if forced_ending is not None and watchdog is not None:
            watchdog.watch(forced_ending)
        try:
            outcome = await ended
            if outcome.stopped_by:
                task.cancel()
                grace = CANCEL_GRACE if outcome.stopped_by == "deadline" else 0  # it had its own
                _, stubborn = await asyncio.wait({task}, timeout=grace)
                if stubborn:
                    invocation_scope.add_task(task)
                    logger.error("The application does not stop when cancelled.")
        finally:
            timer.cancel()
            self._running.pop(task, None)
            was_held = (
                forced_ending is not None and watchdog is not None and watchdog.leave(forced_ending)
            )
        if was_held and outcome.error is not None:  # its last words were refused: time was over
            return Outcome(stopped_by="deadline")
        if self._stopping and isinstance(outcome.error, asyncio.CancelledError):
            return Outcome(stopped_by="shutdown")
        return outcome

    def _seconds_for_tasks(self, invocation: Invocation) -> float:
        """How long the end of an invocation may wait for what it began.

        Where the sandbox is frozen between invocations, time is only given now. Lambda's
        deadline still has to be met, and a shutdown has no time at all.
        """
        if self._concurrency is not None or self._stopping:
            return 0.0
        left = invocation.deadline - self._config.clock() - DEADLINE_RESERVE
        return max(0.0, min(WAIT_SECONDS, left))

    def _set_trace(self, invocation: Invocation) -> None:
        """X-Ray's variable is process-wide, so it is only true with one invocation at a time."""
        if self._concurrency is not None:
            return
        if invocation.trace_id is None:
            os.environ.pop(TRACE_VARIABLE, None)
        else:
            os.environ[TRACE_VARIABLE] = invocation.trace_id


async def _capture_outcome(
    run: Callable[[], Awaitable[object]], ended: asyncio.Future[Outcome]
) -> None:
    """Run to the end; whatever is raised is a result, also SystemExit, which would end the loop."""
    try:
        outcome = Outcome(value=await run())
    except BaseException as error:  # noqa: BLE001 (the one seam between our code and theirs)
        outcome = Outcome(error=error)
    _set_outcome(ended, outcome)


def _set_outcome(ended: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not ended.done():
        ended.set_result(outcome)


def _set_cancelled(ended: asyncio.Future[Outcome], _task: asyncio.Task[None]) -> None:
    """A task that is cancelled before its first step has no code of its own to say so."""
    _set_outcome(ended, Outcome(error=asyncio.CancelledError()))
