"""Many streams at once, many readers of one run, and most of them leave."""

import asyncio
import json
import os
import random
import resource
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.runs.sqlite.log import SQLiteLog
from tests.functions.deployed import word_of
from tests.functions.servers import Server
from tests.functions.wire import CutError, Leave, Response, SeenEvent, get, post

WAYS: tuple[Leave, ...] = ("fin", "rst", "half")

# What an answer of 100 events has besides its words: five statuses, the sources and the end.
AROUND = 7


@asynccontextmanager
async def run_deployed(folder: Path) -> AsyncIterator[Server]:
    """A server on a SQLite file in `folder`."""
    (folder / "calls").touch()
    environ = {"RIVERRUN_LOG": f"sqlite://{folder}/runs.sqlite", "RIVERRUN_HEARTBEAT": "5"}
    server = Server(environ, {"calls": str(folder / "calls"), "lease": 60.0})
    await server.start()
    try:
        yield server
    finally:
        server.kill()


def memory(pid: int) -> float:
    """The most that a process was resident in, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


async def read(
    port: int, name: str, events: int, cuts: int, chance: random.Random, *, within: float
) -> list[SeenEvent]:
    """One answer, over as many connections as it takes; left `cuts` times, somewhere.

    It is asked for `within` so many seconds.
    """
    question = {"query": f"{name} says {events - AROUND} words, 20 ms apart", "streaming": True}
    seen: list[SeenEvent] = []
    await asyncio.sleep(chance.uniform(0, within))
    while not (seen and seen[-1].event["type"] in ("final", "error")):
        request = (
            get("/api/chat", Last_Event_ID=seen[-1].id)
            if seen
            else post(question, Idempotency_Key=name)
        )
        budget = chance.randint(0, 8000) if cuts > 0 else None
        cuts -= 1
        try:
            async with Response(port, request, budget, chance.choice(WAYS)) as response:
                assert response.status == 200
                while found := await response.events():
                    assert all(one.id for one in found)
                    seen += found
        except CutError:
            await asyncio.sleep(chance.uniform(0, 0.2))
    return seen


async def crowd(folder: Path, streams: int) -> None:
    """`streams` answers of 100 events, each left at least once, all there in the end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 4 * streams + 200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    chance = random.Random(streams)
    async with run_deployed(folder) as server:
        before = memory(server.process.pid)
        began = time.monotonic()
        fates = [(f"c{n}", random.Random(chance.random())) for n in range(streams)]
        answers = await asyncio.gather(
            *(
                read(server.port, name, 100, own.randint(1, 3), own, within=streams / 300)
                for name, own in fates
            )
        )
        took = time.monotonic() - began
        used = memory(server.process.pid)
    print(f"{streams} streams: {took:.1f} s, {used:.0f} MB at most ({before:.0f} at the start)")  # noqa: T201 - a figure to report
    log = SQLiteLog(folder / "runs.sqlite")
    for (name, _), seen in zip(fates, answers, strict=True):
        run_id = seen[0].id.rpartition("-")[0]
        entries = await log.read(run_id, 0, 1000)
        assert len(entries) == 100
        assert [one.id for one in seen] == [f"{run_id}-{seq}" for seq in range(1, 101)]
        assert [one.data for one in seen] == [entry.payload for entry in entries]
        whole = "".join(word_of(name, number) for number in range(100 - AROUND))
        assert seen[-1].event["result"]["answer"] == whole
    await log.close()
    calls = (folder / "calls").read_text().splitlines()
    assert sorted(line.split()[0] for line in calls) == sorted(name for name, _ in fates)


def test_a_hundred_streams_that_are_left_are_whole(tmp_path: Path) -> None:
    """A share of the thousand."""
    asyncio.run(crowd(tmp_path, 100))


@pytest.mark.soak
def test_a_thousand_streams_that_are_left_are_whole(tmp_path: Path) -> None:
    """At least a thousand readers leave: with FIN, with RST, half closed."""
    asyncio.run(crowd(tmp_path, int(os.environ.get("RIVERRUN_STREAMS", "1000"))))


def test_fifty_readers_of_one_run_get_the_same_bytes(tmp_path: Path) -> None:
    """They join at random times, half of them leave; the provider is called once."""

    async def scene() -> None:
        async with run_deployed(tmp_path) as server:
            question = {"query": "one says 60 words, 20 ms apart", "streaming": True}

            async def starter(run: "asyncio.Future[str]") -> bytes:
                async with Response(server.port, post(question)) as response:
                    run.set_result(response.run)
                    while await response.events():
                        pass
                return bytes(response.body)

            async def joiner(run_id: str, number: int) -> tuple[int, bytes]:
                chance = random.Random(number)
                await asyncio.sleep(chance.uniform(0, 1.5))
                leaves = chance.randint(0, 6000) if number % 2 else None
                request = get(f"/api/chat/runs/{run_id}/events?after=0")
                response = Response(server.port, request, leaves, chance.choice(WAYS))
                try:
                    async with response:
                        while await response.events():
                            pass
                except CutError:
                    assert leaves is not None
                return number, bytes(response.body)

            run: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            first = asyncio.create_task(starter(run))
            run_id = await run
            bodies = await asyncio.gather(*(joiner(run_id, number) for number in range(50)))
            whole = await first
            assert json.loads(whole.rpartition(b"data: ")[2])["type"] == "final"
            for number, body in bodies:
                assert whole.startswith(body) if number % 2 else body == whole

    asyncio.run(scene())
    assert (tmp_path / "calls").read_text().count("\n") == 1
