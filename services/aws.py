"""Clients of AWS services: one each a process, made when first used.

Region, credentials and endpoints come from AWS's own variables (`AWS_DEFAULT_REGION`,
`AWS_PROFILE`, `AWS_ENDPOINT_URL_BEDROCK_RUNTIME`). Knows no operation of any service. boto3 and a
first client cost 0.4 s and 36 MB, so nothing is imported before somebody asks.
"""

import io
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
PREPARING = 2

# How long a request waits for its turn, in seconds. Fetching credentials can hold one up.
TURN = 0.1

_making = threading.Lock()


class Line:
    """What one thread asks of AWS while it holds this, so that another thread can cut it.

    boto3 blocks in its socket, and closing its stream from elsewhere waits for that very read.
    A socket that is shut down wakes whoever reads it, at any moment: while the first byte of an
    answer is awaited too.

    Until its request goes out a line is one of `PREPARING`; another one waits for its turn.
    `gather` says for how many seconds bytes may gather between two reads of its answer.
    """

    def __init__(self, gather: Callable[[], float] = lambda: 0.0) -> None:
        self.gather = gather
        self._connection: Any = None
        self._cut = False
        self._prepares = False

    def __enter__(self) -> Self:
        self._prepares = _turns.acquire(timeout=TURN)
        _held.line = self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _held.line = None
        self._prepared()
        with _switching:
            self._connection = None

    def cut(self) -> None:
        """End the call under way, and any that this thread would begin. From any thread."""
        with _switching:
            self._cut = True
            connection = self._connection
            # One that was given back may carry somebody else's call by now.
            if connection is not None and connection.line is self and connection.sock is not None:
                with suppress(OSError):
                    # Not the method of a TLS socket, which forgets its state under the reader.
                    socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    def _prepared(self) -> None:
        if self._prepares:
            self._prepares = False
            _turns.release()

    def _carry(self, connection: Any) -> None:
        self._prepared()
        with _switching:
            if self._cut:
                raise ConnectionAbortedError("This call was cut before it began.")
            connection.line = self
            self._connection = connection


_held = threading.local()
_switching = threading.Lock()
_turns = threading.Semaphore(PREPARING)


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
    with _making:
        return _made(service, read_timeout, tries, connections)


def own_client(service: str, **config: Any) -> Any:
    """A client of `service` for one caller alone, with `config` as botocore's `Config` takes it.

    Blocks, as `client` does, and waits for whoever makes one: two threads that import boto3 at
    once find half of it, or a deadlock. Raises what boto3 raises.
    """
    with _making:
        return _make(service, **config)


def forget() -> None:
    """Let the next call of `client` make a new one: the environment has changed."""
    with _making:
        _made.cache_clear()


@cache
def _made(service: str, read_timeout: float, tries: int, connections: int) -> Any:
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
    _mark_lines(made)
    return made


def _make(service: str, **config: Any) -> Any:
    from boto3.session import Session
    from botocore.config import Config

    return Session().client(service, config=Config(**config))


def _mark_lines(made: Any) -> None:
    """Let the connections of a client know whose call they carry.

    boto3 has no public way to a connection before its answer begins. Where a later version keeps
    them elsewhere, calls cannot be cut any more: they end at their timeouts, and a test fails.
    """
    session = getattr(getattr(made, "_endpoint", None), "http_session", None)
    pools = getattr(session, "_pool_classes_by_scheme", None)
    if pools is None:
        return
    for scheme, pool in pools.items():
        connection = type("Marked", (_Marked, pool.ConnectionCls), {})
        pools[scheme] = type("Pool", (pool,), {"ConnectionCls": connection})


class _Marked:
    """A connection of urllib3 that notes the `Line` of the thread that uses it."""

    line: Line | None = None
    response_class: Any

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self._note()

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._note()
        super().request(*args, **kwargs)  # type: ignore[misc]

    def getresponse(self, *args: Any, **kwargs: Any) -> Any:
        if (line := self.line) is not None:
            # botocore sets the class anew for every request.
            made = self.response_class

            def response(sock: Any, *more: Any, **named: Any) -> Any:
                return made(_Gathering(sock, line.gather), *more, **named)

            self.response_class = response
        return super().getresponse(*args, **kwargs)  # type: ignore[misc]

    def _note(self) -> None:
        self.line = None
        if (line := getattr(_held, "line", None)) is not None:
            line._carry(self)  # noqa: SLF001 - two halves of one thing


class _Gathering(io.RawIOBase):
    """What an answer is read from: its socket, asked no more often than `gather` says.

    Everything that has come by then is taken in one read, so nothing is ever held up twice.
    """

    def __init__(self, sock: Any, gather: Callable[[], float]) -> None:
        self._raw = sock.makefile("rb", buffering=0)
        self._gather = gather
        self._read_at = 0.0

    def makefile(self, _mode: str, *_args: Any) -> io.BufferedReader:
        """The file that http.client reads a response from."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if (gather := self._gather()) > 0:
            time.sleep(max(0.0, self._read_at + gather - time.monotonic()))
        count: int | None = self._raw.readinto(buffer)
        self._read_at = time.monotonic()
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
