"""The conversation with a server, without a socket: which request, which wait, which event.

A generator yields commands (`SendRequest`, `ReadBody`, `Wait`, `CloseConnection`, `RenewKey`,
`Emit`) and is sent their results; the two shells, `riverrun_client.client` (blocking) and
`riverrun_client.aio` (async), run them. A connection that fails is thrown in as a `LostError`. So
every decision of a client is here once, and a test needs neither network nor clock.

A shell holds at most one response, and closes it before the next `SendRequest`, `Wait` or
`CloseConnection` and at the end.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from riverrun_client.cursor import RunCursor
from riverrun_client.errors import GaveUpError, ProtocolError, RiverrunError, RunFailedError
from riverrun_client.events import Event, RetryNotice
from riverrun_client.json_input import parse_json
from riverrun_client.requests import Endpoint, Question, Request
from riverrun_client.response_check import BODY_LIMIT, Head, check_response
from riverrun_client.retry_policy import LostError, RetryCounter, RetryPolicy
from riverrun_client.sse import EventStreamParser, Frame, TooLargeError


@dataclass(frozen=True, slots=True)
class SendRequest:
    """Send a request. Answered with its `Head`; the body is read with `ReadBody`."""

    request: Request


@dataclass(frozen=True, slots=True)
class ReadBody:
    """Read the body on. Answered with the next bytes, or None at its end."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """Close the connection, because the caller may take long over what is emitted next."""


@dataclass(frozen=True, slots=True)
class RenewKey:
    """Ask the caller's key function for a new key. Answered with whether there is one."""


@dataclass(frozen=True, slots=True)
class Emit:
    """Hand this to the caller."""

    item: Event | RetryNotice | RiverrunError


IOCommand = SendRequest | ReadBody | Wait | CloseConnection | RenewKey
Command = IOCommand | Emit
T = TypeVar("T")
Conversation = Generator[Command, Any, T]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientParts:
    """The parts of a client that every conversation uses."""

    endpoint: Endpoint
    retry_policy: RetryPolicy
    clock: Callable[[], float]
    random: Callable[[], float]

    def count_retries(self) -> RetryCounter:
        """A new count."""
        return RetryCounter(self.retry_policy, self.clock, self.random)


def read_run(
    parts: ClientParts, cursor: RunCursor, question: Question | None
) -> Conversation[None]:
    """Emit every event of a run after `cursor`, each once and in order, to the terminal one.

    `question` starts the run where it is not known yet. Raises `RiverrunError` when there can be
    no terminal event, or it is an error; after `GaveUpError` the same place can be read on from.
    """
    if cursor.error is not None:
        raise cursor.error
    if cursor.ended:
        return
    retries = parts.count_retries()
    try:
        yield from _retry(
            lambda: _read_connection(parts, cursor, question, retries), cursor, retries
        )
    except RiverrunError as error:
        if not isinstance(error, GaveUpError):
            cursor.error = error
        yield CloseConnection()
        yield Emit(error)
        raise


def stop_run(
    parts: ClientParts, cursor: RunCursor, question: Question | None
) -> Conversation[None]:
    """End a run on the server, and return when the server has accepted it.

    A run whose question may have arrived, but whose id has not come back, is found by asking
    again under the same key. Raises `RiverrunError` when the server cannot be told.
    """
    cursor.stopped = True
    retries = parts.count_retries()
    retries.was_answered = cursor.first_byte is not None or (cursor.asked and cursor.run_id != "")

    def send_stop() -> Conversation[None]:
        if not cursor.run_id and question is not None:
            head = yield from _send(parts.endpoint.start(question), retries)
            if not head.is_stream:
                yield from _raise_refusal(head, cursor)
            cursor.begin(head.headers.get("x-run-id", ""))
        if not cursor.run_id:
            raise ProtocolError("The server does not say which run it started.")
        yield from _fetch_body(parts.endpoint.stop(cursor.run_id), cursor, retries)

    if not cursor.ended and (cursor.run_id or cursor.asked):
        yield from _retry(send_stop, cursor, retries)


def fetch_json(parts: ClientParts, request: Request) -> Conversation[Mapping[str, Any]]:
    """The JSON object that the server answers `request` with."""
    retries, cursor = parts.count_retries(), RunCursor()
    body = yield from _retry(lambda: _fetch_body(request, cursor, retries), cursor, retries)
    try:
        told = parse_json(body)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise ProtocolError("The address answers, but not as a Riverrun server.")
    return told


def send_deletion(parts: ClientParts, *, run: str = "", session: str = "") -> Conversation[None]:
    """Delete a run, or else a session, and return when the server has answered.

    What is not there after a try without an answer was deleted by that try.
    """
    endpoint = parts.endpoint
    request = endpoint.delete_run(run) if run else endpoint.delete_session(session)
    retries, cursor = parts.count_retries(), RunCursor()
    try:
        yield from _retry(lambda: _fetch_body(request, cursor, retries), cursor, retries)
    except RiverrunError as error:
        if error.code != "not_found" or not retries.failures:
            raise


