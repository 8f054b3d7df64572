"""Hear that the process is to end under a web server that is not ours: a signal, or the lifespan.

AWS Lambda Web Functions give one second between SIGTERM and the kill, and say neither which server
they run nor whether it runs the lifespan. So the signal is heard by a handler in front of the
server's own, which is called after it.
"""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..app import close_log, shut_down, wait_closed
from ..deadlines import SHUTDOWN_SECONDS

logger = logging.getLogger(__name__)

# How long the log may take to be closed, in seconds: AWS kills the process after one.
LOG_SECONDS = 0.3

# What tells a process to end: a service manager, and Ctrl-C.
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class ShutdownNotice:
    """End every stream with its last event when the process is told to end.

    ASGI middleware. It begins to listen at the lifespan's startup, or at the first request where a
    server runs no lifespan. `end` is called on the event loop, and may be called again.
    """

    def __init__(self, app: ASGIApp, end: Callable[[], None] = shut_down) -> None:
        self._app = app
        self._end = end
        self._loop: asyncio.AbstractEventLoop | None = None
        self._previous: dict[int, Any] = {}
        self._heard_at: set[str] = set()
        self._is_hearing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or the lifespan."""
        self._listen(scope["type"])
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def receive_and_end() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                self._end()
                # A run without a reader is no open request, so the server has not waited for it.
                await wait_closed(SHUTDOWN_SECONDS)
                # So that a copy of its file alone is a copy of all runs.
                with suppress(TimeoutError):
                    await asyncio.wait_for(close_log(), LOG_SECONDS)
            return message

        await self._app(scope, receive_and_end, send)

    def _listen(self, kind: str) -> None:
        """Listen, and once more at the first request: a server may set its handler in between."""
        self._loop = asyncio.get_running_loop()
        if kind in self._heard_at:
            return
        self._heard_at.add(kind)
        if threading.current_thread() is not threading.main_thread():
            logger.warning(
                "The event loop is not on the main thread, so SIGTERM cannot be heard: streams that"
                " are open at the end of the process are cut, and their runs go on elsewhere."
            )
            return
        for number in SIGNALS:
            previous = signal.getsignal(number)
            # None was installed by C code and cannot be put back: it keeps the signal.
            if previous is not None and previous != self._hear:
                self._previous[number] = previous
                signal.signal(number, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._is_hearing:
            return  # the server's handler calls the one that it found, which was ours
        self._is_hearing = True
        try:
            loop = self._loop
            if loop is not None and not loop.is_closed():
                loop.call_soon_threadsafe(self._end)
            previous = self._previous.get(number)
            if callable(previous):
                # The server's own. One that asyncio keeps is woken by the signal itself.
                previous(number, frame)
            elif previous is signal.SIG_DFL:
                self._die_after_streams(number, loop)
        finally:
            self._is_hearing = False

    def _die_after_streams(self, number: int, loop: asyncio.AbstractEventLoop | None) -> None:
        """Die of the signal, as the process would have without us, once the streams have ended."""

        def die() -> None:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

        if loop is None or loop.is_closed():
            die()
        else:
            loop.call_soon_threadsafe(loop.call_later, SHUTDOWN_SECONDS, die)
