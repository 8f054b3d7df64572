"""Reading and stopping runs that exist already.

Nothing here starts a run, and only a reader who says `resume` can make one go on.
"""

from functools import partial
from typing import Any

from pydantic_core import from_json
from starlette.responses import Response

from ..errors import RiverrunError
from ..runs import Entry
from .app import App, default_app
from .http.requests import Cursor, RequestError
from .http.responses import JSONAnswer, error_response, stream_response
from .question import Reader
from .readers.join import join_run
from .readers.session import start_uncancellable
from .readers.tail import end_run, pause_reason
from .run.start import Producer, producer_name
from .run.transcript import Transcript


async def handle_resume(
    cursor: Cursor,
    *,
    owner: str | None = None,
    dialect: str = "native",
    reader: Reader | None = None,
    producer: Producer | None = None,
    app: App | None = None,
) -> Response:
    """Go on reading a run after `cursor`.

    Never starts a run. A `reader` who says `resume` makes one go on that nobody produces, if it
    was started by the pipeline, or by `producer`, a function that says what comes after
    `question.so_far`; any other reader never makes a model work. 204 when nothing is left, which
    also tells an `EventSource` to stop asking.
    """
    app = app or default_app()
    reader = reader or Reader()
    try:
        run = await app.log.find(cursor.run_id, owner)
        last = await app.log.read_last(run.id)
        seen = last.seq if last is not None else 0
        if cursor.seq > seen:
            raise RequestError("The cursor is ahead of its run.")
        if last is not None and last.terminal and cursor.seq == seen:
            return Response(status_code=204, headers={"Cache-Control": "no-store"})
        app.admit()
        _, entries = await start_uncancellable(
            join_run(
                run,
                cursor.seq,
                reader,
                app,
                name=producer_name(producer, resumable=True),
                producer=producer,
                may_resume=reader.resume,
            )
        )
    except RiverrunError as error:
        return error_response(error)
    return stream_response(entries, dialect, run.id, partial(app.wait_finished, run.id))


async def handle_state(
    run_id: str, *, owner: str | None = None, app: App | None = None
) -> Response:
    """What is known of a run: `running` or `paused` with what there is so far, or how it ended."""
    app = app or default_app()
    try:
        run = await app.log.find(run_id, owner)
        state: dict[str, Any] = {"runId": run.id, "state": "running", "lastEventId": None}
        answer: list[str] = []
        after = 0
        while entries := await app.log.read(run.id, after):
            for entry in entries:
                _add_to_state(state, answer, entry)
            after = entries[-1].seq
    except RiverrunError as error:
        return error_response(error)
    if state["state"] == "running":
        if pause_reason(run) is not None:
            state["state"] = "paused"
        state["partial"] = {"answer": "".join(answer), "sources": state.pop("sources", [])}
    state.pop("sources", None)
    state["lastEventId"] = f"{run.id}-{after}"
    return JSONAnswer(state)


async def handle_stop(run_id: str, *, owner: str | None = None, app: App | None = None) -> Response:
    """Ask a run to end, and keep what it said. 202, however often it is asked."""
    app = app or default_app()
    try:
        run = await app.log.find(run_id, owner)
        run_task = app.find_task(run.id)
        if run_task is not None:
            run_task.end()
        else:
            await end_run(run, app, Transcript.stopped)
    except RiverrunError as error:
        return error_response(error)
    return JSONAnswer({"runId": run.id, "state": "stopping"}, 202)


def _add_to_state(state: dict[str, Any], answer: list[str], entry: Entry) -> None:
    event = from_json(entry.payload)
    if entry.kind == "token":
        answer.append(event["text"])
    elif entry.kind == "reset":
        answer.clear()
    elif entry.kind == "sources":
        state["sources"] = event["sources"]
    elif entry.kind == "status":
        state["status"] = event["status"]
    elif entry.kind == "final":
        state.update(state="completed", result=event["result"])
    elif entry.kind == "error":
        state.update(state="failed", error=event)
