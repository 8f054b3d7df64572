"""The async client: it does what `conversation` asks for, and decides nothing.

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
    Act,
    Call,
    Do,
    Leave,
    Pause,
    Read,
    Renew,
    Steps,
    Tell,
    Ways,
    kept,
    read_run,
    read_state,
    stop_run,
)
from riverrun_client.cursor import Place
from riverrun_client.errors import RiverrunError
from riverrun_client.events import Event, Result, Retrying
from riverrun_client.network import LIMITS, endpoint, head, lost, sent
from riverrun_client.options import Callbacks, Options, call, split
from riverrun_client.reader import Reader
from riverrun_client.requests import DEFAULT_URL, Question, read_cursor
from riverrun_client.response_check import Head
from riverrun_client.retry_policy import Patience

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
        patience: Patience | None = None,
        sleep: Callable[[float], Awaitable[Any]] = anyio.sleep,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = chance.random,
    ) -> None:
        self._ways = Ways(
            endpoint=endpoint(url), patience=patience or Patience(), clock=clock, random=random
        )
        self._mine = http is None
        self._http = httpx2.AsyncClient(limits=LIMITS) if http is None else http
        self._line = _Line(self._http, key, sleep, self._ways.patience)

    def stream(self, query: str, **options: Unpack[Options]) -> "AsyncStream":
        """Ask, and read the answer as it is written. Nothing is sent before it is iterated."""
        question, callbacks = split(query, options)
        return AsyncStream(self._ways, self._line, Place(), question, callbacks)

    async def ask(self, query: str, **options: Unpack[Options]) -> Result:
        """Ask, and wait for the answer. Raises `RiverrunError` when there is none."""
        async with self.stream(query, **options) as stream:
            async for _ in stream:
                pass
        assert stream.result is not None
        return stream.result

    def join(self, run_id: str, after: int = 0, **callbacks: Unpack[Callbacks]) -> "AsyncStream":
        """Read a run that somebody started, after its event number `after`."""
        return AsyncStream(self._ways, self._line, Place(run_id, after), None, callbacks)

    def resume(self, cursor: str, **callbacks: Unpack[Callbacks]) -> "AsyncStream":
        """Read on from a cursor (`stream.cursor`, `error.cursor`)."""
        return self.join(*read_cursor(cursor), **callbacks)

    async def stop(self, run_id: str) -> None:
        """End a run on the server; what it said is kept. May be called more than once."""
        await self._line.done(stop_run(self._ways, Place(run_id), None))

    async def state(self, run_id: str) -> Mapping[str, Any]:
        """What the server knows of a run, as its JSON."""
        return await self._line.done(read_state(self._ways, Place(run_id)))

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
        ways: Ways,
        line: "_Line",
        place: Place,
        question: Question | None,
        callbacks: Callbacks,
    ) -> None:
        super().__init__(place)
        self._ways = ways
        self._line = line
        self._question = question
        self._callbacks = callbacks
        self._open: Callable[[], AsyncGenerator[Event, None] | None] = lambda: None

    def __aiter__(self) -> AsyncIterator[Event]:
        events = self._events(self._open())
        # Weakly: whoever leaves the loop holds the only reference, and so closes the socket.
        self._open = weakref.ref(events)
        return events

    async def _events(
        self, before: AsyncGenerator[Event, None] | None
    ) -> AsyncGenerator[Event, None]:
        if before is not None:
            await before.aclose()  # one open connection a run
            del before
        steps = read_run(self._ways, self._place, self._question)
        async with aclosing(self._line.do(steps, self._callbacks)) as events:
            async for event in events:
                yield event

    async def stop(self) -> None:
        """End the run on the server; also from another task. Read on to see its last words."""
        await self._line.done(stop_run(self._ways, self._place, self._question))

    async def aclose(self) -> None:
        """Close the connection. The run goes on."""
        if (events := self._open()) is not None:
            await events.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class _Line:
    """Does the steps of a conversation over an `httpx2.AsyncClient`."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        key: AsyncKey,
        sleep: Callable[[float], Awaitable[Any]],
        patience: Patience,
    ) -> None:
        self._http = http
        self._key = key if isinstance(key, str) else None
        self._new_key = None if isinstance(key, str) else key
        self._sleep = sleep
        self._patience = patience

    async def do(self, steps: Steps[Any], callbacks: Callbacks) -> AsyncGenerator[Event, None]:
        """Do what is asked, and give out the events."""
        with closing(steps):
            async with aclosing(_Connection(self._http)) as connection:
                resume: Callable[[], Do] = partial(next, steps)
                while True:
                    try:
                        do = resume()
                    except StopIteration:
                        return
                    if isinstance(do, Tell):
                        await _awaited(call(callbacks, do.said))
                        if not isinstance(do.said, Retrying | RiverrunError):
                            yield do.said
                        resume = partial(next, steps)
                        continue
                    try:
                        resume = partial(steps.send, await self._act(do, connection))
                    except httpx2.RequestError as error:
                        resume = partial(steps.throw, lost(error))

    async def done(self, steps: Steps[T]) -> T:
        """Do what is asked, and return what the conversation returns."""
        returned: list[T] = []
        async with aclosing(self.do(kept(steps, returned), {})) as events:
            async for _ in events:
                pass
        return returned[0]

    async def _act(self, do: Act, connection: "_Connection") -> Any:
        match do:
            case Read():
                return await connection.read()
            case Renew():
                return await self._renewed()
            case Call():
                if self._key is None:
                    await self._renewed()
                return await connection.open(sent(do.request, self._key, self._patience))
            case Leave():
                await connection.aclose()
            case Pause():
                await connection.aclose()
                await self._sleep(do.seconds)
        return None

    async def _renewed(self) -> bool:
        if self._new_key is None:
            return False
        self._key = await _awaited(self._new_key())
        return bool(self._key)


class _Connection:
    """At most one response, closed before the next is opened."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http
        self._open = AsyncExitStack()
        self._chunks: AsyncIterator[bytes] | None = None

    async def open(self, request: Mapping[str, Any]) -> Head:
        """Send a request and read the head of its answer."""
        await self.aclose()
        built = self._http.build_request(**request)
        response = await self._http.send(built, stream=True, follow_redirects=False)
        self._open.push_async_callback(response.aclose)
        self._chunks = await self._open.enter_async_context(aclosing(response.aiter_bytes()))
        return head(response)

    async def read(self) -> bytes | None:
        """The next bytes; None at the end."""
        return None if self._chunks is None else await anext(self._chunks, None)

    async def aclose(self) -> None:
        """Close the response."""
        self._chunks = None
        await self._open.aclose()


async def _awaited(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
