"""Clients of AWS services: one each a process, made when first used.

Region, credentials and endpoints come from AWS's own variables (`AWS_DEFAULT_REGION`,
`AWS_PROFILE`, `AWS_ENDPOINT_URL_BEDROCK_RUNTIME`). Knows no operation of any service. boto3 and a
first client cost 0.4 s and 36 MB, so nothing is imported before the first call.
"""

import io
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from types import TracebackType
from typing import Any, Self

from .errors import SetupError

# Seconds. A machine that does not shake hands in two will not; a next one often does.
CONNECT_TIMEOUT = 2.0
READ_TIMEOUT = 60.0

# How often boto3 sends one request in all, before anything of an answer was seen.
TRIES = 3

# Calls at once in one process; boto3's own ten would make the eleventh stream wait.
CONNECTIONS = 50

# Requests that are built and signed at once, 1 ms of Python each. Sixty threads at it would fight
# over the interpreter, and the event loop would wait behind all of them.
MAX_PREPARING = 2

# How long a request waits for its turn, in seconds. Fetching credentials can hold one up.
TURN_SECONDS = 0.1

_making_lock = threading.Lock()


class CancellableCall:
    """What one thread asks of AWS while it holds this; another thread can cancel it.

    boto3 blocks in its socket, and closing its stream from elsewhere waits for that very read. A
    socket that is shut down wakes its reader at any moment, also while it waits for the first byte
    of an answer.

    Until its request goes out a call is one of `MAX_PREPARING`; another one waits for its turn.
    `read_pause` says for how many seconds bytes may gather between two reads of its answer.
    """

    def __init__(self, read_pause: Callable[[], float] = lambda: 0.0) -> None:
        self.read_pause = read_pause
        self._connection: Any = None
        self._is_cancelled = False
        self._has_turn = False

    def __enter__(self) -> Self:
        self._has_turn = _turns.acquire(timeout=TURN_SECONDS)
        _current.call = self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _current.call = None
        self._release_turn()
        with _switch_lock:
            self._connection = None

    def cancel(self) -> None:
        """End the call under way, and any that this thread would begin. Call it from any thread."""
        with _switch_lock:
            self._is_cancelled = True
            connection = self._connection
            # A connection that was given back may carry another call by now.
            if connection is not None and connection.call is self and connection.sock is not None:
                with suppress(OSError):
                    # Not the method of a TLS socket, which forgets its state under the reader.
                    socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    def _release_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            _turns.release()

    def _attach(self, connection: Any) -> None:
        self._release_turn()
        with _switch_lock:
            if self._is_cancelled:
                raise ConnectionAbortedError("This call was cancelled before it began.")
            connection.call = self
            self._connection = connection


_current = threading.local()
_switch_lock = threading.Lock()
_turns = threading.Semaphore(MAX_PREPARING)


def client(
    service: str,
    *,
    read_timeout: float = READ_TIMEOUT,
    tries: int = TRIES,
    connections: int = CONNECTIONS,
) -> Any:
    """The client of `service`, as boto3 names it ("s3", "bedrock-runtime").

    The same arguments give the same client; it may be used from any thread. `read_timeout` is
    the longest silence within an answer, in seconds. Blocks while it is made: call it in a
    thread. Raises `SetupError` when boto3, the region or the profile is missing.
    """
    # Clients may be shared between threads; making one may not.
    with _making_lock:
        return _get_cached_client(service, read_timeout, tries, connections)


def make_own_client(service: str, **config: Any) -> Any:
    """A client of `service` for one caller alone, with `config` as botocore's `Config` takes it.

    Blocks, as `client` does, and waits for a thread that makes one: two threads that import boto3
    at once find half of it, or a deadlock. Raises what boto3 raises.
    """
    with _making_lock:
        return _make(service, **config)


def forget() -> None:
    """Let the next call of `client` make a new one: the environment has changed."""
    with _making_lock:
        _get_cached_client.cache_clear()


def _leave_parent() -> None:
    """Share no connection with the process that this one was forked from, and wait for no lock."""
    global _making_lock, _switch_lock, _turns  # noqa: PLW0603 - those of the other process
    _making_lock, _switch_lock = threading.Lock(), threading.Lock()
    _turns = threading.Semaphore(MAX_PREPARING)
    _get_cached_client.cache_clear()


@cache
def _get_cached_client(service: str, read_timeout: float, tries: int, connections: int) -> Any:
    try:
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise SetupError("This needs boto3. Install it with: pip install boto3") from error
    try:
        made = _make(
            service,
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=read_timeout,
            retries={"mode": "standard", "total_max_attempts": tries},
            max_pool_connections=connections,
            tcp_keepalive=True,
        )
    except (BotoCoreError, ValueError) as error:
        raise SetupError(
            f"The AWS client for {service} cannot be made: {error} "
            "Set AWS_DEFAULT_REGION, and AWS_PROFILE or the keys of an account."
        ) from error
    _track_connections(made)
    return made


def _make(service: str, **config: Any) -> Any:
    from boto3.session import Session
    from botocore.config import Config

    return Session().client(service, config=Config(**config))


def _track_connections(made: Any) -> None:
    """Let the connections of a client know whose call they carry.

    boto3 has no public way to a connection before its answer begins. Where a later version keeps
    them elsewhere, calls cannot be cancelled any more: they end at their timeouts, and a test
    fails.
    """
    session = getattr(getattr(made, "_endpoint", None), "http_session", None)
    pools = getattr(session, "_pool_classes_by_scheme", None)
    if pools is None:
        return
    for scheme, pool in pools.items():
        connection = type("Tracked", (_TrackedConnection, pool.ConnectionCls), {})
        pools[scheme] = type("Pool", (pool,), {"ConnectionCls": connection})


class _TrackedConnection:
    """A connection of urllib3 that notes the `CancellableCall` of the thread that uses it."""

    call: CancellableCall | None = None
    response_class: Any

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self._attach_call()

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._attach_call()
        super().request(*args, **kwargs)  # type: ignore[misc]

    def getresponse(self, *args: Any, **kwargs: Any) -> Any:
        if (call := self.call) is not None:
            # botocore sets the class anew for every request.
            made = self.response_class

            def response(sock: Any, *more: Any, **named: Any) -> Any:
                return made(_PacedReader(sock, call.read_pause), *more, **named)

            self.response_class = response
        return super().getresponse(*args, **kwargs)  # type: ignore[misc]

    def _attach_call(self) -> None:
        self.call = None
        if (call := getattr(_current, "call", None)) is not None:
            call._attach(self)  # noqa: SLF001 - two halves of one thing


class _PacedReader(io.RawIOBase):
    """What an answer is read from: its socket, asked no more often than `read_pause` says.

    Everything that has come by then is taken in one read, so nothing is ever held up twice.
    """

    def __init__(self, sock: Any, read_pause: Callable[[], float]) -> None:
        self._raw = sock.makefile("rb", buffering=0)
        self._read_pause = read_pause
        self._read_at = 0.0

    def makefile(self, _mode: str, *_args: Any) -> io.BufferedReader:
        """The file that http.client reads a response from."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if (read_pause := self._read_pause()) > 0:
            time.sleep(max(0.0, self._read_at + read_pause - time.monotonic()))
        count: int | None = self._raw.readinto(buffer)
        self._read_at = time.monotonic()
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_parent)
