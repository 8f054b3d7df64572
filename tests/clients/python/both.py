"""One way to use both clients, so that each test is written once."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx2

from riverrun_client import (
    AsyncClient,
    AsyncStream,
    Client,
    Event,
    RetryPolicy,
    RiverrunError,
    Stream,
    Token,
)

# Without the certificates, which take longer to load than most tests to run.
PLAIN: dict[str, Any] = {"verify": False, "trust_env": False}

Kind = Literal["sync", "async"]
QUESTION = "What is there to see?"


@dataclass
class Clock:
    """Time that passes only in a sleep."""

    now: float = 0.0
    waits: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let so much time pass at once."""
        self.waits.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        """The same for `await`."""
        self.sleep(seconds)


@dataclass
class Outcome:
    """What came of reading."""

    events: list[Event] = field(default_factory=list)
    error: RiverrunError | None = None
    stream: Stream | AsyncStream | None = None

    @property
    def text(self) -> str:
        """The tokens, joined."""
        return "".join(event.text for event in self.events if isinstance(event, Token))

    @property
    def kinds(self) -> list[str]:
        """The names of the events."""
        return [type(event).__name__ for event in self.events]

    def failure(self) -> RiverrunError:
        """The error, which there has to be."""
        assert self.error is not None, f"it did not fail: {self.kinds}"
        return self.error


@dataclass
class Both:
    """A client of either kind, with a clock of its own; what it says as plain values."""

    kind: Kind
    clock: Clock = field(default_factory=Clock)
    random: Callable[[], float] = lambda: 0.5
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    key: Any = None
    handler: Callable[[httpx2.Request], httpx2.Response] | None = None
    sleeps: bool = False  # for a server that needs real time

    def read(
        self,
        url: str = "http://test",
        query: str = QUESTION,
        *,
        times: int = 1,
        stream: list[Any] | None = None,
        **options: Any,
    ) -> Outcome:
        """Ask, and read to the end, `times` times over the same stream, which `stream` gets."""

        def begin(client: Any) -> Any:
            begun = client.stream(query, **options)
            if stream is not None:
                stream.append(begun)
            return begun

        return self._read(url, begin, times)

    def join(self, url: str, run_id: str, after: int = 0) -> Outcome:
        """Read a run to its end."""
        return self._read(url, lambda client: client.join(run_id, after), 1)

    def call(self, url: str, name: str, *arguments: Any, **options: Any) -> Any:
        """A method of the client."""
        if self.kind == "sync":
            with self._client(url) as client:
                return getattr(client, name)(*arguments, **options)

        async def work() -> Any:
            async with self._aclient(url) as client:
                return await getattr(client, name)(*arguments, **options)

        return asyncio.run(work())

    def _read(self, url: str, begin: Callable[[Any], Any], times: int) -> Outcome:
        seen = Outcome()
        if self.kind == "sync":
            with self._client(url) as client:
                stream: Stream = begin(client)
                seen.stream = stream
                try:
                    for _ in range(times):
                        seen.events.extend(_take(stream))
                except RiverrunError as error:
                    seen.error = error
            return seen

        async def work() -> None:
            async with self._aclient(url) as client:
                stream: AsyncStream = begin(client)
                seen.stream = stream
                try:
                    for _ in range(times):
                        async for event in stream:
                            seen.events.append(event)
                except RiverrunError as error:
                    seen.error = error

        asyncio.run(work())
        return seen

    @contextmanager
    def _client(self, url: str) -> Iterator[Client]:
        with httpx2.Client(transport=self._transport(), **PLAIN) as http:
            yield Client(
                url,
                self.key,
                http=http,
                retry_policy=self.retry_policy,
                sleep=time.sleep if self.sleeps else self.clock.sleep,
                clock=self.clock,
                random=self.random,
            )

    @asynccontextmanager
    async def _aclient(self, url: str) -> AsyncIterator[AsyncClient]:
        async with httpx2.AsyncClient(transport=self._transport(), **PLAIN) as http:
            yield AsyncClient(
                url,
                self.key,
                http=http,
                retry_policy=self.retry_policy,
                sleep=asyncio.sleep if self.sleeps else self.clock.asleep,
                clock=self.clock,
                random=self.random,
            )

    def _transport(self) -> httpx2.MockTransport | None:
        return None if self.handler is None else httpx2.MockTransport(self.handler)


def _take(stream: Stream) -> Iterator[Event]:
    yield from stream


class Pieces(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body in these pieces, for either client; it breaks at the end where `broken`."""

    def __init__(self, pieces: list[bytes], *, broken: bool = False) -> None:
        self._pieces = pieces
        self._broken = broken

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces
        if self._broken:
            raise httpx2.ReadError("reset")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece
