"""One TCP connection to the Runtime API, on the event loop and without copies.

A socket with two callbacks: bytes go out at once while the kernel takes them and wait in a
backlog when it does not; answers come in whole. It knows HTTP responses (`reply`) and nothing
of invocations. asyncio's transports do the same with more turns of the loop: a fresh
connection per streamed answer must cost microseconds.
"""

import asyncio
import errno
import socket
from typing import TYPE_CHECKING, NamedTuple

from .reply import ProtocolError, Reply, ReplyReader

if TYPE_CHECKING:
    from collections.abc import Callable

READ_SIZE = 64 * 1024
_CONNECTING = frozenset({errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK})


class Address(NamedTuple):
    """Where the Runtime API listens, resolved."""

    family: int
    target: tuple[str, int] | tuple[str, int, int, int]


class Connection:
    """Open, and the owner closes it. Connecting starts at once and never blocks.

    `loss` is why the connection is of no more use, or None. `on_answer` is called when a reply
    has come or the connection is lost, whichever is first: while a body is still being sent
    that means the rest is not wanted.
    """

    __slots__ = (
        "_backlog",
        "_connected",
        "_drain_waiters",
        "_fd",
        "_loop",
        "_reader",
        "_reply",
        "_reply_waiter",
        "_socket",
        "_writing",
        "loss",
        "on_answer",
    )

    def __init__(self, address: Address) -> None:
        self._loop = asyncio.get_running_loop()
        self._backlog: list[bytes | memoryview] = []
        self._drain_waiters: list[asyncio.Future[None]] = []
        self._reader = ReplyReader()
        self._reply: Reply | None = None
        self._reply_waiter: asyncio.Future[None] | None = None
        self._connected = False
        self._writing = False
        self.loss: Exception | None = None
        self.on_answer: Callable[[], None] | None = None
        self._socket = socket.socket(address.family, socket.SOCK_STREAM)
        self._fd = self._socket.fileno()
        try:
            self._socket.setblocking(False)
            # Without it the first byte after the head waits for an acknowledgement, 40 ms.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connect(address)
        except BaseException:
            self._socket.close()
            raise

    @property
    def is_idle(self) -> bool:
        """Whether another request may be sent: open, nothing owed in either direction."""
        return (
            self.loss is None
            and self._reply is None
            and not self._backlog
            and not self._reader.has_started
        )

    @property
    def has_reply(self) -> bool:
        """Whether an answer is waiting to be taken with `reply`."""
        return self._reply is not None

    @property
    def is_connected(self) -> bool:
        """Whether there ever was a connection; without one, not a byte has left."""
        return self._connected

    @property
    def is_blocked(self) -> bool:
        """Whether the peer reads more slowly than we write."""
        return bool(self._backlog)

    @property
    def has_reply_bytes(self) -> bool:
        """Whether any byte of an answer has come."""
        return self._reply is not None or self._reader.has_started

    def is_still_open(self) -> bool:
        """Whether it can carry a request, by what the kernel knows at this moment.

        The peer's hanging up while the sandbox was frozen may not have reached the loop yet.
        """
        if not (self.is_idle and self._connected):
            return False
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True  # nothing came, not even an end
        except OSError:
            pass
        return False

    def write(self, data: bytes) -> None:
        """Send now, or as soon as the kernel takes it. Silent on a lost connection."""
        if self.loss is not None:
            return
        if self._backlog or not self._connected:
            self._backlog.append(data)
            return
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._salvage(error)
            return
        if sent < len(data):
            self._backlog.append(memoryview(data)[sent:])
            self._watch_writable()

    async def drain(self) -> None:
        """Wait until the kernel has taken everything, or the connection is lost."""
        while self._backlog and self.loss is None:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._drain_waiters.append(waiter)
            await waiter

    async def reply(self) -> Reply:
        """The next answer. Raises `OSError` or `ProtocolError` when there will be none."""
        while self._reply is None:
            if self.loss is not None:
                # A new exception each time: raising the stored one would grow its traceback.
                raise type(self.loss)(*self.loss.args) from self.loss
            self._reply_waiter = self._loop.create_future()
            try:
                await self._reply_waiter
            finally:
                self._reply_waiter = None
        reply, self._reply = self._reply, None
        if not reply.reusable:
            self.close()
        return reply

    def close(self) -> None:
        """Close at once. What the kernel has already taken is still delivered."""
        if self.loss is None:
            self._lose(ConnectionAbortedError("This connection was closed."))

    def _connect(self, address: Address) -> None:
        problem = self._socket.connect_ex(address.target)
        if problem in _CONNECTING:  # on loopback the second look already sees it done
            problem = self._socket.connect_ex(address.target)
        if problem in {0, errno.EISCONN}:
            self._connected = True
        elif problem in _CONNECTING:
            self._watch_writable()
        else:
            self.loss = OSError(problem, "The Runtime API cannot be reached.")
            self._socket.close()
            return
        self._loop.add_reader(self._fd, self._on_readable)

    def _watch_writable(self) -> None:
        if not self._writing:
            self._writing = True
            self._loop.add_writer(self._fd, self._on_writable)

    def _on_writable(self) -> None:
        try:
            if not self._connected:
                problem = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if problem:
                    raise OSError(problem, "The Runtime API cannot be reached.")  # noqa: TRY301 (one way out)
                self._connected = True
            while self._backlog:
                data = self._backlog[0]
                sent = self._socket.send(data)
                if sent < len(data):
                    self._backlog[0] = memoryview(data)[sent:]
                    return
                del self._backlog[0]
        except BlockingIOError:
            return
        except OSError as error:
            self._salvage(error)
            return
        self._writing = False
        self._loop.remove_writer(self._fd)
        self._wake_drain_waiters()

    def _on_readable(self) -> None:
        try:
            data = self._socket.recv(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(error)
            return
        try:
            reply = self._reader.feed(data) if data else self._reader.end()
        except ProtocolError as error:
            self._lose(error)
            return
        if reply is not None:
            self._answer(reply)
        if not data:
            self._lose(ConnectionResetError("The Runtime API closed the connection."))

    def _answer(self, reply: Reply) -> None:
        if self._reply is not None:
            self._lose(ProtocolError("The Runtime API answered twice."))
            return
        self._reply = reply
        if self._reply_waiter is not None and not self._reply_waiter.done():
            self._reply_waiter.set_result(None)
        if self.on_answer is not None:
            self.on_answer()

    def _salvage(self, error: OSError) -> None:
        """Sending failed: the peer may have said why before it went, so read once more."""
        if self._reply is None:
            self._on_readable()
        self._lose(error)

    def _lose(self, error: Exception) -> None:
        if self.loss is not None:
            return
        self.loss = error
        self._loop.remove_reader(self._fd)
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._fd)
        self._backlog.clear()
        self._socket.close()
        self._wake_drain_waiters()
        if self._reply_waiter is not None and not self._reply_waiter.done():
            self._reply_waiter.set_result(None)
        if self.on_answer is not None:
            self.on_answer()

    def _wake_drain_waiters(self) -> None:
        waiters, self._drain_waiters = self._drain_waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
