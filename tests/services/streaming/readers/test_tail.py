"""A run and its other readers are never late because of one reader, whichever began the run."""

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from starlette.types import Message

from services.runs import Entry, Run
from services.runs.memory import MemoryLog
from services.streaming import App, Cursor, Question, handle_resume, handle_stop
from services.streaming.events import Status
from services.streaming.handlers import handle_streaming_request
from services.streaming.readers.tail import PRODUCER_CHECK_INTERVAL, read_run
from services.streaming.run.errors import PausedError
from services.streaming.run.registry import LiveRuns
from tests.services.streaming.instant import instant
from tests.services.streaming.invocations import events_of

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_left")]

MINUTE = 60.0
PAUSE = 0.1


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Time that is waited for passes at once."""
    return instant()


def now() -> float:
    return asyncio.get_running_loop().time()


class Producer:
    """Yields a status and a token with the time at which it did, again and again."""

    def __init__(self, size: int = 0) -> None:
        self.closed_at: float | None = None
        self.padding = "x" * size

    async def __call__(self, _question: Question) -> AsyncIterator[Status | str]:
        try:
            for step in range(1, 10_000):
                yield Status(step=step, description=f"{now()}", status="executing")
                await asyncio.sleep(PAUSE)
                yield f"{now()} {self.padding}\n"
                await asyncio.sleep(PAUSE)
        finally:
            self.closed_at = now()


class BlockedClient:
    """A client whose buffers are full: of what it is sent, only the head and a chunk go out."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.opened = asyncio.Event()

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if len(self.sent) > 1:
            await self.opened.wait()

    async def receive(self) -> Message:
        await asyncio.Event().wait()
        raise AssertionError


async def serve(response: Any, client: BlockedClient) -> None:
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "asgi": {}}
    await response(scope, client.receive, client.send)


def time_of(event: dict[str, Any]) -> float:
    text = event["status"]["description"] if event["type"] == "status" else event["text"]
    return float(text.split()[0])


async def measure_lateness(app: App, run: str) -> list[float]:
    """Read the run, and return how late each event came."""
    late: list[float] = []
    response: Any = await handle_resume(Cursor(run, 0), app=app)
    async for chunk in response.body_iterator:
        event = json.loads(chunk.partition(b"data: ")[2])
        if event["type"] in ("status", "token"):
            late.append(now() - time_of(event))
    return late


@pytest.mark.parametrize("reads_elsewhere", [False, True])
async def test_a_starter_that_reads_nothing_for_a_minute_delays_neither_readers_nor_a_stop(
    app: App, elsewhere: App, log: MemoryLog, reads_elsewhere: bool
) -> None:
    """The second reader is never late by more than 100 ms, and the stop is heard within 1 s."""
    producer, client = Producer(size=4000), BlockedClient()
    response = await handle_streaming_request({"query": "go"}, producer=producer, app=app)
    run = response.headers["x-run-id"]
    starting = asyncio.create_task(serve(response, client))
    await asyncio.sleep(0)
    tracemalloc.start()
    reading = asyncio.create_task(measure_lateness(elsewhere if reads_elsewhere else app, run))
    await asyncio.sleep(MINUTE)
    kept = sum(len(entry.payload) for entry in await log.read(run, 0, 10_000))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    stopped_at = now()
    assert (await handle_stop(run, app=elsewhere)).status_code == 202
    late = await reading
    await asyncio.sleep(1)
    assert len(late) > 2 * MINUTE / (2 * PAUSE) * 0.9
    assert max(late) <= 0.1
    assert producer.closed_at is not None
    assert producer.closed_at - stopped_at <= 1.0
    # The log of this test is memory, and a transcript is as long as its answer: the rest is small.
    assert held < 3 * kept + 500_000
    client.opened.set()
    await starting
    bodies = [message.get("body", b"") for message in client.sent]
    assert [body.count(b"data: ") for body in bodies if body] == [1] * len(await kinds_of(app, run))
    assert json.loads(bodies[-2].partition(b"data: ")[2])["type"] == "final"


async def test_a_run_whose_log_is_memory_waits_for_the_fastest_of_its_readers() -> None:
    """One that keeps up is never late; when all lag, memory is not filled, and a stop is heard."""
    app = App()
    producer, client = Producer(size=7_000), BlockedClient()
    response = await handle_streaming_request({"query": "go"}, producer=producer, app=app)
    run = response.headers["x-run-id"]
    starting = asyncio.create_task(serve(response, client))
    await asyncio.sleep(MINUTE)
    assert len(await kinds_of(app, run)) < 30
    reading = asyncio.create_task(measure_lateness(app, run))
    await asyncio.sleep(MINUTE)
    assert len(await kinds_of(app, run)) > 250
    await handle_stop(run, app=app)
    late = await reading
    assert max(late[30:]) <= 0.1
    client.opened.set()
    await starting


