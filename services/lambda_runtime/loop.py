"""The loop: ask for an invocation, answer it, leave nothing behind, ask again.

One `Runtime` per process. In classic mode it has one poller; on Managed Instances as many as
Lambda allows, each a task, all in this process. What one invocation's answer takes is in
`invocation_handler`; here is only who runs when, and what stops it.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from functools import partial

from .client import Line
from .delivery import Setup
from .invocation import Invocation, current
from .invocation_handler import Ending, Turn
from .invocation_scope import Leftovers, watch
from .reply import ProtocolError

logger = logging.getLogger(__name__)

GRACE = 0.15  # seconds a cancelled application has for its last words
NOTICE = 0.2  # seconds of the 0.3 that Lambda gives, for responses that end in their own words
TRACE_VARIABLE = "_X_AMZN_TRACE_ID"


class Runtime:
    """Answers invocations until `stop`, or until the Runtime API is gone."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._concurrency = setup.environment.concurrency
        self._pollers: set[asyncio.Task[None]] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def run(self) -> None:
        """Poll and answer. Returns after `stop`; raises `RuntimeAPIError` when it cannot go on."""
        with watch():
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
        elif self._setup.application.on_shutdown is None or again:
            self._cut()
        else:
            asyncio.get_running_loop().call_later(NOTICE, self._cut)
            try:
                self._setup.application.on_shutdown()
            except Exception:
                logger.exception("The application's shutdown hook failed.")

    def _cut(self) -> None:
        for task in self._running:
            task.cancel()

    async def _poll(self) -> None:
        environment = self._setup.environment
        one_at_a_time = self._concurrency is None
        line = Line(
            self._setup.api,
            patient=not one_at_a_time,
            # Many pollers would keep many idle connections, and their streams overlap anyway.
            ahead=one_at_a_time
            and environment.invoke_mode == "response_stream"
            and not environment.keep_alive,
            clock=self._setup.clock,
        )
        try:
            while not self._stopping:
                await self._take_turn(await line.next(), line)
        finally:
            line.close()

    async def _take_turn(self, invocation: Invocation, line: Line) -> None:
        """Answer one invocation; nothing it began is left when this returns."""
        token = current.set(invocation)
        self._set_trace(invocation)
        leftovers = Leftovers()
        try:
            await Turn(self._setup, invocation, line, self._supervise, leftovers).answer()
        except (OSError, ProtocolError) as error:
            logger.warning("The answer could not be delivered: %s", error)
        finally:
            await leftovers.settle()
            current.reset(token)

    async def _supervise(
        self, run: Callable[[], Awaitable[object]], seconds: float, leftovers: Leftovers
    ) -> Ending:
        """Run the application's code as a task of its own, for `seconds` at most."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Ending] = loop.create_future()
        task = loop.create_task(_contain(run, ended), context=leftovers.context)
        task.set_name("application")
        task.add_done_callback(partial(_never_ran, ended))
        timer = loop.call_later(max(seconds, 0), _settle, ended, Ending(cut="deadline"))
        self._running.add(task)
        try:
            ending = await ended
            if ending.cut:
                task.cancel()
                _, stubborn = await asyncio.wait({task}, timeout=GRACE)
                if stubborn:
                    leftovers.add_task(task)
                    logger.error("The application does not stop when cancelled.")
        finally:
            timer.cancel()
            self._running.discard(task)
        if self._stopping and isinstance(ending.error, asyncio.CancelledError):
            return Ending(cut="shutdown")
        return ending

    def _set_trace(self, invocation: Invocation) -> None:
        """X-Ray's variable is process-wide, so it is only true with one invocation at a time."""
        if self._concurrency is not None:
            return
        if invocation.trace_id is None:
            os.environ.pop(TRACE_VARIABLE, None)
        else:
            os.environ[TRACE_VARIABLE] = invocation.trace_id


async def _contain(run: Callable[[], Awaitable[object]], ended: asyncio.Future[Ending]) -> None:
    """Run to the end; whatever is raised is a result, also SystemExit, which would end the loop."""
    try:
        ending = Ending(value=await run())
    except BaseException as error:  # noqa: BLE001 (the one seam between our code and theirs)
        ending = Ending(error=error)
    _settle(ended, ending)


def _settle(ended: asyncio.Future[Ending], ending: Ending) -> None:
    if not ended.done():
        ended.set_result(ending)


def _never_ran(ended: asyncio.Future[Ending], _task: asyncio.Task[None]) -> None:
    """A task that is cancelled before its first step has no code of its own to say so."""
    _settle(ended, Ending(error=asyncio.CancelledError()))
