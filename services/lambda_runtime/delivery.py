"""Getting one answer to Lambda: the connection it takes, and Lambda's verdict on it.

It knows the Runtime API's statuses and what each means for the process; it does not know what
made the answer.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from . import wire
from .client import RuntimeAPI, RuntimeApiConnection, RuntimeAPIError
from .connection import Connection
from .environment import Environment
from .invocation import Invocation
from .loader import Application
from .reply import Reply
from .threads import HandlerThreads

logger = logging.getLogger(__name__)

OUTSIDE_SECONDS = 0.5  # seconds for an answer from outside the loop
CONFIRM_SECONDS = 10.0  # seconds after the deadline in which Lambda must have confirmed an answer


class RuntimeConfig(NamedTuple):
    """What every invocation of this process shares.

    `clock` gives seconds since the epoch; `state` is what the lifespan prepared; `threads` run
    synchronous handler functions.
    """

    api: RuntimeAPI
    application: Application
    environment: Environment
    environ: Mapping[str, str]
    threads: HandlerThreads
    state: Mapping[str, Any] = MappingProxyType({})
    clock: Callable[[], float] = time.time


class Delivery:
    """The answers to one invocation: a whole one, an error, or a stream on a connection."""

    __slots__ = ("_api_connection", "_config", "_invocation", "_is_ended_outside")

    def __init__(
        self, config: RuntimeConfig, invocation: Invocation, api_connection: RuntimeApiConnection
    ) -> None:
        self._config = config
        self._invocation = invocation
        self._api_connection = api_connection
        self._is_ended_outside = False

    def head(self, content_type: str) -> bytes:
        """The head of a streamed answer."""
        return wire.stream_head(
            self._invocation.id,
            host=self._config.api.host,
            attempt_id=self._invocation.attempt_id,
            content_type=content_type,
        )

    def whole(self, body: bytes, content_type: str = wire.JSON) -> bytes:
        """A whole answer."""
        return wire.response(
            self._invocation.id,
            body,
            host=self._config.api.host,
            attempt_id=self._invocation.attempt_id,
            content_type=content_type,
        )

    def error(self, failure: wire.Failure) -> bytes:
        """An error instead of an answer."""
        return wire.invocation_error(
            self._invocation.id,
            failure,
            host=self._config.api.host,
            attempt_id=self._invocation.attempt_id,
        )

    async def open(self) -> Connection:
        """A connection for one streamed answer: the kept one with RIVERRUN_KEEP_ALIVE."""
        if self._config.environment.keep_alive:
            connection = self._api_connection.borrow()
        else:
            connection = self._api_connection.take_preconnected()
        if connection is not None:
            return connection
        connection = await self._config.api.connect()
        if connection.loss is not None:  # refused at once; another address may do
            self._config.api.next_address()
            connection = await self._config.api.connect()
        return connection

    def close(self, connection: Connection) -> None:
        """A kept one stays open if its answer was confirmed. A body that was cut has no last
        chunk, so closing cannot make it look whole."""
        connection.on_answer = None
        if not (self._config.environment.keep_alive and connection.is_idle):
            connection.close()

    def end_outside(self) -> None:
        """Drop what the loop delivers from now on."""
        self._is_ended_outside = True

    def send_outside(self, request: bytes) -> None:
        """Answer from outside the event loop."""
        logger.error("The application blocks the event loop at the deadline; ended from outside.")
        self._config.api.send_blocking(request, OUTSIDE_SECONDS)

    async def respond(self, body: bytes, content_type: str = wire.JSON) -> None:
        """Send a whole answer, or, over Lambda's limit, an error that says so."""
        if len(body) > wire.BUFFERED_LIMIT:
            problem = f"The response has {len(body)} bytes; Lambda takes {wire.BUFFERED_LIMIT}."
            await self.report(wire.Failure("Function.ResponseSizeTooLarge", problem))
            return
        await self.send(self.whole(body, content_type))

    async def report(self, failure: wire.Failure) -> None:
        """Send an error instead of an answer."""
        if self._is_ended_outside:
            return
        logger.error("%s: %s", failure.name or failure.type, failure.message)
        await self.send(self.error(failure))

    async def send(self, request: bytes) -> None:
        """Send a request that ends the invocation, and read the verdict on it."""
        if not self._is_ended_outside:
            self._read_verdict(await self._api_connection.post(request))

    async def confirm(self, connection: Connection, *, ended: bool) -> None:
        """Read Lambda's verdict on a streamed answer; it comes when the caller has all of it."""
        if not ended and not connection.has_reply:
            logger.warning("The answer was cut: %s", connection.loss or "it was not read")
            return
        limit = max(self._invocation.deadline - self._config.clock(), 0) + CONFIRM_SECONDS
        try:
            async with asyncio.timeout(limit):
                reply = await connection.reply()
        except TimeoutError:
            logger.warning("The Runtime API did not confirm the answer.")
            return
        if not ended:  # answered in the middle of the body: the rest of it was never sent
            connection.close()
        self._read_verdict(reply)

    def _read_verdict(self, reply: Reply) -> None:
        """Whatever Lambda says, the next invocation is asked for; 500 alone ends the process."""
        if 200 <= reply.status < 300:
            return
        text = reply.body[:500].decode("utf-8", "replace")
        if reply.status == 410:
            logger.warning("The invocation had already timed out (410): %s", text)
            return
        logger.error("The Runtime API refused the answer (%d): %s", reply.status, text)
        if reply.status == 500 and self._config.environment.concurrency is None:
            raise RuntimeAPIError("The Runtime API answered 500 and asks for an exit.")