def keep_return(steps: Conversation[T], returned: list[T]) -> Conversation[None]:
    """Put the result of `steps` in a list, because an async generator returns none."""
    returned.append((yield from steps))


def _retry(
    attempt: Callable[[], Conversation[T]], cursor: RunCursor, retries: RetryCounter
) -> Conversation[T]:
    """Repeat `attempt` until it succeeds. Raises `GaveUpError` when the retry policy ends it."""
    while True:
        try:
            return (yield from attempt())
        except LostError as lost:
            wait = retries.next_wait(lost)
            if wait is None:
                raise _build_give_up(lost, cursor, retries) from None
            notice = RetryNotice(
                reason=lost.reason, attempt=retries.failures, wait=wait, paused=lost.paused
            )
            yield Emit(notice)
            yield Wait(wait)


def _read_connection(
    parts: ClientParts, cursor: RunCursor, question: Question | None, retries: RetryCounter
) -> Conversation[None]:
    """Read one response. Returns after the terminal event, raises `LostError` before it."""
    if cursor.seq or question is None:
        request = parts.endpoint.read(cursor.run_id, cursor.seq)
    elif cursor.stopped and not cursor.run_id:
        raise RunFailedError("Stopped before it was asked.", code="cancelled")
    else:
        # Also when the head named a run and no event followed: its key finds it wherever it is.
        request = parts.endpoint.start(question)
        cursor.asked = True
    head = yield from _send(request, retries)
    if not head.is_stream:
        yield from _raise_refusal(head, cursor)
    if (dropped := cursor.begin(head.headers.get("x-run-id", ""))) is not None:
        yield Emit(dropped)
    parser = EventStreamParser()
    while (chunk := (yield ReadBody())) is not None:
        cursor.first_byte = parts.clock() if cursor.first_byte is None else cursor.first_byte
        for frame in _parse_frames(parser, chunk, cursor):
            if (event := cursor.accept(frame)) is None:
                continue
            retries.reset()
            if cursor.ended:
                yield CloseConnection()
                yield Emit(event)
                return
            yield Emit(event)
        if parser.retry is not None:
            retries.set_reconnection_time(parser.retry)
    raise LostError("The stream ended before the answer did.")


def _parse_frames(parser: EventStreamParser, chunk: bytes, cursor: RunCursor) -> Iterator[Frame]:
    try:
        yield from parser.feed(chunk)
    except TooLargeError as error:
        raise ProtocolError(str(error), code="too_large", **_describe_cursor(cursor)) from None


def _send(request: Request, retries: RetryCounter) -> Conversation[Head]:
    """The head of the answer; a refused key is renewed once."""
    head: Head = yield SendRequest(request)
    if head.status == 401 and (yield RenewKey()):
        head = yield SendRequest(request)
    retries.was_answered = True
    return head


def _fetch_body(request: Request, cursor: RunCursor, retries: RetryCounter) -> Conversation[bytes]:
    """The body of an answer that says yes. Raises what any other means."""
    head = yield from _send(request, retries)
    if head.status not in (200, 202, 204):
        yield from _raise_refusal(head, cursor)
    return (yield from _read_body())


def _raise_refusal(head: Head, cursor: RunCursor) -> Conversation[NoReturn]:
    problem = check_response(head, (yield from _read_body()))
    raise _add_cursor(problem, cursor) if isinstance(problem, RiverrunError) else problem


def _read_body() -> Conversation[bytes]:
    body = b""
    try:
        while len(body) < BODY_LIMIT and (chunk := (yield ReadBody())) is not None:
            body += chunk
    except LostError:
        pass  # what came of it has to do: the status is known
    return body


def _build_give_up(lost: LostError, cursor: RunCursor, retries: RetryCounter) -> RiverrunError:
    if lost.final_error is not None:
        return _add_cursor(lost.final_error, cursor)
    if retries.was_answered:
        hint = "The run goes on without a reader: read on from the cursor later."
        return GaveUpError(lost.reason, hint=hint, **_describe_cursor(cursor))
    hint = "Check the address, and whether the server runs."
    return GaveUpError(lost.reason, code="unreachable", hint=hint, **_describe_cursor(cursor))


def _describe_cursor(cursor: RunCursor) -> dict[str, Any]:
    return {"partial": cursor.partial, "run_id": cursor.run_id or None, "cursor": cursor.cursor}


def _add_cursor(error: RiverrunError, cursor: RunCursor) -> RiverrunError:
    for name, value in _describe_cursor(cursor).items():
        setattr(error, name, value)
    return error