async def test_a_run_whose_readers_all_lag_hears_its_stop_and_its_deadline() -> None:
    """Where the log is memory: it does not wait for a reader any longer."""
    for seconds_left in (900.0, 30.0):
        app = App()
        producer, client = Producer(size=7_000), BlockedClient()
        question = Question(query="go", seconds_left=seconds_left)
        response = await handle_streaming_request(question, producer=producer, app=app)
        run = response.headers["x-run-id"]
        starting = asyncio.create_task(serve(response, client))
        await asyncio.sleep(28.4)
        if seconds_left == 900.0:
            await handle_stop(run, app=app)
        await asyncio.sleep(0.6)
        assert (await kinds_of(app, run))[-1] in ("final", "error")
        assert producer.closed_at is not None
        client.opened.set()
        await starting


async def test_a_reader_that_lagged_gets_every_entry_once(app: App) -> None:
    """From the log what it missed, from the task again what comes after."""
    producer = Producer(size=9_000)
    response: Any = await handle_streaming_request({"query": "go"}, producer=producer, app=app)
    run = response.headers["x-run-id"]
    body = response.body_iterator
    chunks = [await anext(body) for _ in range(3)]
    await asyncio.sleep(20)
    chunks += [await anext(body) for _ in range(250)]
    await handle_stop(run, app=app)
    chunks += [chunk async for chunk in body]
    assert await events_of(await handle_resume(Cursor(run, 0), app=app)) == [
        (chunk.partition(b"id: ")[2].partition(b"\n")[0].decode(), json.loads(data))
        for chunk in chunks
        if (data := chunk.partition(b"data: ")[2])
    ]


async def kinds_of(app: App, run: str) -> list[str]:
    """The kinds of a run's entries."""
    return [entry.kind for entry in await app.log.read(run, 0, 10_000)]


class Counting(MemoryLog):
    """A log that another process writes into, and that counts the looks at its runs."""

    def __init__(self) -> None:
        super().__init__(is_durable=True, monotonic=asyncio.get_running_loop().time)
        self.finds = 0

    async def find(self, run_id: str, owner: str | None) -> Run:
        self.finds += 1
        return await super().find(run_id, owner)


@pytest.mark.parametrize("lives", [True, False])
async def test_many_readers_that_wait_look_once_for_all(lives: bool) -> None:
    """And all of them hear of it when its producer elsewhere is dead."""
    log = Counting()
    live = LiveRuns(100)
    run, _ = await log.start(owner=None, key=None, fingerprint="f")

    async def wait() -> None:
        reading = read_run(run, 0, log, live, heartbeat=10.0, is_told_paused=True)
        async with aclosing(reading) as entries:
            async for _ in entries:
                pass

    readers = [asyncio.create_task(wait()) for _ in range(30)]
    for _ in range(10):
        await asyncio.sleep(1.0)
        if lives:
            await log.renew(run)
    looks = log.finds
    for reader in readers:
        reader.cancel()
    ended = await asyncio.gather(*readers, return_exceptions=True)
    died = [error for error in ended if isinstance(error, PausedError)]
    assert len(died) == (0 if lives else 30)
    assert looks <= 10.0 / (PRODUCER_CHECK_INTERVAL * 0.8) + 2


class CountedLog(MemoryLog):
    """A log that other processes share, as far as its app knows, and counts what it is asked."""

    def __init__(self) -> None:
        super().__init__(is_durable=True)
        self.reads: list[str] = []

    async def read(self, run_id: str, after: int, limit: int = 256) -> list[Entry]:
        self.reads.append("read")
        return await super().read(run_id, after, limit)

    async def read_last(self, run_id: str) -> Entry | None:
        self.reads.append("read_last")
        return await super().read_last(run_id)

    async def wait(self, run_id: str, after: int, timeout: float) -> bool:
        self.reads.append("wait")
        return await super().wait(run_id, after, timeout)


async def test_a_reader_that_keeps_up_with_a_run_here_asks_the_store_for_nothing() -> None:
    """Nor does a second one, once it has read what was there before it."""
    log = CountedLog()
    app = App(log=log)
    response: Any = await handle_streaming_request(
        {"query": "go"}, producer=Producer(), resumable=True, app=app
    )
    run = response.headers["x-run-id"]
    starting = asyncio.create_task(events_of(response))
    await asyncio.sleep(5)
    # The writer looks for another process's end where the run is silent, which it never is here.
    assert log.reads == []
    joining = asyncio.create_task(events_of(await handle_resume(Cursor(run, 0), app=app)))
    await asyncio.sleep(5)
    asked = len(log.reads)
    assert asked < 10
    await asyncio.sleep(20)
    assert len(log.reads) == asked
    await handle_stop(run, app=app)
    assert await starting == await joining
