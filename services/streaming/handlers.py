"""The handlers of requests: a question, a cursor or a run in, a response out.

    response = await handle_streaming_request({"query": "What is there to see in Paris?"})

The question-answering pipeline is only the default producer. Any async generator of events, or
of plain strings, can be handed in; everything else (one terminal event, heartbeats, the run log,
resuming, stopping, cleaning up) comes with it.
"""

import inspect
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic_core import from_json
from starlette.responses import Response

from ..errors import RiverrunError
from ..runs import Entry, Run
from .answering.producer import Producer
from .app import App, default_app
from .deadlines import LEASE_RELEASE_SECONDS
from .encoders import RunInfo, find_dialect
from .http.body import RequestError
from .http.requests import Cursor, make_fingerprint, parse_question
from .http.responses import JSONAnswer, error_response, stream_response, terminal_response
from .question import Question, ReaderTerms, read_names, start_clock
from .readers.join import ProducerSpec, join_run, start_run
from .readers.session import start_uncancellable
from .run.checkpoint import read_pause_reason
from .run.log_writer import Entries
from .run.resume import stop_run
from .run.stages import Observer

logger = logging.getLogger("riverrun.health")

# A part that does not open now may open after a deploy: the advice for the next try, in seconds.
RETRY_AFTER = "10"


async def handle_streaming_request(
    data: Question | Mapping[str, Any],
    *,
    producer: Producer | None = None,
    resumable: bool = False,
    observers: tuple[Observer, ...] = (),
    app: App | None = None,
) -> Response:
    """Answer `data` as a stream of events.

    `data` is a request's JSON object (the contract, section 2) or a checked `Question`.
    `observers` are called with every event before it goes out. A `resumable` producer (a
    function) says only what comes after `question.so_far`: then an answer that one invocation
    has no time for is finished by another. A request that cannot be served comes back as the
    contract's error object with its HTTP status.
    """
    app = app or default_app()
    spec = ProducerSpec(producer, resumable, observers)
    dialect = data.dialect if isinstance(data, Question) else "native"
    try:
        question = _read_question(data)
        run, entries = await _start(question, question.reader, spec, app)
    except BaseException as error:  # noqa: BLE001 - what is no refusal is raised again
        return await _refuse(producer, error, dialect)
    return _stream(run, entries, dialect, app, options=question.options)


async def handle_request(
    data: Question | Mapping[str, Any],
    *,
    producer: Producer | None = None,
    resumable: bool = False,
    observers: tuple[Observer, ...] = (),
    app: App | None = None,
) -> Response:
    """Answer `data` as one JSON object, of the same run. See `handle_streaming_request`."""
    app = app or default_app()
    spec = ProducerSpec(producer, resumable, observers)
    dialect = data.dialect if isinstance(data, Question) else "native"
    try:
        question = _read_question(data)
        # A JSON answer cannot be read on from a cursor, so its reader is one that does not resume.
        run, entries = await _start(question, replace(question.reader, resume=False), spec, app)
    except BaseException as error:  # noqa: BLE001 - what is no refusal is raised again
        return await _refuse(producer, error, dialect)
    async with aclosing(entries):
        async for entry in entries:
            if entry is not None and entry.terminal:
                if entry.seq == 0:  # it stands in no log: the run goes on or is paused
                    await app.live.wait_finished(run.id, LEASE_RELEASE_SECONDS)
                return terminal_response(entry, make_run_info(run, {}), dialect)
    raise AssertionError("a run always ends with a terminal entry")


async def handle_resume(
    cursor: Cursor,
    *,
    owner: str | None = None,
    dialect: str = "native",
    options: Mapping[str, Any] | None = None,
    reader: ReaderTerms | None = None,
    producer: Producer | None = None,
    takes_over: bool = False,
    app: App | None = None,
) -> Response:
    """Go on reading a run after `cursor`.

    Never starts a run. A `reader` with `resume` makes a run go on that has no producer, if it
    was started by the pipeline, or by `producer`, a function that says what comes after
    `question.so_far`; no other reader ever makes a model work, but one that `takes_over`: it reads
    on in the way of its dialect, which has no word for a pause. 204 when nothing is left, which
    also tells an `EventSource` to stop asking.
    """
    app = app or default_app()
    reader = start_clock(reader or ReaderTerms())
    try:
        run = await app.log.find(cursor.run_id, owner)
        last = await app.log.read_last(run.id)
        written = last.seq if last is not None else 0
        if cursor.seq > written:
            raise RequestError("The cursor is ahead of its run.")
        if last is not None and last.terminal and cursor.seq == written:
            return Response(status_code=204, headers={"Cache-Control": "no-store"})
        spec = ProducerSpec(producer, resumable=True)
        # What a dialect says of an entry may depend on those before it.
        first = 0 if find_dialect(dialect).has_state else cursor.seq
        may_resume = reader.resume or takes_over
        _, entries = await start_uncancellable(
            join_run(run, first, reader, spec, app, may_resume=may_resume)
        )
    except RiverrunError as error:
        return error_response(error, dialect=dialect)
    return _stream(run, entries, dialect, app, after=cursor.seq, options=options)


