"""Reading and stopping runs that exist already: nothing here ever starts a model."""

import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

from pydantic_core import from_json
from starlette.responses import Response

from services.errors import RiverrunError
from services.runs import Entry, NotNextError, Run, follow
from services.streaming.attendance import attended, started
from services.streaming.events import Event, read_event
from services.streaming.installation import Installation, installed
from services.streaming.production import interrupted
from services.streaming.recording import Entries, as_entries
from services.streaming.requests import Cursor, RequestError
from services.streaming.responses import JSONAnswer, error_response, streamed
from services.streaming.transcript import Transcript

# How often a waiting reader looks whether the producer still lives, in seconds.
LOOK = 2.0

# Clocks of two machines differ: a lease is over only when it is over by this much, in seconds.
GRACE = 2.0

# Ends of a run that is being written meanwhile: each attempt costs its producer one append.
ATTEMPTS = 50


async def handle_resume(
    cursor: Cursor,
    *,
    owner: str | None = None,
    dialect: str = "native",
    installation: Installation | None = None,
) -> Response:
    """Go on reading a run after `cursor`. Never starts or changes a run.

    204 when nothing is left, which also tells an `EventSource` to stop asking.
    """
    here = installation or installed()
    try:
        run = await here.log.find(cursor.run_id, owner)
        last = await here.log.last(run.id)
        seen = last.seq if last is not None else 0
        if cursor.seq > seen:
            raise RequestError("The cursor is ahead of its run.")
        if last is not None and last.terminal and cursor.seq == seen:
            return Response(status_code=204, headers={"Cache-Control": "no-store"})
        here.admit()
    except RiverrunError as error:
        return error_response(error)
    entries = read_run(run, cursor.seq, here)
    return streamed(await started(attended(entries, here, run.id)), dialect, run.id)


async def handle_state(
    run_id: str, *, owner: str | None = None, installation: Installation | None = None
) -> Response:
    """What is known of a run: `running` with what there is so far, or how it ended."""
    here = installation or installed()
    try:
        run = await here.log.find(run_id, owner)
        state: dict[str, Any] = {"runId": run.id, "state": "running", "lastEventId": None}
        answer: list[str] = []
        after = 0
        while entries := await here.log.read(run.id, after):
            for entry in entries:
                _add_to_state(state, answer, entry)
            after = entries[-1].seq
    except RiverrunError as error:
        return error_response(error)
    if state["state"] == "running":
        state["partial"] = {"answer": "".join(answer), "sources": state.pop("sources", [])}
    state.pop("sources", None)
    state["lastEventId"] = f"{run.id}-{after}"
    return JSONAnswer(state)


async def handle_stop(
    run_id: str, *, owner: str | None = None, installation: Installation | None = None
) -> Response:
    """Ask a run to end, and keep what it said. 202, however often it is asked."""
    here = installation or installed()
    try:
        run = await here.log.find(run_id, owner)
        production = here.productions.get(run.id)
        if production is not None:
            production.end()
        else:
            await _end(run, here, Transcript.stopped)
    except RiverrunError as error:
        return error_response(error)
    return JSONAnswer({"runId": run.id, "state": "stopping"}, 202)


async def read_run(run: Run, after: int, here: Installation) -> Entries:
    """Every entry of `run` after `after`, as they come; None after a heartbeat of silence.

    A run whose producer is gone, that is whose lease is over, is ended as `interrupted`, so
    that nobody waits for the rest.
    """
    heartbeat = here.settings.heartbeat
    await _end_if_orphaned(run, here)
    silent = 0.0
    tick = min(heartbeat, LOOK)
    async with aclosing(follow(here.log, run.id, after, heartbeat=tick)) as entries:
        async for entry in entries:
            if entry is not None:
                silent = 0.0
                yield entry
                continue
            silent += tick
            await _end_if_orphaned(run, here)
            if silent >= heartbeat:
                silent = 0.0
                yield None


async def _end_if_orphaned(run: Run, here: Installation) -> None:
    if run.id in here.productions:
        return
    last = await here.log.last(run.id)
    if last is not None and last.terminal:
        return
    known = await here.log.find(run.id, run.owner)
    if time.time() > known.lease_until + GRACE:
        await _end(run, here, _interrupted)


def _interrupted(transcript: Transcript, now: float) -> tuple[Event, ...]:
    return transcript.failed(interrupted(), now)


async def _end(
    run: Run, here: Installation, ending: Callable[[Transcript, float], tuple[Event, ...]]
) -> None:
    """End a run from outside its producer: whoever appends the next entry first has the word."""
    for _attempt in range(ATTEMPTS):
        transcript = Transcript(run_id=run.id, started=run.created)
        seq = 0
        while entries := await here.log.read(run.id, seq):
            for entry in entries:
                if entry.terminal:
                    return
                transcript.note(read_event(entry.payload))
            seq = entries[-1].seq
        try:
            await here.log.append(run.id, as_entries(seq, ending(transcript, time.time())))
        except NotNextError:
            continue  # its producer was faster; try behind what it wrote
        return


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
