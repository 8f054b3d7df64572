"""`/api/agui`: Riverrun for AG-UI front ends."""

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from services.lambda_runtime import export_handler
from services.streaming import (
    Cursor,
    handle_question,
    handle_resume,
    handle_stop,
    http_app,
    read_after,
    read_cursor,
    read_dialect_question,
    read_owner,
    read_reader,
    shut_down,
)

DIALECT = "ag_ui"


async def run_agent(request: Request) -> Response:
    """Answer the last message of a thread; with `resume=1` for a client that reads on by cursor."""
    question, _ = await read_dialect_question(request, DIALECT)
    if "resume" in request.query_params:
        question = replace(question, resume=(await read_reader(request)).resume)
    return await handle_question(question)


async def events(request: Request) -> Response:
    """The events of a run after `after` (or after `Last-Event-ID`), as they come."""
    run = request.path_params["run"]
    cursor = read_cursor(request)
    if cursor is None or cursor.run_id != run:
        cursor = Cursor(run, read_after(request))
    return await handle_resume(
        cursor,
        owner=await read_owner(request),
        dialect=DIALECT,
        reader=await read_reader(request),
    )


async def stop(request: Request) -> Response:
    """Stop a run and keep what it said."""
    return await handle_stop(request.path_params["run"], owner=await read_owner(request))


ROUTES = {
    "/agui": {"POST": run_agent},
    "/agui/runs/{run}/events": {"GET": events},
    "/agui/runs/{run}/stop": {"POST": stop},
}

app = http_app(ROUTES, dialect=DIALECT)
handler = export_handler(app, on_shutdown=shut_down, strict_cleanup=True)
