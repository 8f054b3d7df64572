"""Whole endpoints: everything that a function of `functions/` serves, in one call.

    app = answer_app("/echo", echo)

answers `POST` and `GET`, streamed or as JSON, resumes from a cursor, and serves the runs it began:
their state, their events from anywhere, their stop. `docs/your-own-function.md` is the manual.
"""

from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from .answering.producer import Producer
from .app import default_app
from .documents import handle_source
from .feedback import handle_feedback
from .handlers import (
    handle_health,
    handle_link,
    handle_request,
    handle_resume,
    handle_state,
    handle_stop,
    handle_streaming_request,
    handle_visitor,
)
from .http.asgi import http_app
from .http.body import RequestError, read_object
from .http.credentials import read_address, read_owner, read_run_owner
from .http.requests import (
    Cursor,
    read_after,
    read_cursor,
    read_dialect,
    read_question,
    read_reader,
)
from .ownership import handle_delete, handle_delete_session, handle_list
from .samples import handle_samples

Routes = Mapping[str, Mapping[str, Callable[[Request], Awaitable[Response]]]]
"""Path -> method -> endpoint."""


def answer_app(
    path: str, producer: Producer | None = None, *, resumable: bool = False
) -> Starlette:
    """Return an ASGI app that answers questions at `path`, below `/api` and `/.netlify/functions`.

    `producer` is an async generator function of events or strings that takes a question; without
    one the documents are asked. A `resumable` one says only what comes after `question.so_far`, so
    that another process can go on with its answer.
    """
    return http_app(
        {
            **answer_routes(path, producer, resumable=resumable),
            **run_routes(path, producer if resumable else None),
            f"{path}/health": {"GET": _check_health(producer)},
        }
    )


def answer_routes(
    path: str, producer: Producer | None = None, *, resumable: bool = False
) -> Routes:
    """Return the route that asks a question, or with a cursor goes on reading an answer."""

    async def answer(request: Request) -> Response:
        owner = await read_owner(request)
        if (cursor := read_cursor(request)) is not None:
            # A cursor resumes its run and never starts another, whatever else the request says.
            return await _resume(request, cursor, owner, producer if resumable else None)
        if producer is None:
            default_app().open_ahead()
        question = await read_question(request)
        handle = handle_streaming_request if question.streaming else handle_request
        return await handle(question, producer=producer, resumable=resumable)

    async def visitor(request: Request) -> Response:
        data = await read_object(request)
        return await handle_visitor(data.get("challenge"), read_address(request))

    return {path: {"GET": answer, "POST": answer}, f"{path}/visitors": {"POST": visitor}}


def run_routes(path: str, producer: Producer | None = None) -> Routes:
    """Return the routes that list runs, look at one, read it, rate it, stop it and delete it.

    `producer`, a resumable one, goes on with a run that no process writes any more.
    """

    async def state(request: Request) -> Response:
        owner = await read_owner(request)
        return await handle_state(request.path_params["run"], owner=owner)

    async def list_runs(request: Request) -> Response:
        owner = await read_owner(request)
        return await handle_list(owner=owner, limit=_read_limit(request))

    async def delete(request: Request) -> Response:
        owner = await read_owner(request)
        return await handle_delete(request.path_params["run"], owner=owner)

    async def delete_session(request: Request) -> Response:
        owner = await read_owner(request)
        return await handle_delete_session(request.path_params["session"], owner=owner)

    async def events(request: Request) -> Response:
        run = request.path_params["run"]
        owner = await read_run_owner(request, run)
        cursor = read_cursor(request)
        if cursor is None or cursor.run_id != run:
            cursor = Cursor(run, read_after(request))
        return await _resume(request, cursor, owner, producer)

    async def stop(request: Request) -> Response:
        owner = await read_owner(request)
        return await handle_stop(request.path_params["run"], owner=owner)

    async def feedback(request: Request) -> Response:
        owner = await read_owner(request)
        data = await read_object(request)
        return await handle_feedback(request.path_params["run"], data, owner=owner)

    async def link(request: Request) -> Response:
        owner = await read_owner(request)
        return await handle_link(request.path_params["run"], owner=owner)

    return {
        f"{path}/runs": {"GET": list_runs},
        f"{path}/runs/{{run}}": {"GET": state, "DELETE": delete},
        f"{path}/runs/{{run}}/events": {"GET": events},
        f"{path}/runs/{{run}}/feedback": {"POST": feedback},
        f"{path}/runs/{{run}}/token": {"POST": link},
        f"{path}/runs/{{run}}/stop": {"POST": stop},
        f"{path}/sessions/{{session:path}}": {"DELETE": delete_session},
    }


def source_routes(path: str) -> Routes:
    """Return the routes that open the document of a source, and that sample the documents."""

    async def source(request: Request) -> Response:
        await read_owner(request)  # no key, no document
        wants_page = "text/html" in request.headers.get("accept", "")
        return await handle_source(request.path_params["source"], html=wants_page)

    async def samples(request: Request) -> Response:
        await read_owner(request)
        return await handle_samples()

    # No passage is called so: its id names a document and a heading in it.
    return {f"{path}/samples": {"GET": samples}, f"{path}/{{source:path}}": {"GET": source}}


def _read_limit(request: Request) -> int:
    """Return the `limit` parameter: how much is listed at most, 20 when absent."""
    text = request.query_params.get("limit", "") or "20"
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= 100 and len(text) < 4):
        raise RequestError("limit must be a whole number from 1 to 100.")
    return int(text)


async def _resume(
    request: Request, cursor: Cursor, owner: str | None, producer: Producer | None
) -> Response:
    return await handle_resume(
        cursor,
        owner=owner,
        dialect=read_dialect(request),
        reader=await read_reader(request),
        producer=producer,
    )


def _check_health(producer: Producer | None) -> Callable[[Request], Awaitable[Response]]:
    async def health(_request: Request) -> Response:
        # A producer of one's own needs neither the documents nor a model.
        return await handle_health(parts=("runs",) if producer is not None else None)

    return health
