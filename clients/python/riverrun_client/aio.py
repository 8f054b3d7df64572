"""The async client: it runs the commands of `conversation`, and decides nothing.

`riverrun_client.client` is the same without `await`.
"""

import inspect
import random as chance
import time
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, closing
from functools import partial
from typing import Any, Self, TypeVar, Unpack

import anyio
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
AsyncKey = str | Callable[[], str | Awaitable[str | None] | None] | None


class AsyncClient:
    """A Riverrun server, for code that awaits. `Client` says what the parameters are.

    Callbacks, a `key` function and `sleep` may be async.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        key: AsyncKey = None,
        *,
        http: httpx2.AsyncClient | None = None,
        retry_policy: RetryPolicy | None = None,
        sleep: Callable[[float], Awaitable[Any]] = anyio.sleep,
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
        self._http = open_http(httpx2.AsyncClient) if http is None else http
        proxy = find_proxy(self._parts.endpoint.url) if self._mine else ""
        self._runner = _CommandRunner(self._http, key, sleep, self._parts.retry_policy, proxy)

    def stream(self, query: str, **options: Unpack[Options]) -> "AsyncStream":
        """Ask, and read the answer as it is written. Nothing is sent before it is iterated."""
        question, callbacks = split_options(query, options)
        return AsyncStream(self._parts, self._runner, RunCursor(), question, callbacks)

    async def ask(self, query: str, **options: Unpack[Options]) -> Result:
        """Ask, and wait for the answer. Raises `RiverrunError` when there is none."""
        async with self.stream(query, **options) as stream:
            async for _ in stream:
                pass
        assert stream.result is not None
        return stream.result

    def join(self, run_id: str, after: int = 0, **callbacks: Unpack[Callbacks]) -> "AsyncStream":
        """Read a run that is already started, after its event number `after`."""
        return AsyncStream(self._parts, self._runner, RunCursor(run_id, after), None, callbacks)

    def resume(self, cursor: str, **callbacks: Unpack[Callbacks]) -> "AsyncStream":
        """Read on from a cursor (`stream.cursor`, `error.cursor`)."""
        return self.join(*read_cursor(cursor), **callbacks)

    async def stop(self, run_id: str) -> None:
        """End a run on the server; what it said is kept. May be called more than once."""
        await self._runner.run_to_end(stop_run(self._parts, RunCursor(run_id), None))

    async def state(self, run_id: str) -> Mapping[str, Any]:
        """What the server knows of a run, as its JSON."""
        return await self._runner.run_to_end(
            fetch_json(self._parts, self._parts.endpoint.get_state(run_id))
        )

    async def list_runs(self, limit: int = 20) -> Mapping[str, Any]:
        """The newest runs of this client's key, as the server's JSON: `runs`, newest first."""
        request = self._parts.endpoint.list_runs(limit)
        return await self._runner.run_to_end(fetch_json(self._parts, request))

    async def delete(self, run_id: str) -> None:
        """Delete a run, stopped first where it is live. Raises `RiverrunError` where it is not."""
        await self._runner.run_to_end(send_deletion(self._parts, run=run_id))

    async def delete_session(self, session_id: str) -> None:
        """Delete a session: its runs, and what it remembers."""
        await self._runner.run_to_end(send_deletion(self._parts, session=session_id))

    async def aclose(self) -> None:
        """Close the connections that the client opened itself."""
        if self._mine:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class AsyncStream(Reader):
    """One run, read event by event. `Stream` says what leaving it means.

    Python closes an abandoned `async for` when the event loop comes to it; `async with` closes
    it at once.
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
        self._open: Callable[[], AsyncGenerator[Event, None] | None] = lambda: None

    def __aiter__(self) -> AsyncIterator[Event]:
        events = self._events(self._open())
        # Weakly: a caller that leaves the loop drops the only reference, which closes the socket.
        self._open = weakref.ref(events)
        return events

    async def _events(
        self, before: AsyncGenerator[Event, None] | None
    ) -> AsyncGenerator[Event, None]:
        if before is not None:
            await before.aclose()  # one open connection a run
            del before
        steps = read_run(self._parts, self._cursor, self._question)
        async with aclosing(self._runner.run(steps, self._callbacks)) as events:
            async for event in events:
                yield event

    async def stop(self) -> None:
        """End the run on the server; also from another task. Read on to see its last words."""
        await self._runner.run_to_end(stop_run(self._parts, self._cursor, self._question))

    async def aclose(self) -> None:
        """Close the connection. The run goes on."""
        if (events := self._open()) is not None:
            await events.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class _CommandRunner:
    """Runs the commands of a conversation over an `httpx2.AsyncClient`."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        key: AsyncKey,
        sleep: Callable[[float], Awaitable[Any]],
        retry_policy: RetryPolicy,
        proxy: str,
    ) -> None:
        self._http = http
        self._key = key if isinstance(key, str) else None
        self._new_key = None if isinstance(key, str) else key
        self._sleep = sleep
        self._retry_policy = retry_policy
        self._proxy = proxy

    async def run(
        self, steps: Conversation[Any], callbacks: Callbacks
    ) -> AsyncGenerator[Event, None]:
        """Run the commands of `steps`, and yield its events."""
        with closing(steps):
            async with aclosing(_Connection(self._http, self._proxy)) as connection:
                resume: Callable[[], Command] = partial(next, steps)
                while True:
                    try:
                        command = resume()
                    except StopIteration:
                        return
                    if isinstance(command, Emit):
                        await _await_if_needed(invoke_callback(callbacks, command.item))
                        if not isinstance(command.item, RetryNotice | RiverrunError):
                            yield command.item
                        resume = partial(next, steps)
                        continue
                    try:
                        resume = partial(steps.send, await self._perform(command, connection))
                    except httpx2.RequestError as error:
                        resume = partial(steps.throw, to_lost_error(error, self._proxy))

    async def run_to_end(self, steps: Conversation[T]) -> T:
        """Run `steps` to its end, and return its result."""
        returned: list[T] = []
        async with aclosing(self.run(keep_return(steps, returned), {})) as events:
            async for _ in events:
                pass
        return returned[0]

    async def _perform(self, command: IOCommand, connection: "_Connection") -> Any:
        match command:
            case ReadBody():
                return await connection.read()
            case RenewKey():
                return await self._renew_key()
            case SendRequest():
                if self._key is None:
                    await self._renew_key()
                return await connection.open(
                    build_arguments(command.request, self._key, self._retry_policy)
                )
            case CloseConnection():
                await connection.aclose()
            case Wait():
                await connection.aclose()
                await self._sleep(command.seconds)
        return None

    async def _renew_key(self) -> bool:
        if self._new_key is None:
            return False
        self._key = await _await_if_needed(self._new_key())
        return bool(self._key)


class _Connection:
    """At most one response, closed before the next is opened."""

    def __init__(self, http: httpx2.AsyncClient, proxy: str) -> None:
        self._http = http
        self._proxy = proxy
        self._open = AsyncExitStack()
        self._chunks: AsyncIterator[bytes] | None = None

    async def open(self, request: Mapping[str, Any]) -> Head:
        """Send a request and read the head of its answer."""
        await self.aclose()
        built = self._http.build_request(**request)
        response = await self._http.send(built, stream=True, follow_redirects=False)
        self._open.push_async_callback(response.aclose)
        self._chunks = await self._open.enter_async_context(aclosing(response.aiter_bytes()))
        return read_head(response, self._proxy)

    async def read(self) -> bytes | None:
        """The next bytes; None at the end."""
        return None if self._chunks is None else await anext(self._chunks, None)

    async def aclose(self) -> None:
        """Close the response."""
        self._chunks = None
        await self._open.aclose()


async def _await_if_needed(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
