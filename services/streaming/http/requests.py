"""An HTTP request as a question or a cursor: the rules of docs/contract.md, section 2.

Phase one of the error contract: everything refused here gets a real HTTP status, before a run
exists and before anything is paid for.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from ...access import name_stranger
from ...json_input import parse_json
from ...settings import Settings
from ..app import default_app
from ..encoders import NEGOTIABLE, find_dialect
from ..question import Question, ReaderTerms, read_clock
from .accept import explicit_quality, quality
from .body import RequestError, read_object
from .credentials import identify_caller, knows_session, read_address
from .intent import check_intended

_CURSOR = re.compile(r"([0-9a-f]{32})-(0|[1-9][0-9]{0,8})")
_KEY = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,126}[\x21-\x7e])?")
_RESPONSE = re.compile(r"resp_([0-9a-f]{32})")
_FLAGS = {"true": True, "1": True, "false": False, "0": False}

# An HTTP API waits this long for its function and sends nothing before, in seconds.
HTTP_API_LIMIT = 30.0


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a run: the reader has seen everything up to and with `seq`."""

    run_id: str
    seq: int


async def read_question(request: Request, settings: Settings | None = None) -> Question:
    """Return the question that `request` asks, by GET or POST, with `streaming` decided.

    `settings` are this process's own unless others are given.
    Raises `RequestError` or `InvalidQuestionError` with a code of the contract's table.
    """
    known = await _read_circumstances(request, settings)
    if request.method == "GET":
        check_intended(request)
    data = await read_object(request) if request.method == "POST" else _read_parameters(request)
    question = parse_question(data, **known)
    session = question.session_id
    if question.owner is None and session and not await knows_session(session, settings):
        question = replace(question, session_id="")
    accept = ", ".join(request.headers.getlist("accept"))
    return _negotiate(question, accept)


async def read_dialect_question(
    request: Request, dialect: str, settings: Settings | None = None
) -> tuple[Question, dict[str, Any]]:
    """Return the question that a client of `dialect` posts, and what else its body says.

    Raises `RequestError` or `InvalidQuestionError`, as `read_question` does.
    """
    known = await _read_circumstances(request, settings)
    parse_request = find_dialect(dialect).parse_request
    assert parse_request is not None, f"{dialect} has no requests of its own"
    fields = parse_request(await read_object(request))
    checked = parse_question({"query": fields.pop("query")})
    question = replace(
        checked,
        streaming=fields.pop("streaming"),
        history=fields.pop("history"),
        names=fields.pop("names"),
        options=fields.pop("options"),
        dialect=dialect,
        **known,
    )
    return question, fields


async def _read_circumstances(request: Request, settings: Settings | None) -> dict[str, Any]:
    """Read what a request says of a question beside its body: who asks, and for how long."""
    principal = await identify_caller(request, settings)
    settings = settings or default_app().settings
    return {
        "owner": principal.owner,
        "principal": principal.owner or name_stranger(read_address(request, settings)),
        "idempotency_key": _read_idempotency_key(request),
        "traceparent": request.headers.get("traceparent", "")[:256],
        "seconds_left": seconds_left(request, settings),
        "response_seconds_left": settings.response_seconds,
        "measured_at": read_clock(),
    }


def parse_question(data: object, **known: Any) -> Question:
    """Check `data`, the JSON of a body or query parameters of the same names.

    `known` is what only the caller knows. Raises `InvalidQuestionError` with a `field` and a
    `message` for each fault.
    """
    # When the first question comes: pydantic's models are half of what a cold start would pay.
    from .request_model import read_request

    return Question(**read_request(data), **known)


def _negotiate(question: Question, accept: str) -> Question:
    # What the body says wins; where it says nothing, naming a stream's type asks for a stream.
    named = _rate_dialects(accept)
    wanted = max(named, key=lambda name: named[name])
    if question.streaming is None:
        welcome = named[wanted] > 0 and named[wanted] >= explicit_quality(
            accept, "application/json"
        )
        question = replace(question, streaming=welcome)
    if not question.streaming:
        return question
    if named[wanted] > 0:
        return replace(question, dialect=wanted)
    if quality(accept, find_dialect("native").content_type) > 0:
        return question
    raise RequestError(
        "streaming is true, but the Accept header excludes text/event-stream.",
        code="not_acceptable",
        hint="Send Accept: text/event-stream, or leave the header out.",
    )


def _rate_dialects(accept: str) -> dict[str, float]:
    """Return how much an `Accept` header wants each dialect that it can choose."""
    return {name: explicit_quality(accept, find_dialect(name).content_type) for name in NEGOTIABLE}


