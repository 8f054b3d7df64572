"""ASGI lifespan: startup before the first invocation, shutdown when Lambda gives notice.

Once per process. Lambda gives notice only where an extension is registered, so nothing may
depend on shutdown. This module knows ASGI, not Lambda.
"""

import asyncio
import logging
from typing import Any

from .errors import RuntimeSetupError
from .head import MisuseError
from .loader import Application

_MESSAGES = frozenset(
    f"lifespan.{phase}.{outcome}"
    for phase in ("startup", "shutdown")
    for outcome in ("complete", "failed")
)

logger = logging.getLogger(__name__)


class LifespanError(RuntimeSetupError):
    """The application's startup failed, or lifespan is ``on`` and it has none."""


class LifespanRun:
    """One run of an application's lifespan. `state` is given to every request as a copy."""

    def __init__(self, application: Application) -> None:
        self.state: dict[str, Any] = {}
        self._application = application
        self._to_application: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._from_application: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._problem: BaseException | None = None
        self._started = False

    async def startup(self) -> None:
        """Run the startup. Raises `LifespanError` when the application says that it failed.

        Under ``auto`` an application that does not know lifespan simply has none.
        """
        if self._application.kind != "asgi" or self._application.lifespan == "off":
            return
        self._to_application.put_nowait({"type": "lifespan.startup"})
        self._task = asyncio.create_task(self._run(), name="lifespan")
        message = await self._from_application.get()
        if message is None:
            self._task = None
            if self._application.lifespan == "on":
                raise LifespanError(
                    "The application has no lifespan, and lifespan is on. Use auto or off."
                ) from self._problem
            logger.debug("The application has no lifespan.", exc_info=self._problem)
            return
        if message["type"] != "lifespan.startup.complete":
            raise LifespanError(
                f"The application's startup failed. {message.get('message', '')}".strip()
            ) from self._problem
        self._started = True

    async def shutdown(self, timeout: float) -> None:
        """Run the shutdown, for at most `timeout` seconds."""
        task, self._task = self._task, None
        if task is None or task.done():
            return
        self._to_application.put_nowait({"type": "lifespan.shutdown"})
        done, _ = await asyncio.wait({task}, timeout=timeout)
        if not done:
            logger.warning("The application's shutdown took too long and was cancelled.")
            task.cancel()

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            await self._application.run(scope, self._to_application.get, self._take_message)
        except BaseException as error:
            self._problem = error
            if self._started and not isinstance(error, asyncio.CancelledError):
                logger.exception("The application's lifespan failed.")
        self._from_application.put_nowait(None)

    async def _take_message(self, message: dict[str, Any]) -> None:
        if message["type"] not in _MESSAGES:
            raise MisuseError(f"ASGI message {message['type']!r} does not belong to a lifespan.")
        self._from_application.put_nowait(message)