async def handle_state(
    run_id: str, *, owner: str | None = None, app: App | None = None
) -> Response:
    """Return the state of a run as JSON: `running` or `paused` with what it said, or its end."""
    app = app or default_app()
    try:
        run = await app.log.find(run_id, owner)
        state: dict[str, Any] = {"runId": run.id, "state": "running", "lastEventId": None}
        if run.question:
            state["query"] = str(from_json(run.question).get("query", ""))
        answer: list[str] = []
        after = 0
        while entries := await app.log.read(run.id, after):
            for entry in entries:
                _add_to_state(state, answer, entry)
            after = entries[-1].seq
    except RiverrunError as error:
        return error_response(error)
    if state["state"] == "running":
        if read_pause_reason(run) is not None:
            state["state"] = "paused"
        state["partial"] = {"answer": "".join(answer), "sources": state.pop("sources", [])}
    state.pop("sources", None)
    state["lastEventId"] = f"{run.id}-{after}"
    return JSONAnswer(state)


async def handle_stop(run_id: str, *, owner: str | None = None, app: App | None = None) -> Response:
    """Stop a run, and keep what it said. 202, however often it is asked."""
    app = app or default_app()
    try:
        run = await app.log.find(run_id, owner)
        await stop_run(run, app.log, app.live)
    except RiverrunError as error:
        return error_response(error)
    return JSONAnswer({"runId": run.id, "state": "stopping"}, 202)


async def handle_link(run_id: str, *, owner: str | None = None, app: App | None = None) -> Response:
    """Sign a token that reads one run for a few minutes: an `EventSource` sends no header."""
    app = app or default_app()
    try:
        run = await app.log.find(run_id, owner)
        token, expires = await app.access.make_link(run.id, owner)
    except RiverrunError as error:
        return error_response(error)
    return JSONAnswer({"token": token, "expiresAt": int(expires * 1000)})


async def handle_visitor(answer: object, address: str, *, app: App | None = None) -> Response:
    """Give a stranger a signed name, where strangers are let in and `answer` passes the check."""
    app = app or default_app()
    try:
        token, expires = await app.access.admit_visitor(
            answer if isinstance(answer, str) else "", address
        )
    except RiverrunError as error:
        return error_response(error)
    return JSONAnswer({"token": token, "expiresAt": int(expires * 1000)})


async def handle_health(*, parts: Sequence[str] | None = None, app: App | None = None) -> Response:
    """Open what an answer needs, and call no model: 200, or 503 with the parts that do not open.

    `parts` names those that are needed, of `runs`, `context` and `chat`; without it, all. The
    answer names parts, never paths or causes: the logger gets those.
    """
    app = app or default_app()

    known: dict[str, Callable[[], object]] = {
        "runs": app.check_log,
        "context": app.check_context,
        "chat": lambda: app.chat,
    }
    needed = known if parts is None else {name: known[name] for name in parts}
    checks = {name: await _check_part(name, part) for name, part in needed.items()}
    if all(state == "ok" for state in checks.values()):
        return JSONAnswer({"status": "ok", "host": app.settings.host_kind, "checks": checks})
    unavailable = {"status": "unavailable", "checks": checks}
    return JSONAnswer(unavailable, 503, {"Retry-After": RETRY_AFTER})


def _read_question(data: Question | Mapping[str, Any]) -> Question:
    return data if isinstance(data, Question) else parse_question(data)


async def _start(
    question: Question, reader: ReaderTerms, spec: ProducerSpec, app: App
) -> tuple[Run, Entries]:
    fingerprint = make_fingerprint(question)
    return await start_uncancellable(
        start_run(question, reader, spec, app, fingerprint=fingerprint)
    )


async def _refuse(producer: Producer | None, error: BaseException, dialect: str) -> Response:
    """Close a generator that was handed in, and return `error` as a response, or raise it."""
    if isinstance(producer, AsyncGenerator):
        await producer.aclose()  # no stage closes one that was never begun
    if isinstance(error, RiverrunError):
        return error_response(error, dialect=dialect)
    raise error


def _stream(
    run: Run,
    entries: Entries,
    dialect: str,
    app: App,
    *,
    after: int = 0,
    options: Mapping[str, Any] | None = None,
) -> Response:
    return stream_response(
        entries,
        dialect,
        make_run_info(run, options or {}),
        after=after,
        afterwards=partial(app.live.wait_finished, run.id),
    )


def make_run_info(run: Run, options: Mapping[str, Any]) -> RunInfo:
    """Return what an encoder may know of a run besides its entries."""
    names = read_names(run.question)
    model = names.pop("model", "")
    return RunInfo(run_id=run.id, created=run.created, model=model, names=names, options=options)


def _add_to_state(state: dict[str, Any], answer: list[str], entry: Entry) -> None:
    event = from_json(entry.payload)
    if entry.kind == "token":
        answer.append(event["text"])
    elif entry.kind == "reset":
        answer.clear()
    elif entry.kind == "sources":
        state["sources"] = event["sources"]
    elif "status" in event:
        state["status"] = event["status"]
    elif entry.kind == "final":
        state.update(state="completed", result=event["result"])
    elif entry.kind == "error":
        state.update(state="failed", error=event)


async def _check_part(name: str, part: Callable[[], object]) -> str:
    try:
        opened = part()
        if inspect.isawaitable(opened):
            await opened
    except RiverrunError as error:
        logger.error("%s is not ready: %s", name, error)
    except Exception:
        logger.exception("%s is not ready.", name)
    else:
        return "ok"
    return "unavailable"
