"""`make clean` in a second terminal, while an answer is written."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from tests.functions.deployed import word_of
from tests.functions.servers import Server
from tests.functions.wire import Response, SeenEvent, get, post

pytestmark = pytest.mark.slow


async def hear(port: int, request: bytes) -> tuple[str, list[SeenEvent]]:
    """The run of a response, and its events."""
    async with Response(port, request) as response:
        heard: list[SeenEvent] = []
        while events := await response.events():
            heard += events
        return response.run, heard


async def play(folder: Path) -> None:
    """Remove the file under an answer; read it there, at another server and at a new one."""
    path, calls = folder / "data" / "runs.sqlite", folder / "calls"
    environ = {"RIVERRUN_LOG": f"sqlite://{path}"}
    servers = [Server(environ, {"calls": str(calls), "lease": 4.0}) for _ in range(3)]
    await asyncio.gather(*(server.start() for server in servers[:2]))
    try:
        question = {"query": "gone says 60 words, 30 ms apart", "streaming": True}
        asked = asyncio.create_task(hear(servers[0].port, post(question, Idempotency_Key="k")))
        await asyncio.sleep(0.6)
        shutil.rmtree(path.parent)
        await servers[2].start()
        run, heard = await asked
        assert heard[-1].event["result"]["answer"] == "".join(word_of("gone", n) for n in range(60))
        for server in servers:
            again = await hear(server.port, get(f"/api/chat/runs/{run}/events?after=0"))
            assert again == (run, heard)
            async with Response(server.port, get("/api/health")) as response:
                assert response.status == 200
        assert len(calls.read_text().splitlines()) == 1
    finally:
        for server in servers:
            if hasattr(server, "process"):
                server.kill()
    told = Path(f"{calls}.errors").read_text()  # noqa: ASYNC240 - a test may wait
    assert 1 <= told.count("was removed, replaced or cut off") <= 2, json.dumps(told)


def test_an_answer_outlives_the_file_it_is_written_into(tmp_path: Path) -> None:
    """Whole, once, for every server; each that had the file open says so once."""
    asyncio.run(play(tmp_path))
