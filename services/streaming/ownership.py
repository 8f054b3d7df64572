"""What an owner may do with its own: list its runs, delete a run, delete a session with its runs.

A run that is still produced is stopped first, wherever that is, so that nothing is written behind
its back. A run or session of another owner looks exactly like one that does not exist.
"""

import asyncio
from typing import Any

import anyio
from pydantic_core import from_json
from starlette.responses import Response

from ..errors import RiverrunError
from ..runs import RunLogError, Summary, UnknownRunError
from .app import App, default_app
from .http.responses import JSONAnswer, error_response
from .run.checkpoint import read_pause_reason
from .run.resume import end_run, stop_run
from .run.transcript import Transcript

# How long a run that is produced here may take to end by itself, in seconds. Then its end is
# written for it, and its producer finds that out.
STOP_SECONDS = 2.0

# What is said of a question in a list, in characters: enough to know it by.
QUERY_LENGTH = 200


class UnownedError(RiverrunError):
    """Runs are listed for their owner, and this installation has none."""

    code = "forbidden"

    def __init__(self) -> None:
        super().__init__(
            "Without keys runs have no owner, and are listed for no client.",
            hint="The operator lists them with: make runs",
        )


class UnknownSessionError(RiverrunError):
    """There is no such session, or it is of another owner."""

    code = "not_found"

    def __init__(self) -> None:
        super().__init__("There is no such session.")


async def handle_list(
    *, owner: str | None = None, limit: int = 20, app: App | None = None
) -> Response:
    """List the newest runs of an owner, newest first."""
    app = app or default_app()
    try:
        if owner is None:
            raise UnownedError
        summaries = await app.log.list_owned(owner, limit)
        states = await asyncio.gather(*(_read_state(one, app) for one in summaries))
    except RiverrunError as error:
        return error_response(error)
    listed = zip(summaries, states, strict=True)
    return JSONAnswer({"runs": [_describe(one, state) for one, state in listed if state]})


async def handle_delete(
    run_id: str, *, owner: str | None = None, app: App | None = None
) -> Response:
    """Stop a run if it is live, and delete all that is kept of it. 204; asked again, 404."""
    app = app or default_app()
    try:
        await _delete_run(run_id, owner, app)
    except RiverrunError as error:
        return error_response(error)
    return _make_empty_response()


async def handle_delete_session(
    session_id: str, *, owner: str | None = None, app: App | None = None
) -> Response:
    """Delete the runs of a session and what it remembers. 204; asked again, 404."""
    app = app or default_app()
    try:
        # A session without an owner is its name's alone: one that can be guessed opens none.
        if owner is None and not await app.access.knows_session(session_id):
            raise UnknownSessionError
        is_known = False
        # The runs first: an answer that is being written would be remembered afterwards.
        for run_id in await app.log.list_session(owner, session_id):
            try:
                await _delete_run(run_id, owner, app)
            except UnknownRunError:
                continue  # its time was over
            is_known = True
        if not await app.log.forget_turns(owner, session_id) and not is_known:
            raise UnknownSessionError
    except RiverrunError as error:
        return error_response(error)
    return _make_empty_response()


async def _delete_run(run_id: str, owner: str | None, app: App) -> None:
    if await app.log.delete(run_id, owner):
        return
    run = await app.log.find(run_id, owner)
    await stop_run(run, app.log, app.live)
    with anyio.move_on_after(STOP_SECONDS):
        await app.live.wait_finished(run.id)
    if await app.log.delete(run_id, owner):
        return
    await end_run(run, app.log, Transcript.make_stopped_ending)
    if not await app.log.delete(run_id, owner):
        raise RunLogError("The run could not be ended.", hint="Try it again in a moment.")


async def _read_state(summary: Summary, app: App) -> str:
    if not summary.ended:
        return "running" if read_pause_reason(summary.run) is None else "paused"
    try:
        last = await app.log.read_last(summary.run.id)
    except UnknownRunError:
        return ""  # deleted meanwhile
    return "completed" if last is not None and last.kind == "final" else "failed"


def _describe(summary: Summary, state: str) -> dict[str, Any]:
    run = summary.run
    question = from_json(run.question) if run.question else {}
    return {
        "runId": run.id,
        "state": state,
        "created": int(run.created * 1000),
        "query": str(question.get("query", ""))[:QUERY_LENGTH],
        "sessionId": question.get("sessionId"),
    }


def _make_empty_response() -> Response:
    return Response(status_code=204, headers={"Cache-Control": "no-store"})
