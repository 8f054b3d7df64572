"""`/api/chat/runs/{run}`: look at a run, read it from anywhere, stop it."""

from starlette.requests import Request
from starlette.responses import Response

from services.lambda_runtime import export_handler
from services.streaming import (
    Cursor,
    handle_resume,
    handle_state,
    handle_stop,
    http_app,
    read_after,
    read_cursor,
    read_dialect,
    read_owner,
    read_reader,
    shut_down,
)


async def state(request: Request) -> Response:
    """What is known of a run, as JSON."""
    owner = read_owner(request)
    return await handle_state(request.path_params["run"], owner=owner)


async def events(request: Request) -> Response:
    """The events of a run after `after` (or after `Last-Event-ID`), as they come."""
    owner = read_owner(request)
    run = request.path_params["run"]
    cursor = read_cursor(request)
    if cursor is None or cursor.run_id != run:
        cursor = Cursor(run, read_after(request))
    return await handle_resume(
        cursor, owner=owner, dialect=read_dialect(request), reader=await read_reader(request)
    )


async def stop(request: Request) -> Response:
    """End a run and keep what it said."""
    owner = read_owner(request)
    return await handle_stop(request.path_params["run"], owner=owner)


ROUTES = {
    "/chat/runs/{run}": {"GET": state},
    "/chat/runs/{run}/events": {"GET": events},
    "/chat/runs/{run}/stop": {"POST": stop},
}

app = http_app(ROUTES)
handler = export_handler(app, on_shutdown=shut_down, strict_cleanup=True)
