"""Asking the Runtime API: one long-lived line for questions, fresh connections for streams.

It knows sockets, retries and when to give up; what is said is in `wire`, and what an answer
means for the invocation is decided in `loop`.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable

from . import wire
from .connection import Address, Connection
from .errors import LambdaRuntimeError, RuntimeSetupError
from .invocation import Invocation, InvocationError, read_invocation
from .reply import ProtocolError, Reply

logger = logging.getLogger(__name__)

RETRY_PAUSES = (0.1, 0.2, 0.4, 0.8)  # seconds between five tries


class RuntimeAPIError(LambdaRuntimeError):
    """The Runtime API is gone or told the runtime to stop; the process has to end."""


class RuntimeAPI:
    """Where the Runtime API is, by name and by address.

    `host` is the ``host:port`` of AWS_LAMBDA_RUNTIME_API; a missing port is 80, an IPv6
    address stands in brackets. Raises `RuntimeSetupError` for anything else.
    """

    __slots__ = ("_addresses", "_name", "_port", "host")

    def __init__(self, host: str) -> None:
        self.host = host
        name, colon, port = host.rpartition(":")
        if not colon or (host.startswith("[") and host.endswith("]")):
            name, port = host, "80"
        bad = not name or "/" in host or not host.isascii() or not host.isprintable()
        if bad or not (port.isdigit() and int(port) < 65536):
            raise RuntimeSetupError(f"AWS_LAMBDA_RUNTIME_API={host!r} must be host:port.")
        self._name = name.removeprefix("[").removesuffix("]")
        self._port = int(port)
        self._addresses: list[Address] = []

    async def connect(self) -> Connection:
        """A connection that has begun to open; the name is looked up once."""
        if not self._addresses:
            self._addresses = await self._resolve()
        return Connection(self._addresses[0])

    def connect_again(self) -> Connection | None:
        """The same to where the last one went; None before the first."""
        return Connection(self._addresses[0]) if self._addresses else None

    def next_address(self) -> None:
        """The first address did not answer: try the others first (localhost may be two)."""
        self._addresses = self._addresses[1:] + self._addresses[:1]

    def send_blocking(self, request: bytes, timeout: float) -> None:
        """Send a whole request on a connection of its own, without the event loop.

        For the watchdog's thread. Waits for the reply, and does not read it: the request ends
        its invocation, whatever is said to it. Raises `OSError`.
        """
        with socket.create_connection((self._name, self._port), timeout=timeout) as connection:
            connection.sendall(request)
            connection.recv(1)

    async def _resolve(self) -> list[Address]:
        try:  # on Lambda it is always a number, which needs no thread to look up
            # Bytes: text would load the codec for international names, a millisecond.
            name = self._name.encode("ascii")
            found = socket.getaddrinfo(
                name, self._port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
        except socket.gaierror:
            found = await asyncio.get_running_loop().getaddrinfo(
                self._name, self._port, type=socket.SOCK_STREAM
            )
        return [
            Address(family, target)
            for family, _, _, _, target in found
            if len(target) != 2 or isinstance(target[1], int)
        ]


class RuntimeApiConnection:
    """One connection kept for GET /next and for whole answers, reopened when it went stale.

    One question at a time. With `preconnect` a second connection is opened while this one waits
    for an answer, so that a stream does not wait for its own: see `take_preconnected`. `close`
    when done.
    """

    __slots__ = (
        "_api",
        "_clock",
        "_connection",
        "_preconnect",
        "_preconnected",
        "_sleep",
        "retry_on_500",
    )

    def __init__(
        self,
        api: RuntimeAPI,
        *,
        retry_on_500: bool = False,
        preconnect: bool = False,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._api = api
        self._connection: Connection | None = None
        self._preconnect = preconnect
        self._preconnected: Connection | None = None
        self._clock = clock
        self._sleep = sleep
        self.retry_on_500 = retry_on_500

    async def next(self) -> Invocation:
        """Wait for an invocation, for as long as it takes: the sandbox may be frozen meanwhile.

        A broken connection or a refusal is tried five times; while an invocation is being
        delivered, Lambda gives the same one again, so none is lost. A 500 means the sandbox
        is beyond repair and ends the process, unless `retry_on_500` (Managed Instances), where it
        counts as a refusal. Raises `RuntimeAPIError`.
        """
        problem: object = None
        for pause in (*RETRY_PAUSES, None):
            try:
                reply = await self.get(wire.NEXT)
                if reply.status == 200:
                    return read_invocation(reply, self._clock())
                if reply.status == 500 and not self.retry_on_500:
                    raise RuntimeAPIError("The Runtime API answered 500 and asks for an exit.")
                problem = f"status {reply.status}"
            except (OSError, ProtocolError, InvocationError) as error:
                problem = error
            if pause is not None:
                logger.warning("GET /next failed (%s); trying again.", problem)
                await self._sleep(pause)
        raise RuntimeAPIError(f"GET /next failed five times ({problem}).")

    async def get(self, path: str) -> Reply:
        """Ask, once more if the kept connection turns out to be stale."""
        return await self._ask(wire.get(path, host=self._api.host))

    async def post(self, request: bytes) -> Reply:
        """Send a whole answer. A kept connection that closed without a word is replaced once:
        answers carry their invocation's id, so Lambda refuses a second copy of one."""
        return await self._ask(request)

    def borrow(self) -> Connection | None:
        """The kept connection, for one streamed answer, if it is idle. It stays ours."""
        connection = self._connection
        return connection if connection is not None and connection.is_idle else None

    def take_preconnected(self) -> Connection | None:
        """An unused connection that is open, for one streamed answer; it is the caller's."""
        connection, self._preconnected = self._preconnected, None
        if connection is None or connection.is_still_open():
            return connection
        connection.close()
        return None

    def close(self) -> None:
        """Let go of both connections; the next question opens others."""
        for connection in (self._connection, self._preconnected):
            if connection is not None:
                connection.close()
        self._connection = self._preconnected = None

    async def _ask(self, request: bytes) -> Reply:
        connection = self._connection
        if connection is not None and connection.is_idle:
            try:
                return await self._exchange(connection, request)
            except OSError:
                if connection.has_reply_bytes:
                    raise
        self.close()
        self._connection = await self._api.connect()
        try:
            return await self._exchange(self._connection, request)
        except ConnectionRefusedError:
            self._api.next_address()
            raise

    async def _exchange(self, connection: Connection, request: bytes) -> Reply:
        try:
            connection.write(request)
            if self._preconnect:
                self._connect_next()
            return await connection.reply()
        except BaseException:
            connection.close()
            raise

    def _connect_next(self) -> None:
        """Only once the question is on its way: the other side has something to do meanwhile."""
        if self._preconnected is None or self._preconnected.loss is not None:
            self._preconnected = self._api.connect_again()
