"""psycopg_pool: a pool opened by the first request, whose workers belong to the process."""

import os
from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

pools: list[AsyncConnectionPool[Any]] = []


async def ready() -> AsyncConnectionPool[Any]:
    """The pool, opened where it is first needed."""
    if not pools:
        pools.append(
            AsyncConnectionPool(
                os.environ["PG_DSN"],
                min_size=2,
                max_size=2,
                open=False,
                check=AsyncConnectionPool.check_connection,
            )
        )
        await pools[0].open()
    return pools[0]


async def query(_request: Request) -> JSONResponse:
    async with (await ready()).connection(timeout=5) as connection:
        row = await (await connection.execute("SELECT 6 * 7")).fetchone()
    return JSONResponse(row[0] if row else None)


async def lose(_request: Request) -> JSONResponse:
    """Have the server end every connection of the pool."""
    async with await AsyncConnection.connect(os.environ["PG_DSN"]) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        row = await (await connection.execute("SELECT 1")).fetchone()
    return JSONResponse(row[0] if row else None)


app = Starlette(routes=[Route("/query", query), Route("/lose", lose)])