def read_cursor(request: Request) -> Cursor | None:
    """Return the cursor of a reader: `Last-Event-ID`, or `lastEventId` in the query."""
    text = request.headers.get("last-event-id")
    if text is None:
        text = request.query_params.get("lastEventId")
    # One that is empty is refused: a client that means to read on must not start a run instead.
    return None if text is None else parse_cursor(text)


def parse_cursor(text: str) -> Cursor:
    """Return a cursor from its text. Raises `RequestError` when it is none of ours."""
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise RequestError("The cursor is not one that this service gave out.")
    return Cursor(found[1], int(found[2]))


def read_after(request: Request) -> int:
    """Return the `after` parameter: a sequence number, 0 when absent."""
    text = request.query_params.get("after", "") or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise RequestError("after must be a sequence number: a whole number from 0 up.")
    return int(text)


def read_response_id(request: Request) -> str:
    """Return the run of a path that names a response as OpenAI does. Raises `RequestError`."""
    found = _RESPONSE.fullmatch(request.path_params["response"])
    if found is None:
        raise RequestError("There is no such response.", code="not_found")
    return found[1]


def read_starting_after(request: Request) -> int:
    """Return the `starting_after` parameter: the last number that a client has, -1 for none."""
    text = request.query_params.get("starting_after", "") or "-1"
    if text != "-1" and not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise RequestError("starting_after must be a sequence number.")
    return int(text)


async def read_reader(request: Request, settings: Settings | None = None) -> ReaderTerms:
    """Return how a run is read that exists already: `resume`, in the URL or in the body of a POST.

    Raises `RequestError` for a `resume` in the URL that is neither true nor false.
    """
    settings = settings or default_app().settings
    text = request.query_params.get("resume", "")
    if text and text not in _FLAGS:
        raise RequestError("resume must be true or false (in a URL also 1 or 0).")
    resume = _FLAGS.get(text, False)
    if not text and request.method == "POST":
        # A client that repeats its request to read on; anything but a clear yes is none.
        try:
            resume = (await read_object(request)).get("resume") is True
        except RequestError:
            resume = False
    return ReaderTerms(
        resume=resume,
        seconds_left=seconds_left(request, settings),
        response_seconds_left=settings.response_seconds,
        measured_at=read_clock(),
    )


def read_dialect(request: Request) -> str:
    """Return the dialect that a reader of a run asks for by its Accept header."""
    accept = ", ".join(request.headers.getlist("accept"))
    named = _rate_dialects(accept)
    wanted = max(named, key=lambda name: named[name])
    return wanted if named[wanted] > 0 else "native"


def seconds_left(request: Request, settings: Settings) -> float:
    """Return how long this invocation may still take: the platform's word, or the setting.

    Behind an HTTP API no longer than that waits: what is sent later reaches no client.
    """
    context = request.scope.get("aws.context")
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    if remaining is None:
        return settings.deadline
    left = min(settings.deadline, float(remaining()) / 1000)
    return min(left, HTTP_API_LIMIT) if _is_http_api(request.scope.get("aws.event")) else left


def _is_http_api(event: Any) -> bool:
    # Only it names format 1.0. It shares 2.0 with function URLs, which are known by their domain.
    if not isinstance(event, Mapping) or "version" not in event:
        return False
    context = event.get("requestContext")
    if not isinstance(context, Mapping):
        return False
    return event["version"] == "1.0" or ".lambda-url." not in str(context.get("domainName"))


def _read_parameters(request: Request) -> dict[str, Any]:
    try:
        # Starlette's own reading puts U+FFFD for bytes that are not UTF-8.
        pairs = parse_qsl(
            request.scope["query_string"].decode(), keep_blank_values=True, errors="strict"
        )
    except UnicodeDecodeError as error:
        raise RequestError("The URL's parameters are not UTF-8.") from error
    data: dict[str, Any] = dict(pairs)
    for name in ("streaming", "resume"):
        if name in data:
            data[name] = _FLAGS.get(data[name], data[name])
    for name in ("top_k", "topK"):
        text = data.get(name, "")
        if text.isascii() and text.isdigit() and len(text) < 9:
            data[name] = int(text)
    if "include" in data:
        listed = ",".join(value for name, value in pairs if name == "include").split(",")
        data["include"] = [name.strip() for name in listed if name.strip()]
    if "metadata" in data:
        try:
            data["metadata"] = parse_json(data["metadata"])
        except ValueError:
            data["metadata"] = data["metadata"] or None
    return data


def _read_idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise RequestError("Idempotency-Key must be 1 to 128 printable ASCII characters.")
    return key


def make_fingerprint(question: Question) -> str:
    """Return what makes two requests with one idempotency key the same question."""
    parts: Mapping[str, Any] = {
        "query": question.query,
        "session": question.session_id,
        "top_k": question.top_k,
        "include": sorted(question.include),
        "metadata": question.metadata,
        **({"history": question.history} if question.history else {}),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
