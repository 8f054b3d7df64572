"""The handlers of the dialects' own URLs, beside those of `handlers.py`.

A client of another ecosystem names a run in its own way: by the id of a response, or of a chat.
Here that name becomes a run, and the answer takes the shape that the client reads.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic_core import from_json
from starlette.responses import Response

from ..errors import RiverrunError
from ..runs import Entry, Run, UnknownRunError
from ..runs.log import KEEP_TURNS
from .app import App, default_app
from .encoders import find_dialect
from .handlers import handle_request, handle_resume, handle_streaming_request, make_run_info
from .http.body import BODY_LIMIT, RequestError
from .http.requests import Cursor
from .http.responses import JSONAnswer, error_response, terminal_response
from .question import Question, ReaderTerms, can_be_guessed, load_question, start_clock

# How long a chat is known by its id: as long as its last run can be read.
CHAT_SECONDS = 24 * 3600.0


async def handle_question(question: Question, *, app: App | None = None) -> Response:
    """Answer a question of any dialect, as a stream or as one object, as it asks for."""
    if question.streaming:
        return await handle_streaming_request(question, app=app)
    return await handle_request(question, app=app)


async def follow_run(question: Question, run_id: str, *, app: App | None = None) -> Question:
    """Put the conversation of an earlier run, its own question and answer last, before `question`.

    Raises `RiverrunError` when the run is unknown, of another owner, or has no answer yet.
    """
    app = app or default_app()
    question = start_clock(question)
    run = await app.log.find(run_id, question.owner)
    earlier = load_question(run.question)
    result = (await _read_terminal(run, app)).get("result")
    if result is None:
        raise RequestError("The previous response has no answer to go on from.")
    turn = (earlier.query, result["answer"])
    history = bound_history((*earlier.history, turn, *question.history))
    return replace(question, history=history)


def bound_history(turns: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Keep the newest of `turns`: as many as a session, of as many bytes as a body may have.

    Each answer that follows another carries what that one carried: without an end it would be more
    than a store takes, and each of a thousand would cost more than the one before.
    """
    kept: list[tuple[str, str]] = []
    room = BODY_LIMIT
    for turn in reversed(turns[-KEEP_TURNS:]):
        room -= sum(len(text.encode("utf-8", "surrogatepass")) for text in turn)
        if room < 0:
            break
        kept.append(turn)
    return tuple(reversed(kept))


async def handle_response(
    run_id: str, dialect: str, *, owner: str | None = None, app: App | None = None
) -> Response:
    """Return a run as the object that clients of `dialect` know it by, finished or not."""
    app = app or default_app()
    spoken = find_dialect(dialect)
    try:
        run = await app.log.find(run_id, owner)
        last = await app.log.read_last(run.id)
        run_info = make_run_info(run, {})
        if last is None or not last.terminal:
            assert spoken.describe_progress is not None, f"{dialect} has no object for a run"
            return JSONAnswer(spoken.describe_progress(run_info), headers={"X-Run-Id": run.id})
        if last.kind == "error" and spoken.describe_progress is not None:
            failure = from_json(last.payload)
            return JSONAnswer(spoken.describe_progress(run_info, failure))
        return terminal_response(last, run_info, dialect)
    except RiverrunError as error:
        return error_response(error, dialect=dialect)


async def remember_chat(
    chat: str, run_id: str, *, owner: str | None, sender: str = "", app: App | None = None
) -> None:
    """Keep which run a chat is at, so that a client who knows only the chat can read it on.

    `sender` parts the chats that have no owner and whose ids can be guessed.
    """
    ledger = (app or default_app()).ledger
    key = _chat_key(chat, owner, sender)
    for _ in range(3):  # another tab of the chat may write at the same moment
        known = await ledger.read(key)
        version = known.version if known is not None else 0
        expires = time.time() + CHAT_SECONDS
        if await ledger.write(key, {"run": run_id}, version=version, expires=expires):
            return


async def find_chat_run(
    chat: str, *, owner: str | None, sender: str = "", app: App | None = None
) -> str:
    """Return the run that a chat is at. Raises `UnknownRunError` where there is none."""
    record = await (app or default_app()).ledger.read(_chat_key(chat, owner, sender))
    if record is None:
        raise UnknownRunError
    return str(record.value["run"])


async def handle_chat_stream(
    chat: str,
    dialect: str,
    *,
    owner: str | None,
    reader: ReaderTerms,
    sender: str = "",
    app: App | None = None,
) -> Response:
    """Send the run that a chat is at from its beginning; 204 when there is none, or it is over.

    A run whose producer is gone goes on here: who asks for the rest of a chat wants it.
    """
    app = app or default_app()
    reader = start_clock(reader)
    try:
        run_id = await find_chat_run(chat, owner=owner, sender=sender, app=app)
        run = await app.log.find(run_id, owner)
        last = await app.log.read_last(run.id)
    except UnknownRunError:
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
    except RiverrunError as error:
        return error_response(error, dialect=dialect)
    if last is not None and last.terminal:
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
    cursor = Cursor(run.id, 0)
    return await handle_resume(
        cursor, owner=owner, dialect=dialect, reader=reader, takes_over=True, app=app
    )


def _chat_key(chat: str, owner: str | None, sender: str) -> str:
    # A chat's id is the client's: hashed with its owner, it can name no other record. Without an
    # owner, one that can be guessed is its sender's alone.
    scope = owner or (f"{sender}\0" if can_be_guessed(chat) else "")
    return "chat:" + hashlib.sha256(f"{scope}\0{chat}".encode()).hexdigest()


async def _read_terminal(run: Run, app: App) -> Mapping[str, Any]:
    last: Entry | None = await app.log.read_last(run.id)
    document: Mapping[str, Any] = from_json(last.payload) if last and last.terminal else {}
    return document
