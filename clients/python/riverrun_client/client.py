"""The blocking client. It runs the commands of `conversation`, and decides nothing.

`riverrun_client.aio` is the same for `await`.
"""

import random as chance
import time
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, closing
from functools import partial
from typing import Any, Self, TypeVar, Unpack

import httpx2

from riverrun_client.conversation import (
    ClientParts,
    CloseConnection,
    Command,
    Conversation,
    Emit,
    IOCommand,
    ReadBody,
    RenewKey,
    SendRequest,
    Wait,
    fetch_json,
    keep_return,
    read_run,
    send_deletion,
    stop_run,
)
from riverrun_client.cursor import RunCursor
from riverrun_client.errors import RiverrunError
from riverrun_client.events import Event, Result, RetryNotice
from riverrun_client.network import (
    build_arguments,
    find_proxy,
    open_http,
    parse_endpoint,
    read_head,
    to_lost_error,
)
from riverrun_client.options import Callbacks, Options, invoke_callback, split_options
from riverrun_client.reader import Reader
from riverrun_client.requests import DEFAULT_URL, Question, read_cursor
from riverrun_client.response_check import Head
from riverrun_client.retry_policy import RetryPolicy

T = TypeVar("T")
Key = str | Callable[[], str | None] | None


class Client:
    """A Riverrun server, for code that waits.

    `url` is its address; `/api/chat` is added unless it has a path. `key` is sent as
    `Authorization: Bearer`; a function is asked for it when it is first needed, and once more
    when the server refuses it. `http` is an `httpx2.Client` of your own, which you close.
    `clock` and `sleep` count seconds; `random` gives numbers from 0 to 1.

    Raises `ValueError` for a `url` that is none, and later for a `key` that no header can hold;
    `SetupError` where this machine's proxy or certificates cannot be used.
    Use it in a `with`, or call `close`.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        key: Key = None,
        *,
        http: httpx2.Client | None = None,
        retry_policy: RetryPolicy | None = None,
        sleep: Callable[[float], Any] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = chance.random,
    ) -> None:
        self._parts = ClientParts(
            endpoint=parse_endpoint(url),
            retry_policy=retry_policy or RetryPolicy(),
            clock=clock,
            random=random,
        )
        self._mine = http is None
        self._http = open_http(httpx2.Client) if http is None else http
        proxy = find_proxy(self._parts.endpoint.url) if self._mine else ""
        self._runner = _CommandRunner(self._http, key, sleep, self._parts.retry_policy, proxy)

    def stream(self, query: str, **options: Unpack[Options]) -> "Stream":
        """Ask, and read the answer as it is written. Nothing is sent before it is iterated."""
        question, callbacks = split_options(query, options)
        return Stream(self._parts, self._runner, RunCursor(), question, callbacks)

    def ask(self, query: str, **options: Unpack[Options]) -> Result:
        """Ask, and wait for the answer. Raises `RiverrunError` when there is none."""
        stream = self.stream(query, **options)
        for _ in stream:
            pass
        assert stream.result is not None
        return stream.result

    def join(self, run_id: str, after: int = 0, **callbacks: Unpack[Callbacks]) -> "Stream":
        """Read a run that is already started, after its event number `after`."""
        return Stream(self._parts, self._runner, RunCursor(run_id, after), None, callbacks)

    def resume(self, cursor: str, **callbacks: Unpack[Callbacks]) -> "Stream":
        """Read on from a cursor (`stream.cursor`, `error.cursor`)."""
        return self.join(*read_cursor(cursor), **callbacks)

    def stop(self, run_id: str) -> None:
        """End a run on the server; what it said is kept. May be called more than once."""
        self._runner.run_to_end(stop_run(self._parts, RunCursor(run_id), None))

    def state(self, run_id: str) -> Mapping[str, Any]:
        """What the server knows of a run, as its JSON."""
        return self._runner.run_to_end(
            fetch_json(self._parts, self._parts.endpoint.get_state(run_id))
        )

    def list_runs(self, limit: int = 20) -> Mapping[str, Any]:
        """The newest runs of this client's key, as the server's JSON: `runs`, newest first."""
        request = self._parts.endpoint.list_runs(limit)
        return self._runner.run_to_end(fetch_json(self._parts, request))

    def delete(self, run_id: str) -> None:
        """Delete a run, stopped first where it is live. Raises `RiverrunError` where it is not."""
        self._runner.run_to_end(send_deletion(self._parts, run=run_id))

    def delete_session(self, session_id: str) -> None:
        """Delete a session: its runs, and what it remembers."""
        self._runner.run_to_end(send_deletion(self._parts, session=session_id))

    def close(self) -> None:
        """Close the connections that the client opened itself."""
        if self._mine:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Stream(Reader):
    """One run, read event by event.

    Leaving the loop closes the connection and not the run; iterating again reads on. A loop that
    ends by itself has seen the `Final` event, anything else raises `RiverrunError`.
    """

    def __init__(
        self,
        parts: ClientParts,
        runner: "_CommandRunner",
        cursor: RunCursor,
        question: Question | None,
        callbacks: Callbacks,
    ) -> None:
        super().__init__(cursor)
        self._parts = parts
        self._runner = runner
        self._question = question
        self._callbacks = callbacks
        self._open: Callable[[], Generator[Event, None, None] | None] = lambda: None

    def __iter__(self) -> Iterator[Event]:
        self.close()  # one open connection a run
        steps = read_run(self._parts, self._cursor, self._question)
        events = self._runner.run(steps, self._callbacks)
        # Weakly: a caller that leaves the loop drops the only reference, which closes the socket.
        self._open = weakref.ref(events)
        return events

    def stop(self) -> None:
        """End the run on the server; also from another thread. Read on to see its last words."""
        self._runner.run_to_end(stop_run(self._parts, self._cursor, self._question))

    def close(self) -> None:
        """Close the connection. The run goes on."""
        if (events := self._open()) is not None:
            events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _CommandRunner:
    """Runs the commands of a conversation over an `httpx2.Client`."""

    def __init__(
        self,
        http: httpx2.Client,
        key: Key,
        sleep: Callable[[float], Any],
        retry_policy: RetryPolicy,
        proxy: str,
    ) -> None:
        self._http = http
        self._key = key if isinstance(key, str) else None
        self._new_key = None if isinstance(key, str) else key
        self._sleep = sleep
        self._retry_policy = retry_policy
        self._proxy = proxy

    def run(self, steps: Conversation[Any], callbacks: Callbacks) -> Generator[Event, None, None]:
        """Run the commands of `steps`, and yield its events."""
        with closing(steps), closing(_Connection(self._http, self._proxy)) as connection:
            resume: Callable[[], Command] = partial(next, steps)
            while True:
                try:
                    command = resume()
                except StopIteration:
                    return
                if isinstance(command, Emit):
                    invoke_callback(callbacks, command.item)
                    if not isinstance(command.item, RetryNotice | RiverrunError):
                        yield command.item
                    resume = partial(next, steps)
                    continue
                try:
                    resume = partial(steps.send, self._perform(command, connection))
                except httpx2.RequestError as error:
                    resume = partial(steps.throw, to_lost_error(error, self._proxy))

    def run_to_end(self, steps: Conversation[T]) -> T:
        """Run `steps` to its end, and return its result."""
        returned: list[T] = []
        for _ in self.run(keep_return(steps, returned), {}):
            pass
        return returned[0]

    def _perform(self, command: IOCommand, connection: "_Connection") -> Any:
        match command:
            case ReadBody():
                return connection.read()
            case RenewKey():
                return self._renew_key()
            case SendRequest():
                if self._key is None:
                    self._renew_key()
                return connection.open(
                    build_arguments(command.request, self._key, self._retry_policy)
                )
            case CloseConnection():
                connection.close()
            case Wait():
                connection.close()
                self._sleep(command.seconds)
        return None

    def _renew_key(self) -> bool:
        if self._new_key is None:
            return False
        self._key = self._new_key()
        return bool(self._key)


class _Connection:
    """At most one response, closed before the next is opened."""

    def __init__(self, http: httpx2.Client, proxy: str) -> None:
        self._http = http
        self._proxy = proxy
        self._open = ExitStack()
        self._chunks: Iterator[bytes] = iter(())

    def open(self, request: Mapping[str, Any]) -> Head:
        """Send a request and read the head of its answer."""
        self.close()
        built = self._http.build_request(**request)
        response = self._http.send(built, stream=True, follow_redirects=False)
        self._open.callback(response.close)
        self._chunks = response.iter_bytes()
        return read_head(response, self._proxy)

    def read(self) -> bytes | None:
        """The next bytes; None at the end."""
        return next(self._chunks, None)

    def close(self) -> None:
        """Close the response."""
        self._open.close()
