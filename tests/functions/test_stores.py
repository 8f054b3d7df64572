"""A store at fault, through a real server: a typed error, no model paid, nothing written harmed."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from services.runs.sqlite.log import SQLiteLog
from tests.functions.servers import Server
from tests.functions.table_server import environ_for, moto
from tests.functions.wire import Response, get, post

QUESTION = {"query": "one says 3 words, 0 ms apart", "streaming": True}


async def ask(server: Server) -> tuple[int, bytes]:
    """The status, and the body of an answer."""
    async with Response(server.port, post(QUESTION)) as response:
        if response.status == 200:
            while await response.events():
                pass
        return response.status, bytes(response.body)


def test_a_locked_file_is_told_before_a_model_is_paid(tmp_path: Path) -> None:
    """When it is free again the next question is answered, and the earlier answer is whole."""
    calls, path = tmp_path / "calls", tmp_path / "runs.sqlite"
    calls.touch()

    async def scene() -> None:
        server = Server({"RIVERRUN_LOG": f"sqlite://{path}"}, {"calls": str(calls), "busy": 0.3})
        await server.start()
        try:
            assert (await ask(server))[0] == 200
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                assert (await ask(server))[0] == 503
                other.execute("ROLLBACK")
            assert len(calls.read_text().splitlines()) == 1
            assert (await ask(server))[0] == 200
        finally:
            server.kill()
        log = SQLiteLog(path)
        kept = await log.list_recent()
        assert [summary.ended for summary in kept] == [True, True]
        await log.close()

    asyncio.run(scene())


def test_a_missing_table_is_told_before_a_model_is_paid(tmp_path: Path) -> None:
    """With a code, and without the table's name."""
    calls = tmp_path / "calls"
    calls.touch()

    async def scene() -> None:
        async with moto() as address:
            environ = environ_for(address, "no-such-table")
            server = Server(environ, {"calls": str(calls)})
            await server.start()
            try:
                status, body = await ask(server)
                assert status == 500
                assert b"no-such-table" not in body
                target = f"/api/chat/runs/{'a' * 32}/events?after=0"
                async with Response(server.port, get(target)) as response:
                    assert response.status == 500
            finally:
                server.kill()

    asyncio.run(scene())
    assert calls.read_text() == ""
